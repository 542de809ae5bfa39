"""One gradient per image of the log odds of a class, over all weights of a network."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch.func import functional_call, grad_and_value, vmap

from telltale.base.images import FloatImages
from telltale.models.classifier import Classifier

AT_ONCE = 64  # images; each has a gradient as large as the network


@dataclass(frozen=True)
class LogOdds:
    """The log odds f = log p / (1 - p) of one class per image, and how they move with the weights.

    Attributes
    ----------
    gradients : array of float32, shape (n, P)
        Over all trained weights, in the order of `Classifier.named_parameters`.
    doubts : array of float64, shape (n,)
        1 - p. The gradient of the cross-entropy -log p is -(1 - p) times that of f.
    """

    gradients: npt.NDArray[np.float32]
    doubts: npt.NDArray[np.float64]

    @property
    def of_loss(self) -> npt.NDArray[np.float32]:
        """Gradients of the cross-entropy, shape (n, P)."""
        return -(self.doubts[:, None].astype(np.float32)) * self.gradients


def log_odds_gradients(classifier: Classifier, images: FloatImages, classes: npt.NDArray[np.int64]) -> LogOdds:
    """Differentiate the log odds of one class per image, each image by itself.

    Parameters
    ----------
    classifier : Classifier
        In evaluation mode, so that an image's gradient does not depend on its company.
    images : array of float32, shape (n, C, H, W)
    classes : array of int64, shape (n,)
    """
    trained = {name: weight.detach() for name, weight in classifier.named_parameters() if weight.requires_grad}

    def log_odds(weights: dict[str, torch.Tensor], image: torch.Tensor, chosen: torch.Tensor) -> torch.Tensor:
        logits = functional_call(classifier, weights, (image[None],))[0]
        others = torch.where(chosen, -torch.inf, logits)
        return torch.where(chosen, logits, 0.0).sum() - others.logsumexp(0)

    each = vmap(grad_and_value(log_odds), in_dims=(None, 0, 0))
    chosen = torch.from_numpy(np.arange(classifier.classes) == classes[:, None])
    gradients, values = [], []
    for start in range(0, len(images), AT_ONCE):
        part = slice(start, start + AT_ONCE)
        slopes, odds = each(trained, torch.from_numpy(images[part]), chosen[part])
        gradients.append(torch.cat([slope.flatten(1) for slope in slopes.values()], dim=1).numpy())
        values.append(odds.numpy().astype(np.float64))
    return LogOdds(np.concatenate(gradients), 1.0 / (1.0 + np.exp(np.concatenate(values))))
