"""The suspicion of the twin: the detector's own score, through both networks."""

from __future__ import annotations

import torch

from telltale.base.errors import InputError
from telltale.detectors.suspicions.suspicion import Suspicion, view
from telltale.detectors.twin import TwinDetector
from telltale.evidence.reference import Reference
from telltale.models.classifier import Classifier


def twin_suspicion(classifier: Classifier, reference: Reference, detector: TwinDetector) -> Suspicion:
    """Return -log p of the predicted class by the second network.

    Raises
    ------
    InputError
        If there is none.
    """
    del reference, detector
    twin = classifier.twin
    if twin is None:
        raise InputError("This classifier has no twin whose doubt could be lowered.")

    def suspicion(images: torch.Tensor) -> torch.Tensor:
        predicted = view(classifier, images).predictions[:, None]
        return -torch.log_softmax(twin(images).double(), dim=1).gather(1, predicted)[:, 0]

    return suspicion
