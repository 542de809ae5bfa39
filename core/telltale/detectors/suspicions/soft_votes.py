"""The vote of the nearest training images with a soft edge, so that it has a slope."""

from __future__ import annotations

from collections.abc import Callable

import torch

from telltale.detectors.suspicions.distances import SMALLEST, squared_distances
from telltale.evidence.neighbours import NeighbourIndex, Weighting
from telltale.evidence.reference import Reference

SOFTNESS = 0.1  # width of the edge, as a share of the squared distance to the k-th neighbour


class SoftVotes:
    """Votes for and against a class on one layer.

    A training image counts by sigmoid((r² - d²) / (0.1 r²)) with r the distance to the k-th neighbour, times its
    weight 1, 1/rank or 1/d². The sharper the edge, the nearer the share is to the exact one; images beyond it keep a
    slope, which tells an attack where the class's training images lie.

    Parameters
    ----------
    reference : Reference
    layer : int
    index : NeighbourIndex of that layer
    k : int
    weighting : {"knn", "wknn", "dwknn"}
    """

    def __init__(
        self, reference: Reference, layer: int, index: NeighbourIndex, k: int, weighting: Weighting = "knn"
    ) -> None:
        self._process = _processing(index)
        self._points = torch.from_numpy(index.process(reference.trace.activations[layer])).double()
        self._labels = torch.from_numpy(reference.labels)
        self._k, self._weighting = k, weighting

    def log_odds(self, activations: torch.Tensor, classes: torch.Tensor) -> torch.Tensor:
        """Log odds against one class per image, shape (n,), of activations (n, d) and classes (n,)."""
        squared = squared_distances(self._process(activations.double()), self._points)
        edge = squared.kthvalue(self._k, dim=1, keepdim=True).values
        within = torch.nn.functional.logsigmoid((edge - squared) / (SOFTNESS * edge))
        votes = within + _log_weights(squared, self._weighting)
        agree = self._labels == classes[:, None]
        against = votes.masked_fill(agree, -torch.inf).logsumexp(1)
        return against - votes.masked_fill(~agree, -torch.inf).logsumexp(1)


def _processing(index: NeighbourIndex) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return what the index does to activations (n, d) before it measures distances."""
    if index.processing == "l2":
        return lambda a: a / a.square().sum(1, keepdim=True).clamp(min=SMALLEST).sqrt()
    whitening = index.whitening
    if whitening is None:
        return lambda a: a
    mean, axes = (torch.from_numpy(values) for values in whitening)
    return lambda a: (a - mean) @ axes.T


def _log_weights(squared: torch.Tensor, weighting: Weighting) -> torch.Tensor:
    """Logarithm of the weight of every training image, shape (n, N)."""
    if weighting == "dwknn":
        return -squared.log()
    if weighting == "knn":
        return torch.zeros_like(squared)
    ranks = squared.detach().argsort(dim=1, stable=True).argsort(dim=1) + 1
    return -ranks.double().log()
