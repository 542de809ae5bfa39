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
from telltale.kinds.kind import Kind
from telltale.kinds.registry import KINDS
from telltale.models.classifier import Classifier
from telltale.models.trace import Trace

Images = npt.NDArray[np.float32]
AT_ONCE = 6  # images of which all versions are held; for ten of each, a batch of the classifier


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
    measuring = {name: kind for name, kind in KINDS.items() if readings and kind.readings and name in kinds}
    with clock.timed("versions"):
        logits = _read_versions(classifier, images, measuring)
    found: dict[str, npt.NDArray[np.float64]] = {}
    details: dict[str, object] = {}
    for name, kind in measuring.items():
        with clock.timed(name):
            seen = kind.read(trace, logits[name]) if name in logits else kind.observe(classifier, images, trace)
        found |= seen.readings
        details[name] = seen.detail
    return Observed(trace, Readings(found), details)


def _read_versions(
    classifier: Classifier, images: Images, kinds: Mapping[str, Kind]
) -> dict[str, npt.NDArray[np.float32]]:
    """Read all versions that kinds of evidence ask for, and return their logits (m, n, classes) by kind.

    One pass reads those of all kinds: ten in a batch take half the time of ten by themselves.
    """
    read: dict[str, list[npt.NDArray[np.float32]]] = {}
    for start in range(0, len(images), AT_ONCE):
        part, versions = images[start : start + AT_ONCE], {}
        for name, kind in kinds.items():
            made = kind.versions(part)
            if made is not None:
                versions[name] = made
        if not versions:
            return {}
        together = np.concatenate(list(versions.values()))
        logits = classifier.logits_of(together.reshape(-1, *part.shape[1:])).reshape(*together.shape[:2], -1)
        ends = np.cumsum([len(made) for made in versions.values()])
        for name, own in zip(versions, np.split(logits, ends)[:-1], strict=True):
            read.setdefault(name, []).append(own)
    return {name: np.concatenate(parts, axis=1) for name, parts in read.items()}


def looking(classifier: Classifier, reference: Reference) -> Look:
    """Return how images are looked at, for attacks that know the exact scores (`Defence.scoring`)."""

    def look(images: npt.NDArray[np.float32], kinds: Collection[str]) -> Evidence:
        seen = observe_images(classifier, images, kinds=kinds)
        return Evidence(reference, seen.trace, seen.readings, stepping(classifier, images))

    return look
