"""The suspicion of the kNN score: its vote with a soft edge instead of exactly k neighbours (Carrara et al. 2017)."""

from __future__ import annotations

from collections.abc import Callable

import torch

from core.adaptive.suspicion import Suspicion, view
from core.adaptive.tails import NaturalValues
from core.detectors.knn_score import KnnScoreDetector
from core.detectors.tails import UPPER
from core.evidence.neighbours import NeighbourIndex
from core.evidence.reference import Reference
from core.models.classifier import Classifier

SOFTNESS = 0.1  # width of the edge, as a share of the squared distance to the k-th neighbour
SMALLEST = 1e-24


def knn_suspicion(classifier: Classifier, reference: Reference, detector: KnnScoreDetector) -> Suspicion:
    """Return the log odds of the vote for other classes than the predicted one, or how far out they lie.

    A training image counts by sigmoid((r² - d²) / (0.1 r²)) with r the distance to the k-th neighbour, times the
    detector's weight 1, 1/rank or 1/d². The sharper the edge, the nearer the share is to the score; images beyond it
    keep a slope, which tells an attack where the predicted class's training images lie.
    """
    layer = range(len(reference.layers))[int(detector.settings["layer"])]
    index = reference.index(reference.layers[layer], detector.processing)
    process = _processing(index)
    points = torch.from_numpy(index.process(reference.trace.activations[layer])).double()
    labels = torch.from_numpy(reference.labels)
    k = max(1, min(int(detector.settings["k"]), len(labels) // 2))
    natural = None if detector.settings["tails"] == UPPER else NaturalValues(detector.natural_)

    def suspicion(images: torch.Tensor) -> torch.Tensor:
        seen = view(classifier, images)
        squared = _squared_distances(process(seen.activations[layer].double()), points)
        edge = squared.kthvalue(k, dim=1, keepdim=True).values.clamp(min=SMALLEST)
        within = torch.nn.functional.logsigmoid((edge - squared) / (SOFTNESS * edge))
        votes = within + _log_weights(squared, detector.weighting)
        agree = labels == seen.predictions[:, None]
        odds = votes.masked_fill(agree, -torch.inf).logsumexp(1) - votes.masked_fill(~agree, -torch.inf).logsumexp(1)
        return odds if natural is None else _outwardness(natural, odds)

    return suspicion


def _processing(index: NeighbourIndex) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return what the index does to activations (n, d) before it measures distances."""
    if index.processing == "l2":
        return lambda a: a / a.square().sum(1, keepdim=True).clamp(min=SMALLEST).sqrt()
    whitening = index.whitening
    if whitening is None:
        return lambda a: a
    mean, axes = (torch.from_numpy(values) for values in whitening)
    return lambda a: (a - mean) @ axes.T


def _squared_distances(queries: torch.Tensor, points: torch.Tensor) -> torch.Tensor:
    """Squared distances (n, N) from (n, d) to (N, d)."""
    products = queries @ points.T
    squared = queries.square().sum(1, keepdim=True) + points.square().sum(1) - 2.0 * products
    return squared.clamp(min=SMALLEST)


def _log_weights(squared: torch.Tensor, weighting: str) -> torch.Tensor:
    """Logarithm of the weight of every training image, shape (n, N)."""
    if weighting == "dwknn":
        return -squared.log()
    if weighting == "knn":
        return torch.zeros_like(squared)
    ranks = squared.detach().argsort(dim=1, stable=True).argsort(dim=1) + 1
    return -ranks.double().log()


def _outwardness(natural: NaturalValues, odds: torch.Tensor) -> torch.Tensor:
    """Return how far out the share behind log odds (n,) lies, with the slope of the odds, which never fades."""
    place = natural.position(torch.sigmoid(odds.detach()))
    return (2.0 * place - 1.0).abs() + torch.sign(place - 0.5) * (odds - odds.detach())
