"""The suspicion of LID: the detector's own score (Ma et al. 2018)."""

from __future__ import annotations

import torch

from telltale.detectors.lid import LidDetector
from telltale.detectors.suspicions.distances import squared_distances
from telltale.detectors.suspicions.logistic import differentiable
from telltale.detectors.suspicions.suspicion import Suspicion, view
from telltale.evidence.lid import LARGEST
from telltale.evidence.reference import Reference
from telltale.models.classifier import Classifier


def lid_suspicion(classifier: Classifier, reference: Reference, detector: LidDetector) -> Suspicion:
    """Return the log odds, with the dimensionality of every layer as the detector estimates it."""
    k = min(detector.settings.k, len(detector.minibatch_))
    points = [torch.from_numpy(a[detector.minibatch_]).double() for a in reference.trace.activations]
    score = differentiable(detector.regression_)

    def suspicion(images: torch.Tensor) -> torch.Tensor:
        activations = view(classifier, images).activations
        estimates = [_lid(squared_distances(a.double(), p), k) for a, p in zip(activations, points, strict=True)]
        return score(torch.stack(estimates, dim=1))

    return suspicion


def _lid(squared: torch.Tensor, k: int) -> torch.Tensor:
    """Estimate the dimensionality (n,) from squared distances (n, m) to the minibatch."""
    nearest = squared.topk(k, dim=1, largest=False).values
    spread = 0.5 * (nearest[:, -1:].log() - nearest.log()).mean(1)
    return 1.0 / spread.clamp(min=1.0 / LARGEST)
