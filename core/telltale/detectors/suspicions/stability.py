"""The suspicion of the stability: its own score, through a forward pass of every transform."""

from __future__ import annotations

import torch

from telltale.detectors.stability import StabilityDetector
from telltale.detectors.suspicions.margins import logit_margins
from telltale.detectors.suspicions.suspicion import Suspicion, view
from telltale.detectors.suspicions.tails import NaturalValues
from telltale.detectors.tails import UPPER
from telltale.evidence.reference import Reference
from telltale.evidence.stability import TRANSFORMS, Transform, counted_transforms
from telltale.models.classifier import Classifier


def stability_suspicion(classifier: Classifier, reference: Reference, detector: StabilityDetector) -> Suspicion:
    """Return how many logits the predicted class loses on average, or how unusual that is."""
    del reference
    natural = None if detector.settings.tails == UPPER else NaturalValues(detector.natural_)

    def suspicion(images: torch.Tensor) -> torch.Tensor:
        logits = view(classifier, images).logits
        classes = logits.argmax(1)
        after = [logit_margins(classifier(_moved(t, images)), classes) for t in TRANSFORMS.values()]
        counts = torch.from_numpy(counted_transforms(detector.mirrored(classes.numpy()))).double()
        mean = (torch.stack(after, dim=1) * counts).sum(1) / counts.sum(1)
        drops = logit_margins(logits, classes) - mean
        return drops if natural is None else natural.outwardness(drops)

    return suspicion


def _moved(transform: Transform, images: torch.Tensor) -> torch.Tensor:
    """Return images (n, C, H, W) transformed."""
    rows, columns = transform.places(images.shape[2], images.shape[3])
    return images[:, :, torch.from_numpy(rows), torch.from_numpy(columns.copy())]
