"""The suspicion of the confidence: its own score."""

from __future__ import annotations

import torch

from telltale.detectors.confidence import HIGH, LOG_ODDS, ConfidenceDetector
from telltale.detectors.suspicions.margins import log_odds, logit_margins
from telltale.detectors.suspicions.suspicion import Suspicion, view
from telltale.detectors.suspicions.tails import NaturalValues
from telltale.detectors.tails import BOTH
from telltale.evidence.reference import Reference
from telltale.models.classifier import Classifier


def confidence_suspicion(classifier: Classifier, reference: Reference, detector: ConfidenceDetector) -> Suspicion:
    """Return the confidence in the predicted class, turned the way that is suspicious."""
    del reference
    natural = NaturalValues(detector.natural_) if detector.settings.tails == BOTH else None
    sign = 1.0 if detector.settings.tails == HIGH else -1.0
    scale = log_odds if detector.settings.scale == LOG_ODDS else logit_margins

    def suspicion(images: torch.Tensor) -> torch.Tensor:
        seen = view(classifier, images)
        values = scale(seen.logits, seen.predictions)
        return sign * values if natural is None else natural.outwardness(values)

    return suspicion
