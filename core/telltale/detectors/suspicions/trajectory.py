"""The suspicion of the trajectory detector: pivot distances read by its network (Carrara et al. 2018)."""

from __future__ import annotations

import torch

from telltale.detectors.suspicions.distances import SMALLEST, distances_to_each
from telltale.detectors.suspicions.suspicion import Suspicion, view
from telltale.detectors.trajectory import TrajectoryDetector
from telltale.evidence.reference import Reference
from telltale.models.classifier import Classifier


def trajectory_suspicion(classifier: Classifier, reference: Reference, detector: TrajectoryDetector) -> Suspicion:
    """Return the network's logit, which is the detector's score."""
    known = reference.pivots.known
    pivots = [torch.from_numpy(p[known]).double() for p in reference.pivots.of(detector.pivot)]
    mean, scale = torch.from_numpy(detector.mean_), torch.from_numpy(detector.scale_)
    measure = _euclidean if detector.distance == "l2" else _cosine_similarity
    network = detector.network_
    precision = next(network.parameters()).dtype

    def suspicion(images: torch.Tensor) -> torch.Tensor:
        activations = view(classifier, images).activations
        path = torch.stack([measure(a.double(), p) for a, p in zip(activations, pivots, strict=True)], dim=1)
        logits: torch.Tensor = network(((path - mean) / scale).to(precision))
        return logits.double()

    return suspicion


def _euclidean(activations: torch.Tensor, pivots: torch.Tensor) -> torch.Tensor:
    """Distances (n, C) from (n, d) to (C, d)."""
    return distances_to_each(activations, pivots[None])


def _cosine_similarity(activations: torch.Tensor, pivots: torch.Tensor) -> torch.Tensor:
    """Cosine similarities (n, C) of (n, d) with (C, d); 0 where one is the zero vector."""
    lengths = activations.square().sum(1, keepdim=True).clamp(min=SMALLEST).sqrt()
    pivot_lengths = pivots.square().sum(1, keepdim=True).clamp(min=SMALLEST).sqrt()
    return (activations / lengths) @ (pivots / pivot_lengths).T
