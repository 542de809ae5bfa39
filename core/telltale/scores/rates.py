"""Rates at a chosen alpha, from stored scores: false alarms, and what attacked images are shown as."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from telltale.detectors.fusion import ERROR_SCORE, FUSED
from telltale.scores.calibration import Calibration, check_alpha
from telltale.scores.contests import EVERY_ATTACK
from telltale.scores.controls import column_of, controls_in, with_controls
from telltale.scores.metrics import binomial_interval
from telltale.scores.table import (
    ADVERSARIAL,
    ATTACK,
    KIND,
    NATURAL,
    NATURAL_ERROR,
    SPLIT,
    attacks_in,
    numbers,
    scored_detectors,
)
from telltale.scores.titles import percent

ALL_NATURAL = "natural, read correctly or not"


@dataclass(frozen=True)
class Rate:
    """How many of how many.

    Attributes
    ----------
    count, total : int
    """

    count: int
    total: int

    @property
    def share(self) -> float:
        """Count over total; NaN where there is none."""
        return self.count / self.total if self.total else float("nan")

    @property
    def interval(self) -> tuple[float, float]:
        """Clopper-Pearson interval of the share at 95 %; all of [0, 1] where there is nothing to count."""
        return binomial_interval(self.count, self.total) if self.total else (0.0, 1.0)

    def to_json(self) -> dict[str, object]:
        """Return the rate as JSON holds it."""
        low, high = self.interval
        return {"count": self.count, "total": self.total, "share": self.share, "low": low, "high": high}


@dataclass(frozen=True)
class FalseAlarms:
    """False alarms of one detector or control at its threshold for alpha, on test images.

    Attributes
    ----------
    name : str
    correct : Rate
        Of the natural images that the classifier reads correctly: what the threshold was calibrated for.
    every : Rate
        Of all natural images, misread ones included.
    """

    name: str
    correct: Rate
    every: Rate

    def to_json(self) -> dict[str, object]:
        """Return the rates as JSON holds them."""
        return {"name": self.name, "correct": self.correct.to_json(), "every": self.every.to_json()}


@dataclass(frozen=True)
class ShownAs:
    """What the fused verdict shows one group of test images as.

    Attributes
    ----------
    group : str
        "natural", "natural_error", `ALL_NATURAL`, "all attacks" or one attack.
    adversarial, error, natural : Rate
        Shown as "Adversarial", as "Probably wrong, not attacked", and as "Looks natural"; together all images.
    """

    group: str
    adversarial: Rate
    error: Rate
    natural: Rate

    def to_json(self) -> dict[str, object]:
        """Return the shares as JSON holds them."""
        kinds = {"adversarial": self.adversarial, "error": self.error, "natural": self.natural}
        return {"group": self.group} | {kind: rate.to_json() for kind, rate in kinds.items()}


@dataclass(frozen=True)
class ErrorAnswer:
    """How often images are found wrong by themselves, at the error score's own threshold, whatever else is found.

    Attributes
    ----------
    correct, misread : Rate
        Of natural test images that are read correctly, and of those that are not.
    attacked : Rate
        Of those that an attack has changed.
    """

    correct: Rate
    misread: Rate
    attacked: Rate

    def to_json(self) -> dict[str, object]:
        """Return the rates as JSON holds them."""
        return {name: rate.to_json() for name, rate in vars(self).items()}


@dataclass(frozen=True)
class Rates:
    """Everything that happens at one alpha.

    Attributes
    ----------
    alpha : float
    alarms : tuple of FalseAlarms
        One per calibrated detector and per control.
    shown : tuple of ShownAs
        Empty where there is no calibrated fused verdict.
    errors : ErrorAnswer or None
        None where no calibrated score of natural errors is stored.
    """

    alpha: float
    alarms: tuple[FalseAlarms, ...]
    shown: tuple[ShownAs, ...]
    errors: ErrorAnswer | None

    def to_json(self) -> dict[str, object]:
        """Return the rates as JSON holds them."""
        return {
            "alpha": self.alpha,
            "false_alarms": [alarm.to_json() for alarm in self.alarms],
            "shown_as": [shown.to_json() for shown in self.shown],
            "error_answer": None if self.errors is None else self.errors.to_json(),
        }


def rates_of(scores: pa.Table, alpha: float, calibration: pa.Table | None = None) -> Rates:
    """Count alarms and verdicts among the test images of a table of scores.

    Thresholds come from correctly classified natural images of the calibration split, as those of a bundle do.

    Parameters
    ----------
    scores : pyarrow.Table
        With the columns of `Bundle.scores`.
    alpha : float
        False-positive rate of the thresholds, in (0, 1).
    calibration : pyarrow.Table, optional
        Holds the calibration split; `scores` where left out. Without one there are no thresholds, and nothing is
        counted.

    Raises
    ------
    InputError
        If alpha is not in (0, 1).
    """
    known = thresholds(scores if calibration is None else calibration, alpha)
    test = with_controls(scores).filter(pc.field(SPLIT) == "test")
    present = (*scored_detectors(test), *controls_in(test))
    alarms = tuple(_false_alarms(test, name, known[name]) for name in present if name in known)
    return Rates(alpha, alarms, _shown(test, known), _error_answer(test, known))


def false_alarms_at(
    scores: pa.Table, alphas: Iterable[float], calibration: pa.Table | None = None
) -> dict[float, tuple[FalseAlarms, ...]]:
    """Count the false alarms of every detector and control at several rates, by rate; see `rates_of`."""
    return {alpha: rates_of(scores, alpha, calibration).alarms for alpha in alphas}


def thresholds(scores: pa.Table, alpha: float) -> dict[str, float]:
    """Return the smallest score called adversarial at alpha, by detector, by control and for `ERROR_SCORE`.

    From the correctly classified natural images of the calibration split; empty without them.

    Parameters
    ----------
    scores : pyarrow.Table
    alpha : float
        In (0, 1).

    Raises
    ------
    InputError
        If alpha is not in (0, 1).
    """
    check_alpha(alpha)
    natural = with_controls(scores).filter((pc.field(SPLIT) == "calibration") & (pc.field(KIND) == NATURAL))
    columns = {name: column_of(name) for name in (*scored_detectors(natural), *controls_in(natural))}
    if ERROR_SCORE in natural.column_names:
        columns[ERROR_SCORE] = ERROR_SCORE
    if natural.num_rows == 0:
        return {}
    return {name: Calibration.of(numbers(natural, column)).threshold(alpha) for name, column in columns.items()}


def fused_kinds(
    attack: npt.NDArray[np.float64],
    error: npt.NDArray[np.float64] | None,
    attack_threshold: float,
    error_threshold: float,
) -> npt.NDArray[np.str_]:
    """Return what the fused verdict takes each of n images for; `telltale.scores.calibration.fused_kind` of many.

    Parameters
    ----------
    attack, error : array of float64, shape (n,)
        Fused scores; `error` is None where it was not fitted.
    attack_threshold, error_threshold : float

    Returns
    -------
    array of str, shape (n,)
        "natural", "error" or "adversarial".
    """
    wrong = np.zeros(len(attack), dtype=np.bool_) if error is None else error >= error_threshold
    likelier_wrong = wrong if error is None else wrong & (error > attack)
    adversarial = (attack >= attack_threshold) & ~likelier_wrong
    return np.where(adversarial, "adversarial", np.where(wrong, "error", "natural"))


def _false_alarms(test: pa.Table, name: str, threshold: float) -> FalseAlarms:
    reached = numbers(test, column_of(name)) >= threshold
    kinds = test.column(KIND).to_numpy(zero_copy_only=False)
    correct = kinds == NATURAL
    every = correct | (kinds == NATURAL_ERROR)
    return FalseAlarms(name, _rate(reached[correct]), _rate(reached[every]))


def _error_answer(test: pa.Table, known: Mapping[str, float]) -> ErrorAnswer | None:
    if ERROR_SCORE not in known or ERROR_SCORE not in test.column_names:
        return None
    reached = numbers(test, ERROR_SCORE) >= known[ERROR_SCORE]
    kinds = test.column(KIND).to_numpy(zero_copy_only=False)
    return ErrorAnswer(*(_rate(reached[kinds == kind]) for kind in (NATURAL, NATURAL_ERROR, ADVERSARIAL)))


def _shown(test: pa.Table, known: Mapping[str, float]) -> tuple[ShownAs, ...]:
    if FUSED not in known or FUSED not in scored_detectors(test):
        return ()
    with_errors = ERROR_SCORE in known and ERROR_SCORE in test.column_names
    kinds = fused_kinds(
        numbers(test, column_of(FUSED)),
        numbers(test, ERROR_SCORE) if with_errors else None,
        known[FUSED],
        known[ERROR_SCORE] if with_errors else np.inf,
    )
    return tuple(_shown_as(group, kinds[rows]) for group, rows in groups_of(test) if rows.any())


def error_sentence(found: ErrorAnswer) -> str:
    """Say how often the second answer is given by itself."""
    shares = [percent(rate.share) for rate in (found.misread, found.correct, found.attacked)]
    return (
        f"Asked by itself, “is it wrong without an attack?” is answered yes for {shares[0]} of the natural images that "
        f"are misread, {shares[1]} of those read correctly and {shares[2]} of the attacked ones."
    )


def groups_of(test: pa.Table) -> Sequence[tuple[str, npt.NDArray[np.bool_]]]:
    """Return which rows of the test images belong to each group of `ShownAs`, some to several; some have none."""
    kind, attack = (test.column(name).to_numpy(zero_copy_only=False) for name in (KIND, ATTACK))
    natural, wrong, attacked = (kind == name for name in (NATURAL, NATURAL_ERROR, ADVERSARIAL))
    one_attack = [(name, attacked & (attack == name)) for name in attacks_in(test)]
    sets = [(NATURAL, natural), (NATURAL_ERROR, wrong), (ALL_NATURAL, natural | wrong), (EVERY_ATTACK, attacked)]
    return [*sets, *one_attack]


def _shown_as(group: str, kinds: npt.NDArray[np.str_]) -> ShownAs:
    return ShownAs(group, *(_rate(kinds == kind) for kind in ("adversarial", "error", "natural")))


def _rate(chosen: npt.NDArray[np.bool_]) -> Rate:
    return Rate(int(chosen.sum()), len(chosen))
