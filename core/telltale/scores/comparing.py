"""Which of two does better on the same images: paired differences over resamples that both share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from telltale.base.errors import InputError
from telltale.scores.contests import Contest
from telltale.scores.controls import column_of
from telltale.scores.metrics import (
    FALSE_POSITIVE_RATES,
    DetectorMetrics,
    auc,
    measure,
    resample_apart,
    tpr_at_fpr,
)
from telltale.scores.resampling import N_BOOTSTRAP, Draw, Resampled, draw_apart, draw_together, interval, resample
from telltale.scores.table import IMAGE_ID, numbers

Doubles = npt.NDArray[np.float64]
Outcome: TypeAlias = Literal["better", "equal", "worse"]

COMPARED_RATE = 0.05  # the false-positive rate of the true-positive rates that are compared
MACRO = "macro"


@dataclass(frozen=True)
class Difference:
    """A figure of one minus that of another, over the same images.

    Attributes
    ----------
    value, low, high : float
        With its 95 % interval by the paired bootstrap.
    """

    value: float
    low: float
    high: float

    @property
    def outcome(self) -> Outcome:
        """What is said of the first: "equal" where the interval covers 0."""
        if self.low > 0.0:
            return "better"
        return "worse" if self.high < 0.0 else "equal"

    def to_json(self) -> dict[str, object]:
        """Return the difference as JSON holds it."""
        return {"value": self.value, "low": self.low, "high": self.high, "outcome": self.outcome}


@dataclass(frozen=True)
class PairedComparison:
    """Two detectors or controls against the same images.

    Attributes
    ----------
    first, second, attack : str
        `attack` is "macro" where it is the plain mean over several.
    auc, tpr : Difference
        First minus second; `tpr` at a false-positive rate of 0.05.
    """

    first: str
    second: str
    attack: str
    auc: Difference
    tpr: Difference

    def to_json(self) -> dict[str, object]:
        """Return the comparison as JSON holds it."""
        return {
            "first": self.first,
            "second": self.second,
            "attack": self.attack,
            "auc": self.auc.to_json(),
            "tpr": self.tpr.to_json(),
        }


@dataclass(frozen=True)
class Macro:
    """The plain mean over several attacks, their images resampled jointly.

    Attributes
    ----------
    auc, auc_low, auc_high, tpr, tpr_low, tpr_high : float
        `tpr` at a false-positive rate of 0.05; 95 % bootstrap intervals.
    tpr_at_fpr : mapping of float to float
        For every rate of `FALSE_POSITIVE_RATES`.
    tpr_intervals : mapping of float to (float, float)
    """

    auc: float
    auc_low: float
    auc_high: float
    tpr: float
    tpr_low: float
    tpr_high: float
    tpr_at_fpr: Mapping[float, float]
    tpr_intervals: Mapping[float, tuple[float, float]]

    def to_json(self) -> dict[str, object]:
        """Return the means as JSON holds them."""
        return vars(self) | {
            "tpr_at_fpr": {f"{rate:g}": value for rate, value in self.tpr_at_fpr.items()},
            "tpr_intervals": {f"{rate:g}": list(ends) for rate, ends in self.tpr_intervals.items()},
        }


def compare(first: Contest, second: Contest, seed: int = 0, n_resamples: int = N_BOOTSTRAP) -> PairedComparison:
    """Compare two detectors or controls on the same images, by the paired bootstrap.

    Every resample draws whole images with all their versions, the same for both.

    Parameters
    ----------
    first, second : Contest
    seed, n_resamples : int

    Raises
    ------
    InputError
        If their images differ or there are none.
    """
    sides = ((first.natural, second.natural), (first.adversarial, second.adversarial))
    if first.attack != second.attack or not all(np.array_equal(one.ids, other.ids) for one, other in sides):
        raise InputError("Only scores of the same images can be compared in pairs.")
    natural, adversarial = first.natural.ids, first.adversarial.ids
    if np.isin(adversarial, natural).any():
        draw = draw_together(natural, [adversarial], seed, n_resamples)
    else:
        draw = draw_apart(len(natural), len(adversarial), seed, n_resamples)
    one, other = (
        resample(item.natural.values, [item.adversarial.values], draw, [COMPARED_RATE])[0] for item in (first, second)
    )
    values = [(item.natural.values, item.adversarial.values) for item in (first, second)]
    return PairedComparison(first.detector, second.detector, first.attack, *_differences(values, one, other))


@dataclass
class JointBootstrap:
    """Detectors and controls against several sets of test images, all over the same resamples.

    Attributes
    ----------
    natural : pyarrow.Table
        Rows of the correctly classified natural images, controls added.
    groups : mapping of str to pyarrow.Table
        Rows of the other images by attack; those that share no image with `natural` are drawn apart from it.
    seed, n_resamples : int
    paired : tuple of str
        The sets that share images with `natural`.
    """

    natural: pa.Table
    groups: Mapping[str, pa.Table]
    seed: int
    n_resamples: int = N_BOOTSTRAP
    paired: tuple[str, ...] = field(init=False)
    _together: dict[str, dict[str, Resampled]] = field(default_factory=dict)
    _draw: Draw | None = None

    def __post_init__(self) -> None:
        ids = numbers(self.natural, IMAGE_ID)
        self.paired = tuple(name for name, rows in self.groups.items() if np.isin(numbers(rows, IMAGE_ID), ids).any())

    def metrics(self, name: str, attack: str, column: str | None = None) -> DetectorMetrics:
        """Return every published figure of one detector or control against one set of images."""
        natural, images = self._values(name, attack, column)
        if attack in self.paired:
            resampled = self._resampled(name, attack, column)
        else:
            resampled = resample_apart(natural, images, self.seed, self.n_resamples)
        return measure(name, attack, natural, images, resampled)

    def auc(self, name: str, attack: str, column: str | None = None) -> float:
        """Return the area under one ROC curve, at once."""
        return auc(*self._values(name, attack, column))

    def macro(self, name: str, attacks: Sequence[str]) -> Macro:
        """Return the means over several attacks, which must be paired with the natural images."""
        value, areas = self._mean_area(name, attacks)
        rates = {rate: self._mean_rate(name, attacks, rate) for rate in FALSE_POSITIVE_RATES}
        means = {rate: mean for rate, (mean, _) in rates.items()}
        ends = {rate: interval(resampled) for rate, (_, resampled) in rates.items()}
        return Macro(value, *interval(areas), means[COMPARED_RATE], *ends[COMPARED_RATE], means, ends)

    def compare(self, first: str, second: str, attack: str, column: str | None = None) -> PairedComparison:
        """Compare two on one set of images; `column` holds the first's scores where it is no detector's."""
        sides = [(first, column), (second, None)]
        one, other = (self._resampled(name, attack, held) for name, held in sides)
        values = [self._values(name, attack, held) for name, held in sides]
        return PairedComparison(first, second, attack, *_differences(values, one, other))

    def compare_macro(self, first: str, second: str, attacks: Sequence[str]) -> PairedComparison:
        """Compare the means of two over several attacks, which must be paired with the natural images."""
        areas = [self._mean_area(name, attacks) for name in (first, second)]
        rates = [self._mean_rate(name, attacks, COMPARED_RATE) for name in (first, second)]
        differences = (_difference(a - c, b - d) for (a, b), (c, d) in (areas, rates))
        return PairedComparison(first, second, MACRO, *differences)

    def _mean_area(self, name: str, attacks: Sequence[str]) -> tuple[float, Doubles]:
        """Return the mean AUC, and that of every resample."""
        resampled = [self._resampled(name, attack).auc for attack in attacks]
        return float(np.mean([self.auc(name, attack) for attack in attacks])), np.mean(resampled, axis=0)

    def _mean_rate(self, name: str, attacks: Sequence[str], rate: float) -> tuple[float, Doubles]:
        """Return the mean true-positive rate at a false-positive rate, and that of every resample."""
        resampled = [self._resampled(name, attack).tpr[rate] for attack in attacks]
        values = [tpr_at_fpr(*self._values(name, attack), rate) for attack in attacks]
        return float(np.mean(values)), np.mean(resampled, axis=0)

    def _values(self, name: str, attack: str, column: str | None = None) -> tuple[Doubles, Doubles]:
        column = column or column_of(name)
        return numbers(self.natural, column), numbers(self.groups[attack], column)

    def _resampled(self, name: str, attack: str, column: str | None = None) -> Resampled:
        """Return one's resamples against one set: all paired sets at once, which share the work on natural images."""
        if attack not in self.paired:
            natural, images = self._values(name, attack, column)
            draw = draw_apart(len(natural), len(images), self.seed, self.n_resamples)
            return resample(natural, [images], draw, FALSE_POSITIVE_RATES)[0]
        key = column or column_of(name)
        if key not in self._together:
            sets = [numbers(self.groups[group], key) for group in self.paired]
            found = resample(numbers(self.natural, key), sets, self._drawn(), FALSE_POSITIVE_RATES)
            self._together[key] = dict(zip(self.paired, found, strict=True))
        return self._together[key][attack]

    def _drawn(self) -> Draw:
        if self._draw is None:
            groups = [numbers(self.groups[name], IMAGE_ID) for name in self.paired]
            self._draw = draw_together(numbers(self.natural, IMAGE_ID), groups, self.seed, self.n_resamples)
        return self._draw


def _tpr(natural: Doubles, images: Doubles) -> float:
    return tpr_at_fpr(natural, images, COMPARED_RATE)


def _differences(
    values: Sequence[tuple[Doubles, Doubles]], one: Resampled, other: Resampled
) -> tuple[Difference, Difference]:
    """Return how two differ in AUC and in true-positive rate, from both's (natural, other) scores and resamples."""
    rates = one.tpr[COMPARED_RATE] - other.tpr[COMPARED_RATE]
    return (
        _difference(auc(*values[0]) - auc(*values[1]), one.auc - other.auc),
        _difference(_tpr(*values[0]) - _tpr(*values[1]), rates),
    )


def _difference(value: float, resampled: Doubles) -> Difference:
    return Difference(value, *interval(resampled))
