"""The whole comparison: every detector and control against every attack, each beside the fused verdict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from telltale.detectors.fusion import ERROR_SCORE, FUSED
from telltale.scores.comparing import COMPARED_RATE, MACRO, PairedComparison
from telltale.scores.controls import CONTROLS
from telltale.scores.evaluation import Evaluation
from telltale.scores.metrics import DetectorMetrics
from telltale.scores.standings import ahead, standing_sentences
from telltale.scores.table import NATURAL_ERROR

_BY_RATE = ("tpr_at_fpr", "tpr_intervals")


@dataclass(frozen=True)
class LeaderboardRow:
    """One detector or control against one attack.

    Attributes
    ----------
    attack : str
        "macro" for the plain mean over the macro attacks, "natural_error" for misread natural images.
    name : str
        "error_score" stands for the fusion's own score of natural errors.
    control : bool
    auc, auc_low, auc_high, tpr, tpr_low, tpr_high : float
        `tpr` at a false-positive rate of 0.05, with 95 % intervals.
    tpr_at_fpr : mapping of float to float
        At false-positive rates of 0.01, 0.05 and 0.1.
    tpr_intervals : mapping of float to (float, float)
    fused : PairedComparison or None
        The fused verdict (against natural errors its score of errors, where it has one) minus this one; None for
        itself, and where there is none.
    """

    attack: str
    name: str
    control: bool
    auc: float
    auc_low: float
    auc_high: float
    tpr: float
    tpr_low: float
    tpr_high: float
    tpr_at_fpr: Mapping[float, float]
    tpr_intervals: Mapping[float, tuple[float, float]]
    fused: PairedComparison | None

    def to_json(self) -> dict[str, object]:
        """Return the row as JSON holds it."""
        plain = {name: value for name, value in vars(self).items() if name not in {"fused", *_BY_RATE}}
        by_rate = {name: {f"{rate:g}": value for rate, value in getattr(self, name).items()} for name in _BY_RATE}
        return {**plain, **by_rate, "fused_minus_this": None if self.fused is None else self.fused.to_json()}


@dataclass(frozen=True)
class Leaderboard:
    """Every row, the macro mean first, each attack's best first.

    Attributes
    ----------
    rows : tuple of LeaderboardRow
    sentences : tuple of str
        What the comparisons come to.
    ahead : tuple of PairedComparison
        Where another detector or a control has a larger AUC than the fused verdict (`telltale.scores.standings.ahead`).
    """

    rows: tuple[LeaderboardRow, ...]
    sentences: tuple[str, ...]
    ahead: tuple[PairedComparison, ...]

    def of(self, attack: str) -> tuple[LeaderboardRow, ...]:
        """Return the rows of one attack, the best first."""
        return tuple(row for row in self.rows if row.attack == attack)

    @property
    def attacks(self) -> tuple[str, ...]:
        """What there are rows of, in order."""
        return tuple(dict.fromkeys(row.attack for row in self.rows))


def leaderboard(evaluation: Evaluation) -> Leaderboard:
    """Rank everything that an evaluation measured.

    Parameters
    ----------
    evaluation : Evaluation
    """
    found = [_macro_row(evaluation, name) for name in evaluation.macro]
    rows = [row for row in found if row is not None]
    extra = () if evaluation.natural_errors is None else (evaluation.natural_errors,)
    rows += [_row(evaluation, figures) for figures in (*evaluation.rows, *evaluation.controls, *extra)]
    order = list(dict.fromkeys(row.attack for row in rows))
    rows.sort(key=lambda row: (order.index(row.attack), -row.auc))
    compared = [row.fused for row in rows if row.fused is not None]
    return Leaderboard(tuple(rows), standing_sentences(evaluation.standings), ahead(compared))


def _macro_row(evaluation: Evaluation, name: str) -> LeaderboardRow | None:
    macro = evaluation.macro[name]
    if macro is None:
        return None
    against = None
    if FUSED in evaluation.macro and name != FUSED:
        against = evaluation.joint.compare_macro(FUSED, name, evaluation.macro_attacks)
    return LeaderboardRow(
        MACRO,
        name,
        name in CONTROLS,
        macro.auc,
        macro.auc_low,
        macro.auc_high,
        macro.tpr,
        macro.tpr_low,
        macro.tpr_high,
        macro.tpr_at_fpr,
        macro.tpr_intervals,
        against,
    )


def _row(evaluation: Evaluation, figures: DetectorMetrics) -> LeaderboardRow:
    name, attack = figures.detector, figures.attack
    with_errors = attack == NATURAL_ERROR and evaluation.natural_errors is not None
    entrant, column = (ERROR_SCORE, ERROR_SCORE) if with_errors else (FUSED, None)
    against = None
    if FUSED in evaluation.macro and name != entrant:
        against = evaluation.joint.compare(entrant, name, attack, column)
    return LeaderboardRow(
        attack,
        name,
        name in CONTROLS,
        figures.auc,
        figures.auc_low,
        figures.auc_high,
        figures.tpr_at_fpr[COMPARED_RATE],
        *figures.tpr_intervals[COMPARED_RATE],
        figures.tpr_at_fpr,
        figures.tpr_intervals,
        against,
    )
