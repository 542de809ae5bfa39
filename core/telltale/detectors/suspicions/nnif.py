"""The suspicion of NNIF: its regression over ranks and distances of influential images (Cohen et al. 2020, Alg. 1)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from telltale.detectors.nnif import LOG, MEAN, SMALLEST, NnifDetector
from telltale.detectors.suspicions.distances import distances_to_each
from telltale.detectors.suspicions.logistic import differentiable
from telltale.detectors.suspicions.suspicion import Suspicion, View, view
from telltale.evidence.ranks import ranks_and_distances
from telltale.evidence.reference import Reference
from telltale.models.classifier import Classifier

Rows = npt.NDArray[np.int64]

COMPARED = 1000  # training images whose distances give ranks their slope
KNOTS = 33  # quantiles of these distances, between which ranks rise evenly
SMALLEST_GAP = 1e-12


def nnif_suspicion(classifier: Classifier, reference: Reference, detector: NnifDetector) -> Suspicion:
    """Return the detector's score, with slopes wherever it has any or can be given one.

    Which images are most influential is found afresh for every version of an image and held fixed for its gradient.
    Distances to them are differentiated as they are. A rank counts how many training images are nearer: its value is
    exact, its slope that of their share among 1,000 of them, taken to rise evenly between quantiles.
    """
    m = min(detector.settings.m, len(reference.labels) // 2)
    score = differentiable(detector.regression_)
    compared = np.unique(np.linspace(0, len(reference.labels) - 1, COMPARED).astype(np.int64))

    def suspicion(images: torch.Tensor) -> torch.Tensor:
        seen = view(classifier, images)
        rows = influential_rows(reference, seen, m)
        read = [_ranks_and_distances(reference, seen, layer, rows, compared) for layer in range(len(reference.layers))]
        ranks, distances = (torch.stack(part, dim=1) for part in zip(*read, strict=True))
        parts = (ranks[..., :m], distances[..., :m], ranks[..., m:], distances[..., m:])
        shaped = [p.mean(2) if detector.settings.form == MEAN else p.flatten(1) for p in parts]
        features = torch.cat(shaped, dim=1)
        return score((features + SMALLEST).log() if detector.settings.scale == LOG else features)

    return suspicion


def influential_rows(reference: Reference, seen: View, m: int) -> Rows:
    """Return the reference rows of the m most helpful, then of the m most harmful images, shape (n, 2 m)."""
    hidden = seen.hidden.detach().float().numpy()
    found = reference.influence.top(hidden, seen.predictions.numpy(), m)
    return np.hstack([found.helpful, found.harmful])


def _ranks_and_distances(
    reference: Reference,
    seen: View,
    layer: int,
    rows: Rows,
    compared: Rows,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Ranks and distances of chosen reference rows (n, m) on one layer, each float64 of shape (n, m)."""
    activations, points = seen.activations[layer], reference.trace.activations[layer]
    queries = activations.detach().float().numpy()
    exact, _ = ranks_and_distances(queries, reference.distances(reference.layers[layer]), rows)
    distances = distances_to_each(activations, torch.from_numpy(points[rows]))
    others = distances_to_each(activations, torch.from_numpy(points[compared])[None])
    even = _even_ranks(distances, others)
    return torch.from_numpy(exact).double() + (even - even.detach()), distances


def _even_ranks(distances: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
    """Place distances (n, m) among others (n, c): the share below, linear between `KNOTS` of their quantiles.

    Both move with the image, and so both have a part in the slope.
    """
    places = torch.from_numpy(np.unique(np.linspace(0, others.shape[1] - 1, KNOTS).astype(np.int64)))
    knots, levels = others.sort(dim=1).values[:, places], places.double() / (others.shape[1] - 1)
    right = torch.searchsorted(knots.detach(), distances.detach()).clamp(1, len(places) - 1)
    start, end = knots.gather(1, right - 1), knots.gather(1, right)
    low, high = levels[right - 1], levels[right]
    ranks: torch.Tensor = low + (high - low) * (distances - start) / (end - start).clamp(min=SMALLEST_GAP)
    return ranks
