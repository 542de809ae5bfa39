"""A known network with another final linear layer, for other classes: how fine-tuned networks are made again."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from telltale.base.errors import InputError
from telltale.models.code import make_again
from telltale.models.factories import Origin, made_by, make, model_factory

NEW_HEAD = "new_head"


@model_factory(NEW_HEAD)
def with_new_head(
    network: str, arguments: dict[str, Any], head: str, classes: int, code: str | None = None
) -> nn.Module:
    """Make a network and replace its final linear layer; the new one's numbers are zeros until weights are loaded.

    Parameters
    ----------
    network : str
        Name of a registered factory; or a reference to code, where `code` is given.
    arguments : dict
        What it is called with.
    head : str
        Path of the layer.
    classes : int
        Outputs of the new layer.
    code : str, optional
        SHA-256 (hexadecimal) of the file with the code, which runs only if it was named on this machine.

    Raises
    ------
    InputError
        If the network cannot be made, or has no linear layer there.
    """
    if network == NEW_HEAD:
        raise InputError("A network's head is replaced once: what is underneath must be a network of its own.")
    made = make(network, arguments) if code is None else make_again(network, arguments, code)
    _replace(made, head, classes)
    return made


def replaced_head(network: nn.Module, head: str, classes: int) -> nn.Module:
    """Return the network that another process can make again, with the weights of `network` below the new head.

    Parameters
    ----------
    network : nn.Module
        Made by a registered factory or by named code; a head that is new already is replaced. Left as it is.
    head : str
        Path of the final linear layer.
    classes : int

    Raises
    ------
    InputError
        If no other process could make the network.
    """
    under = _underneath(made_by(network))
    fresh = with_new_head(network=under.factory, arguments=under.arguments, head=head, classes=classes, code=under.code)
    kept = {name: value for name, value in network.state_dict().items() if not name.startswith(f"{head}.")}
    fresh.load_state_dict({**fresh.state_dict(), **kept})
    return fresh.eval()


def _underneath(origin: Origin) -> Origin:
    """Return what has made the network before a head was replaced."""
    if origin.factory != NEW_HEAD:
        return origin
    known = origin.arguments
    return Origin(known["network"], known["arguments"], known["code"])


def _replace(network: nn.Module, path: str, classes: int) -> None:
    parent, _, name = path.rpartition(".")
    try:
        holder = network.get_submodule(parent)
        linear = holder.get_submodule(name)
    except AttributeError:
        linear = None
    if not isinstance(linear, nn.Linear):
        raise InputError(f"The network has no linear layer '{path}' that could be replaced.")
    fresh = nn.Linear(linear.in_features, classes)
    with torch.no_grad():
        fresh.weight.zero_()
        fresh.bias.zero_()
    setattr(holder, name, fresh)
