"""Cells of other figures than the AUC, with intervals from resampled images."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from telltale.base.errors import InputError
from telltale.detectors.base import Labels
from telltale.scores.metrics import auc, eer_accuracy, macro_auc, tpr_at_fpr
from telltale.studies.tables.protocol import NOTHING_TO_DETECT, Scores, thinned_curve
from telltale.studies.tables.table import Cell

RESAMPLES = 500

Figure: TypeAlias = Callable[[Scores, Labels], float]


def eer_cell(row: str, column: str, paper: float | None, scores: Scores, labels: Labels, note: str = "") -> Cell:
    """Return the accuracy at the equal error rate in percent with its interval and curve.

    Parameters
    ----------
    row, column : str
    paper : float or None
        In percent.
    scores : array of float64, shape (n,)
    labels : Labels of the n images
    note : str
    """
    return figure_cell(row, column, paper, lambda s, t: eer_accuracy(*by_kind(s, t)), scores, labels, note, curve=True)


def tpr_cell(
    row: str, column: str, paper: float | None, rate: float, scores: Scores, labels: Labels, note: str = ""
) -> Cell:
    """Return the true-positive rate at a false-positive rate in percent; otherwise as `eer_cell`."""

    def figure(scores: Scores, labels: Labels) -> float:
        return tpr_at_fpr(*by_kind(scores, labels), rate)

    return figure_cell(row, column, paper, figure, scores, labels, note, curve=True)


def macro_cell(row: str, column: str, paper: float | None, scores: Scores, labels: Labels, note: str = "") -> Cell:
    """Return the unweighted mean over attacks of the AUC in percent; otherwise as `eer_cell`, without a curve."""
    return figure_cell(row, column, paper, _macro_auc, scores, labels, note)


def figure_cell(
    row: str,
    column: str,
    paper: float | None,
    figure: Figure,
    scores: Scores,
    labels: Labels,
    note: str = "",
    curve: bool = False,
) -> Cell:
    """Return a figure of scores in percent with its interval.

    Parameters
    ----------
    row, column : str
    paper : float or None
        In percent.
    figure : callable
        Takes scores and their labels and returns a share.
    scores : array of float64, shape (n,)
    labels : Labels of the n images
    note : str
    curve : bool
        Whether the ROC curve of all of them is the one behind the figure.
    """
    hit = labels.adversarial
    if not hit.any():
        return Cell(row, column, paper, None, note=NOTHING_TO_DETECT)
    low, high = (100.0 * value for value in resampled_interval(figure, scores, labels))
    behind = thinned_curve(scores[~hit], scores[hit]) if curve else ()
    return Cell(row, column, paper, 100.0 * figure(scores, labels), low, high, int(hit.sum()), note, *behind)


def mean_cell(row: str, column: str, paper: float | None, shares: Scores, note: str = "") -> Cell:
    """Return the mean of one share per image, shape (n,), in percent with its interval."""
    if len(shares) == 0:
        return Cell(row, column, paper, None, note=NOTHING_TO_DETECT)
    drawn = np.random.default_rng(0).integers(0, len(shares), (RESAMPLES, len(shares)))
    low, high = (100.0 * float(limit) for limit in np.percentile(shares[drawn].mean(1), [2.5, 97.5]))
    return Cell(row, column, paper, 100.0 * float(shares.mean()), low, high, len(shares), note)


def resampled_interval(figure: Figure, scores: Scores, labels: Labels) -> tuple[float, float]:
    """95 % percentile bootstrap interval; an image is drawn with all its versions, seeded.

    Parameters
    ----------
    figure : callable
    scores : array of float64, shape (n,)
    labels : Labels of the n images

    Raises
    ------
    InputError
        If no resample holds natural and adversarial images.
    """
    images, codes = np.unique(labels.groups, return_inverse=True)
    draws = np.random.default_rng(0)
    found = []
    for _ in range(RESAMPLES):
        times = np.bincount(draws.integers(0, len(images), len(images)), minlength=len(images))
        rows = np.repeat(np.arange(len(codes)), times[codes])
        part = labels.take(rows)
        if part.adversarial.any() and not part.adversarial.all():
            found.append(figure(scores[rows], part))
    if not found:
        raise InputError("There are too few images for a bootstrap interval.")
    low, high = np.percentile(found, [2.5, 97.5])
    return float(low), float(high)


def against(labels: Labels, *attacks: str) -> npt.NDArray[np.int64]:
    """Return the rows of the natural images and of some attacks."""
    return np.flatnonzero(~labels.adversarial | np.isin(labels.attacks, attacks))


def by_kind(scores: Scores, labels: Labels) -> tuple[Scores, Scores]:
    """Return the scores of the natural and of the adversarial images."""
    return scores[~labels.adversarial], scores[labels.adversarial]


def _macro_auc(scores: Scores, labels: Labels) -> float:
    natural, names = scores[~labels.adversarial], np.unique(labels.attacks[labels.adversarial])
    return macro_auc({str(name): auc(natural, scores[labels.attacks == name]) for name in names})
