"""The suspicion of the kernel density: the detector's own score (Feinman et al. 2017, Eq. 1)."""

from __future__ import annotations

import math

import torch

from telltale.detectors.kernel_density import KernelDensityDetector
from telltale.detectors.suspicions.distances import squared_distances
from telltale.detectors.suspicions.suspicion import Suspicion, view
from telltale.evidence.reference import Reference
from telltale.models.classifier import Classifier


def kernel_suspicion(classifier: Classifier, reference: Reference, detector: KernelDensityDetector) -> Suspicion:
    """Return -log of the density of the hidden state among training images of the predicted class."""
    points = torch.from_numpy(reference.trace.hidden).double()
    labels = torch.from_numpy(reference.labels)
    sizes = torch.bincount(labels, minlength=reference.classes).double()
    present = torch.nonzero(sizes)[:, 0].tolist()
    bandwidth = detector.settings.bandwidth * detector.radius_
    constant = 0.5 * points.shape[1] * math.log(2.0 * math.pi * bandwidth**2)

    def suspicion(images: torch.Tensor) -> torch.Tensor:
        seen = view(classifier, images)
        exponents = squared_distances(seen.hidden.double(), points) / (-2.0 * bandwidth**2)
        outside = sizes[seen.predictions] == 0
        others = (labels != seen.predictions[:, None]) & ~outside[:, None]
        own = exponents.masked_fill(others, -torch.inf)
        suspicions = sizes[seen.predictions].clamp(min=1.0).log() + constant - own.logsumexp(1)
        if not outside.any():
            return suspicions
        # A class without images has no density: what is taken for it is as odd as it is to any class.
        odd = [sizes[c].log() + constant - exponents[:, labels == c].logsumexp(1) for c in present]
        return torch.where(outside, torch.stack(odd).amax(0), suspicions)

    return suspicion
