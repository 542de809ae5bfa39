"""Suspicions on the scale of their detector's own scores, so that they can be placed among those of natural images."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from scipy.special import logit

from telltale.detectors.base import Detector
from telltale.detectors.dknn import DknnDetector
from telltale.detectors.feature_response import FeatureResponseDetector
from telltale.detectors.knn_score import KnnScoreDetector
from telltale.detectors.suspicions.suspicion import Suspicion, view
from telltale.evidence.evidence import Evidence
from telltale.evidence.readings import Readings
from telltale.evidence.reference import Reference
from telltale.evidence.response import feature_responses
from telltale.models.classifier import Classifier
from telltale.models.trace import Trace

Floats = npt.NDArray[np.float64]
PlacedSuspicion: TypeAlias = Callable[[torch.Tensor], torch.Tensor]
NEARLY_ALL = 0.999  # a larger share of the votes counts as this one, where its log odds are asked for
NARROWEST = 1e-6


def placed(
    classifier: Classifier, reference: Reference, detector: Detector, suspicion: Suspicion, natural: Floats
) -> PlacedSuspicion:
    """Return a function from images (n, C, H, W) to float64 values (n,) on the scale of the detector's scores.

    Most suspicions are their detector's score. Those with soft edges are replaced by the exact score and keep their
    slope; log odds, which go on where shares of votes end, are first shrunk to scores by the ratio of their spreads
    over natural images.

    Parameters
    ----------
    classifier : Classifier
    reference : Reference
    detector : Detector
    suspicion : Suspicion of the detector
    natural : array of float64, shape (m,)
        Scores of natural images.
    """
    if not isinstance(detector, KnnScoreDetector | DknnDetector | FeatureResponseDetector):
        return lambda images: suspicion(images).double()
    ratio = 1.0
    if not isinstance(detector, FeatureResponseDetector):
        ratio = float(natural.std()) / max(_spread(detector, reference), NARROWEST)

    def exact(images: torch.Tensor) -> torch.Tensor:
        return torch.from_numpy(_score(classifier, reference, detector, images))

    def on_scale(images: torch.Tensor) -> torch.Tensor:
        soft = suspicion(images).double()
        return exact(images) + ratio * (soft - soft.detach())

    return on_scale


def _score(classifier: Classifier, reference: Reference, detector: Detector, images: torch.Tensor) -> Floats:
    """Score images by what is read from one forward pass, and from the response where the detector asks for it."""
    seen = view(classifier, images)
    activations = tuple(layer.detach().numpy() for layer in seen.activations)
    trace = Trace(classifier.layers, activations, seen.logits.detach().numpy())

    def readings() -> Readings:
        return Readings({"mean_entropy": feature_responses(classifier, images.detach().numpy()).mean_entropy})

    return detector.score(Evidence(reference, trace, readings))


def _spread(detector: KnnScoreDetector | DknnDetector, reference: Reference) -> float:
    """Return how much log odds vary over natural images, from the votes that the detector has kept."""
    if isinstance(detector, KnnScoreDetector):
        return float(logit(detector.natural_.clip(1.0 - NEARLY_ALL, NEARLY_ALL)).std())
    layers = len(reference.layers)
    k = max(1, min(detector.settings.k, len(reference.labels) // 2))
    against = detector.calibration_ / (k * layers)
    return float((-layers * np.log1p(-against.clip(0.0, NEARLY_ALL))).std())
