"""What a network must do to be attacked and traced: say the same again, of each image by itself, with a gradient."""

from __future__ import annotations

import torch
from torch import nn

from telltale.base.errors import InputError
from telltale.models.heads import Ending, pick

AGREEMENT = 1e-3  # relative to the largest logit: single images and batches are added up in another order


def check_behaviour(network: nn.Module, images: torch.Tensor, ending: Ending) -> None:
    """Refuse a network whose answers depend on chance or on an image's batch-mates, or have no gradient.

    Parameters
    ----------
    network : nn.Module
        In evaluation mode.
    images : Tensor, shape (n, C, H, W)
        As the network is given them.
    ending : Ending
        What a first pass through the same images has shown.

    Raises
    ------
    InputError
        If it is such a network.
    """
    if not ending.logits.requires_grad:
        raise InputError("The logits have no gradient: the network detaches them, and cannot be attacked.")
    before = ending.logits.detach()
    with torch.no_grad():
        again = pick(network(images.clone()), ending.key)
        alone = pick(network(images[:1].clone()), ending.key)
    tolerance = AGREEMENT * float(before.abs().max())
    if float((again - before).abs().max()) > tolerance:
        raise InputError("The network gives other logits each time for the same images; switch off what is random.")
    if alone.shape != before[:1].shape or float((alone - before[:1]).abs().max()) > tolerance:
        raise InputError("The network's logits for an image depend on the other images of its batch.")
