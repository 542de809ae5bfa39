"""The suspicion of the kNN score: its vote with a soft edge instead of exactly k neighbours (Carrara et al. 2017)."""

from __future__ import annotations

import torch

from telltale.detectors.knn_score import KnnScoreDetector
from telltale.detectors.suspicions.soft_votes import SoftVotes
from telltale.detectors.suspicions.suspicion import Suspicion, view
from telltale.detectors.suspicions.tails import NaturalValues
from telltale.detectors.tails import UPPER
from telltale.evidence.reference import Reference
from telltale.models.classifier import Classifier


def knn_suspicion(classifier: Classifier, reference: Reference, detector: KnnScoreDetector) -> Suspicion:
    """Return the log odds of the soft vote against the predicted class, or how far out its share lies."""
    layer = range(len(reference.layers))[detector.settings.layer]
    k = max(1, min(detector.settings.k, len(reference.labels) // 2))
    index = reference.index(reference.layers[layer], detector.processing)
    votes = SoftVotes(reference, layer, index, k, detector.weighting)
    natural = None if detector.settings.tails == UPPER else NaturalValues(detector.natural_)

    def suspicion(images: torch.Tensor) -> torch.Tensor:
        seen = view(classifier, images)
        odds = votes.log_odds(seen.activations[layer], seen.predictions)
        return odds if natural is None else _outwardness(natural, odds)

    return suspicion


def _outwardness(natural: NaturalValues, odds: torch.Tensor) -> torch.Tensor:
    """Return how far out the share behind log odds (n,) lies, with the slope of the odds, which never fades."""
    place = natural.position(torch.sigmoid(odds.detach()))
    return (2.0 * place - 1.0).abs() + torch.sign(place - 0.5) * (odds - odds.detach())
