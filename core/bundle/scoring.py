"""The stored scores of a bundle: one row per evaluated image version."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from core.detectors.base import Detector
from core.evidence.evidence import Evidence

NATURAL, NATURAL_ERROR, ADVERSARIAL, FAILED = "natural", "natural_error", "adversarial", "failed"


@dataclass(frozen=True)
class Versions:
    """Versions of data-set images that belong together: the natural ones of a split, or one attack on it.

    Attributes
    ----------
    split, attack : str
        `attack` is "" for natural images.
    ids, labels : array of int64, shape (n,)
        Data-set ids and true classes.
    evidence : Evidence
    success : array of bool, shape (n,)
        Whether the attack succeeded; for natural images, whether the prediction is right.
    linf, l2, l0 : array of float64, shape (n,)
    """

    split: str
    attack: str
    ids: npt.NDArray[np.int64]
    labels: npt.NDArray[np.int64]
    evidence: Evidence
    success: npt.NDArray[np.bool_]
    linf: npt.NDArray[np.float64]
    l2: npt.NDArray[np.float64]
    l0: npt.NDArray[np.float64]

    @property
    def kinds(self) -> npt.NDArray[np.str_]:
        """natural, natural_error, adversarial or failed, per image."""
        good, bad = (ADVERSARIAL, FAILED) if self.attack else (NATURAL, NATURAL_ERROR)
        return np.where(self.success, good, bad)


def score_table(versions: Sequence[Versions], detectors: Mapping[str, Detector]) -> pa.Table:
    """Score every image version with every detector.

    Returns
    -------
    pyarrow.Table
        The columns that docs/design.md lists.
    """
    return pa.concat_tables([_rows(part, detectors) for part in versions])


def _rows(part: Versions, detectors: Mapping[str, Detector]) -> pa.Table:
    evidence, n = part.evidence, len(part.ids)
    predictions = evidence.predictions
    own = np.arange(n), predictions
    columns: dict[str, npt.NDArray[np.generic] | list[str]] = {
        "image_id": part.ids,
        "split": [part.split] * n,
        "kind": part.kinds,
        "attack": [part.attack] * n,
        "label": part.labels,
        "prediction": predictions,
        "confidence": evidence.trace.probabilities[own],
        "linf": part.linf,
        "l2": part.l2,
        "l0": part.l0,
        "mean_entropy": evidence.mean_entropy,
        "log_density": evidence.log_density[own],
    }
    columns.update({f"score_{name}": detector.score(evidence) for name, detector in detectors.items()})
    return pa.table({key: pa.array(value) for key, value in columns.items()})
