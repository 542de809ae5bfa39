"""Looking at images: one trace, and what every kind of evidence measures on the pixels."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from telltale.base.clock import Clock
from telltale.detectors.defence import Look
from telltale.evidence.evidence import Evidence
from telltale.evidence.mahalanobis_step import stepping
from telltale.evidence.readings import Readings
from telltale.evidence.reference import Reference
from telltale.kinds.registry import KINDS
from telltale.models.classifier import Classifier
from telltale.models.trace import Trace


@dataclass(frozen=True)
class Observed:
    """What a classifier makes of n images.

    Attributes
    ----------
    trace : Trace
    readings : Readings
        Empty where none were wanted.
    details : mapping of str to object
        What kinds of evidence have left for their views, by kind.
    """

    trace: Trace
    readings: Readings
    details: Mapping[str, object]


def observe_images(
    classifier: Classifier,
    images: npt.NDArray[np.float32],
    readings: bool = True,
    clock: Clock | None = None,
    kinds: Collection[str] = tuple(KINDS),
) -> Observed:
    """Trace images, and let every kind of evidence measure what it needs of their pixels.

    Parameters
    ----------
    classifier : Classifier
    images : array of float32, shape (n, C, H, W), in [0, 1]
    readings : bool
        Whether anything but the trace is wanted.
    clock : Clock, optional
        Told how long each part takes.
    kinds : collection of str
        Which of them measure.
    """
    clock = clock or Clock()
    with clock.timed("trace"):
        trace = classifier.trace(images)
    found: dict[str, npt.NDArray[np.float64]] = {}
    details: dict[str, object] = {}
    for name, kind in KINDS.items():
        if readings and kind.readings and name in kinds:
            with clock.timed(name):
                seen = kind.observe(classifier, images, trace)
            found |= seen.readings
            details[name] = seen.detail
    return Observed(trace, Readings(found), details)


def looking(classifier: Classifier, reference: Reference) -> Look:
    """Return how images are looked at, for attacks that know the exact scores (`Defence.scoring`)."""

    def look(images: npt.NDArray[np.float32], kinds: Collection[str]) -> Evidence:
        seen = observe_images(classifier, images, kinds=kinds)
        return Evidence(reference, seen.trace, seen.readings, stepping(classifier, images))

    return look
