"""The defences that are compared: one figure each that says how odd a reading is, calibrated on natural images."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from telltale.base.images import FloatImages
from telltale.detectors.base import Detector, Labels
from telltale.detectors.confidence import ConfidenceDetector
from telltale.detectors.defence import Defence
from telltale.detectors.twin import LOG_PROBABILITIES, TwinDetector
from telltale.evidence.evidence import Evidence
from telltale.evidence.readings import Readings
from telltale.evidence.reference import Reference
from telltale.evidence.twin import log_probabilities
from telltale.models.classifier import Classifier
from telltale.models.trace import Trace
from telltale.models.wrapping import wrap

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Judged:
    """What a defence makes of n images; arrays of shape (n,).

    Attributes
    ----------
    second : array of int64
        Classes that the second opinion predicts (see `Judge.opinion`).
    scores : array of float64
        Higher is odder.
    """

    second: IntArray
    scores: npt.NDArray[np.float64]


class Judge:
    """A classifier with one detector around it: its twin's doubt or, without a twin, its own confidence.

    Parameters
    ----------
    classifier : Classifier
    images : array of float32, shape (n, C, H, W)
        Natural images that the detector is fitted on; those read correctly count.
    labels : array of int64, shape (n,)
    """

    def __init__(self, classifier: Classifier, images: FloatImages, labels: IntArray) -> None:
        self.classifier = classifier
        self._detector: Detector = ConfidenceDetector() if classifier.twin is None else TwinDetector()
        trace = classifier.trace(images)
        right = np.flatnonzero(trace.predictions == labels)
        known = Reference(right, labels[right], classifier.classes, trace.take(right))
        self.defence = Defence(classifier, known, {self._detector.name: self._detector})
        # The contract asks for attacked images too; neither detector looks at any, so natural ones stand in.
        twice = Evidence(known, known.trace, Readings()).take(np.tile(np.arange(len(right)), 2))
        attacked = np.arange(len(twice)) >= len(right)
        self._detector.fit(twice, Labels(attacked, np.where(attacked, "none", ""), np.tile(right, 2)))

    @property
    def detector(self) -> str:
        """Registry name of the detector."""
        return self._detector.name

    def judge(self, images: FloatImages, trace: Trace) -> Judged:
        """Judge images (n, C, H, W) that the classifier has read."""
        opinion = self.opinion(images)
        readings = Readings({LOG_PROBABILITIES: opinion})
        scores = self._detector.score(Evidence(self.defence.reference, trace, readings))
        return Judged(opinion.argmax(1), scores)

    def opinion(self, images: FloatImages) -> npt.NDArray[np.float64]:
        """Return the second opinion, logarithms of shape (n, classes): the twin's, or the classifier's own."""
        return log_probabilities(self.classifier.twin or self.classifier, images)

    def runner_up(self, images: FloatImages, labels: IntArray) -> IntArray:
        """Return which other class than its label the second opinion finds likeliest in each of n images."""
        found = self.opinion(images)
        found[np.arange(len(labels)), labels] = -np.inf
        return np.asarray(found.argmax(1), dtype=np.int64)


class Agreement(nn.Module):
    """Several networks as one: the mean of their log probabilities, so that each can veto a class.

    Parameters
    ----------
    members : sequence of Classifier
    """

    def __init__(self, members: Sequence[Classifier]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Map images (n, C, H, W) in [0, 1] to (n, classes)."""
        return torch.stack([torch.log_softmax(member(images), dim=1) for member in self.members]).mean(0)


def agreement(members: Sequence[Classifier]) -> Classifier:
    """Return a classifier that is as sure of a class as its members are on (geometric) average."""
    channels, height, width = members[0].input_shape
    return wrap(Agreement(members), classes=members[0].classes, size=(height, width), channels=channels)


def with_twin(classifier: Classifier, twin: Classifier | None) -> Classifier:
    """Return a copy of a classifier beside another twin, or without one."""
    alone = copy.deepcopy(classifier)
    alone.twin = None
    return alone if twin is None else alone.take_twin(twin)
