"""What is read off an analysis: rivals, changes, the likeliest classes, who notices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from telltale.analysis.results import Prediction
from telltale.scores.verdicts import Verdict

Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True)
class PivotDistances:
    """Distances of one image to two named pivots and to all other ones, per layer.

    Attributes
    ----------
    own, rival : array of float64, shape (L,)
        Distance to the first and the second class's pivot.
    low, high : array of float64, shape (L,)
        Range over every other class.
    """

    own: Doubles
    rival: Doubles
    low: Doubles
    high: Doubles


def pivot_distances(distances: npt.NDArray[np.floating], own: int, rival: int) -> PivotDistances:
    """Split an (L, C) table of pivot distances into two named classes and the range of the rest that have pivots."""
    table = np.asarray(distances, dtype=np.float64)
    known = ~np.isnan(table).any(axis=0)
    others = known & ~np.isin(np.arange(table.shape[1]), [own, rival])
    rest = table[:, others if others.any() else known]
    return PivotDistances(table[:, own], table[:, rival], rest.min(axis=1), rest.max(axis=1))


def nearest_other(distances: npt.NDArray[np.floating], own: int, similarity: bool) -> int:
    """Return the class other than `own` whose pivot is nearest on the last layer."""
    last = np.array(distances[-1], dtype=np.float64)
    order = np.argsort(-last if similarity else last, kind="stable")
    return int(next((c for c in order if c != own), own))


def first_lasting_change(labels: Sequence[int]) -> int | None:
    """Return the first index from which, to the end, the label differs from the first one; None if it ends there."""
    same = [index for index, label in enumerate(labels) if label == labels[0]]
    last = same[-1]
    return last + 1 if last + 1 < len(labels) else None


def top_classes(prediction: Prediction, count: int) -> tuple[tuple[int, float], ...]:
    """Return the likeliest classes with their probabilities, descending."""
    order = np.argsort(-prediction.probabilities, kind="stable")[:count]
    return tuple((int(c), float(prediction.probabilities[c])) for c in order)


def count_noticing(verdicts: Sequence[Verdict]) -> tuple[int, int]:
    """Return how many calibrated detectors call the image adversarial, and how many are calibrated."""
    calibrated = [v for v in verdicts if v.adversarial is not None]
    return sum(bool(v.adversarial) for v in calibrated), len(calibrated)


def strongest_contributions(contributions: Mapping[str, float], count: int) -> tuple[tuple[str, float], ...]:
    """Return the detectors that moved a fused verdict most, either way, the strongest first."""
    return tuple(sorted(contributions.items(), key=lambda item: -abs(item[1]))[:count])
