"""The suspicion of DkNN: votes with a soft edge on every layer (Papernot & McDaniel 2018)."""

from __future__ import annotations

import torch

from telltale.detectors.dknn import DknnDetector
from telltale.detectors.suspicions.soft_votes import SoftVotes
from telltale.detectors.suspicions.suspicion import Suspicion, view
from telltale.evidence.reference import Reference
from telltale.models.classifier import Classifier


def dknn_suspicion(classifier: Classifier, reference: Reference, detector: DknnDetector) -> Suspicion:
    """Return minus the log of the share of neighbours that agree with the prediction, summed over the layers.

    The p-value only falls when neighbours disagree; logarithms keep a slope where all of them do.
    """
    k = max(1, min(detector.settings.k, len(reference.labels) // 2))
    layers = [SoftVotes(reference, i, reference.index(layer), k) for i, layer in enumerate(reference.layers)]

    def suspicion(images: torch.Tensor) -> torch.Tensor:
        seen = view(classifier, images)
        odds = [v.log_odds(a, seen.predictions) for v, a in zip(layers, seen.activations, strict=True)]
        return torch.nn.functional.softplus(torch.stack(odds)).sum(0)

    return suspicion
