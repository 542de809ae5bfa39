"""Versions of data-set images: natural and attacked, with what the classifier made of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from telltale.base.errors import InputError
from telltale.detectors.base import Labels
from telltale.evidence.evidence import Evidence
from telltale.evidence.readings import Readings
from telltale.evidence.reference import Reference
from telltale.models.trace import Trace
from telltale.scores.table import ADVERSARIAL, FAILED, NATURAL, NATURAL_ERROR

LEAST_READ = {"fit": 2, "calibration": 1, "test": 1}  # cross-validation parts two images
SERVES = {"fit": "to fit detectors to", "calibration": "to calibrate with", "test": "to test on"}


@dataclass(frozen=True)
class Versions:
    """Versions of data-set images that belong together: the natural ones of a split, or one attack on it.

    Attributes
    ----------
    split, attack : str
        `attack` is "" for natural images.
    ids, labels : array of int64, shape (n,)
        Data-set ids and true classes.
    trace : Trace of the n images
    readings : Readings of the n images
    success : array of bool, shape (n,)
        Whether the attack succeeded; for natural images, whether the prediction is right.
    linf, l2, l0 : array of float64, shape (n,)
    """

    split: str
    attack: str
    ids: npt.NDArray[np.int64]
    labels: npt.NDArray[np.int64]
    trace: Trace
    readings: Readings
    success: npt.NDArray[np.bool_]
    linf: npt.NDArray[np.float64]
    l2: npt.NDArray[np.float64]
    l0: npt.NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def kinds(self) -> npt.NDArray[np.str_]:
        """natural, natural_error, adversarial or failed, per image."""
        good, bad = (ADVERSARIAL, FAILED) if self.attack else (NATURAL, NATURAL_ERROR)
        return np.where(self.success, good, bad)

    @property
    def accuracy(self) -> float:
        """Share of images that the classifier labels right."""
        return float((self.trace.predictions == self.labels).mean())

    def take(self, rows: npt.NDArray[np.int64] | slice) -> Versions:
        """Return some of the images."""
        parts: dict[str, Any] = {
            name: value[rows] for name, value in vars(self).items() if isinstance(value, np.ndarray)
        }
        return replace(self, trace=self.trace.take(rows), readings=self.readings.take(rows), **parts)

    def succeeded(self) -> Versions:
        """Return the correctly classified natural images, or the successful attacks."""
        return self.take(np.flatnonzero(self.success))

    def evidence(self, reference: Reference) -> Evidence:
        """Return the evidence about all of them."""
        return Evidence(reference, self.trace, self.readings)


def check_read(natural: Sequence[Versions]) -> None:
    """Refuse natural images of which too few are read correctly for anything to be fitted, calibrated or judged.

    Raises
    ------
    InputError
        Naming the first split that is too small.
    """
    for versions in natural:
        read, least = int(versions.success.sum()), LEAST_READ[versions.split]
        if read < least:
            raise InputError(
                f"Of the {len(versions):,} images {SERVES[versions.split]} the network reads {read:,} correctly; a "
                f"build takes {least} at least: more images, or the right weights and preprocessing, would bring it."
            )


def labels_of(versions: Sequence[Versions]) -> Labels:
    """Return what detectors are to learn about every image of some versions, in their order."""
    return Labels(
        np.concatenate([np.full(len(v), bool(v.attack)) for v in versions]),
        np.concatenate([np.full(len(v), v.attack, dtype="<U32") for v in versions]),
        np.concatenate([v.ids for v in versions]),
    )
