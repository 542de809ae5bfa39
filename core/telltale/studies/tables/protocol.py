"""How detectors are judged in the tables: fitted on the fit split, settings chosen there, reported on test."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from telltale.building.fitting import select
from telltale.building.versions import Versions, labels_of
from telltale.detectors.base import Detector, Labels
from telltale.evidence.evidence import Evidence
from telltale.evidence.readings import Readings
from telltale.evidence.reference import Reference
from telltale.models.trace import Trace
from telltale.scores.metrics import auc, auc_interval, binomial_interval, roc_curve
from telltale.studies.tables.table import Cell

CURVE_POINTS = 200
NOTHING_TO_DETECT = "no attack succeeded"

Scores = npt.NDArray[np.float64]


@dataclass(frozen=True)
class LabelledEvidence:
    """Natural and adversarial images with what is known about them.

    Attributes
    ----------
    evidence : Evidence
    labels : Labels
    """

    evidence: Evidence
    labels: Labels

    @classmethod
    def of(cls, reference: Reference, natural: Versions, attacked: Sequence[Versions]) -> LabelledEvidence:
        """Join correctly classified natural images and successful attacks."""
        parts = [natural.succeeded(), *(versions.succeeded() for versions in attacked)]
        trace = Trace.concatenate([part.trace for part in parts])
        readings = Readings.concatenate([part.readings for part in parts])
        return cls(Evidence(reference, trace, readings), labels_of(parts))

    def fitted(self, kind: type[Detector]) -> Detector:
        """Choose a detector's settings by grouped cross-validation on these images, and fit it to them."""
        return select(kind, self.evidence, self.labels, self.labels.known_attacks).detector


def auc_cell(row: str, column: str, paper: float | None, scores: Scores, labels: Labels, note: str = "") -> Cell:
    """Return the AUC in percent with its interval and curve.

    Parameters
    ----------
    row, column : str
    paper : float or None
        In percent.
    scores : array of float64, shape (n,)
    labels : Labels of the n images
    note : str
    """
    hit = labels.adversarial
    if not hit.any():
        return Cell(row, column, paper, None, note=NOTHING_TO_DETECT)
    natural, attacked = scores[~hit], scores[hit]
    low, high = auc_interval(
        natural, attacked, natural_groups=labels.groups[~hit], adversarial_groups=labels.groups[hit]
    )
    ours, low, high = (100.0 * value for value in (auc(natural, attacked), low, high))
    return Cell(row, column, paper, ours, low, high, int(hit.sum()), note, *thinned_curve(natural, attacked))


def thinned_curve(natural: Scores, attacked: Scores) -> tuple[Scores, Scores]:
    """Return false- and true-positive rates of the ROC curve, at most `CURVE_POINTS` of them."""
    curve = roc_curve(natural, attacked)
    kept = np.unique(np.linspace(0, len(curve.fpr) - 1, CURVE_POINTS).round().astype(np.int64))
    return curve.fpr[kept], curve.tpr[kept]


def share_cell(row: str, column: str, paper: float | None, hits: npt.NDArray[np.bool_], note: str = "") -> Cell:
    """Return a share of images in percent with its binomial interval."""
    low, high = binomial_interval(int(hits.sum()), len(hits))
    return Cell(row, column, paper, 100.0 * float(hits.mean()), 100.0 * low, 100.0 * high, len(hits), note)


def balanced_cell(
    row: str,
    column: str,
    paper: float | None,
    rejected: npt.NDArray[np.bool_],
    adversarial: npt.NDArray[np.bool_],
    note: str = "",
) -> Cell:
    """Return the balanced accuracy of a decision in percent with its normal interval.

    Parameters
    ----------
    row, column : str
    paper : float or None
    rejected, adversarial : arrays of bool, shape (n,)
        What was decided, and the truth; both kinds are present.
    note : str
    """
    right = rejected == adversarial
    rates = np.array([right[adversarial].mean(), right[~adversarial].mean()])
    counts = np.array([adversarial.sum(), (~adversarial).sum()])
    share = 100.0 * float(rates.mean())
    spread = 98.0 * float(np.sqrt((rates * (1.0 - rates) / counts).sum()))
    low, high = max(0.0, share - spread), min(100.0, share + spread)
    return Cell(row, column, paper, share, low, high, int(adversarial.sum()), note)
