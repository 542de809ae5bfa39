"""How evaluations and leaderboards are written: tables that fit 80 columns, and sentences that hide nothing."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich import box
from rich.table import Column, Table

from telltale.base.terminal import plain_console
from telltale.scores.controls import CONTROLS
from telltale.scores.metrics import FALSE_POSITIVE_RATES
from telltale.scores.rates import error_sentence
from telltale.scores.shift import shift_sentences
from telltale.scores.standings import ahead_sentence, standing_sentences, where
from telltale.scores.titles import percent

if TYPE_CHECKING:
    from typing import TypeAlias

    from telltale.analysis.costs import Costs
    from telltale.scores.comparing import Macro, PairedComparison
    from telltale.scores.evaluation import Evaluation
    from telltale.scores.leaderboard import Leaderboard, LeaderboardRow
    from telltale.scores.rates import FalseAlarms, Rate, Rates
    from telltale.scores.rejection import Success
    from telltale.scores.shift import AlarmsUnderShift, ShiftAlarms

    Ends: TypeAlias = tuple[float, float]

# No vertical lines and no names cut: a line for each figure even where there are only 80 columns.
SHIFTS_ABREAST = 4  # what 80 columns hold
THIN: Mapping[str, Any] = {"box": box.SIMPLE_HEAVY, "pad_edge": False, "collapse_padding": True}


def evaluation_table(evaluation: Evaluation) -> Table:
    """Lay out every detector, and every control in brackets, against every attack."""
    found = [*evaluation.rows, *evaluation.controls]
    table = _ranking(["attack"], [_name(row.detector) for row in found])
    for row in found:
        figures = _figures(row.auc, (row.auc_low, row.auc_high), row.tpr_at_fpr[0.05], row.tpr_intervals[0.05])
        table.add_row(_name(row.detector), row.attack, *figures)
    for name, macro in evaluation.macro.items():
        known = ["-"] if macro is None else _macro_figures(macro)
        table.add_row(_name(name), "macro", *known)
    return table


def print_remarks(evaluation: Evaluation) -> None:
    """Print what the figures come to: controls, the verdict beside the best of the others, and rates at alpha."""
    _print_lines([controls_sentence(row.detector for row in evaluation.controls)])
    _print_lines(standing_sentences(evaluation.standings))
    print_rates(evaluation.rates)


def controls_sentence(names: Iterable[str]) -> str:
    """Say which rows are controls."""
    known = [f"({name}) {CONTROLS[name].title}" for name in dict.fromkeys(names)]
    return f"In brackets, controls that cost nothing: {', '.join(known)}."


def print_rates(rates: Rates) -> None:
    """Print false alarms and what the fused verdict shows images as; nothing without calibration images."""
    print_false_alarms(rates.alpha, rates.alarms)
    print_shown(rates)


def print_false_alarms(alpha: float, alarms: Sequence[FalseAlarms]) -> None:
    """Print how many natural images every detector and control alarms on; nothing without calibration images."""
    if not alarms:
        return
    asked = f"False alarms at α {percent(alpha)} on natural test images: "
    _print_lines([f"{asked}those read correctly, and all, misread ones included."])
    first = alarms[0]
    heads = (f"{first.correct.total:,} read correctly", "95 % interval", f"all {first.every.total:,}")
    table = Table(Column("", no_wrap=True), *heads, "95 % interval", **THIN)
    for alarm in alarms:
        table.add_row(_name(alarm.name), *_rate(alarm.correct), *_rate(alarm.every))
    plain_console().print(table)


def print_shown(rates: Rates) -> None:
    """Print what the fused verdict shows images as; nothing without calibration images."""
    if not rates.shown:
        return
    _print_lines([f"What the fused verdict shows images as, at α {percent(rates.alpha)}:"])
    table = Table(Column("images", no_wrap=True), "number", "adversarial", "probably wrong", "looks natural", **THIN)
    for shown in rates.shown:
        shares = (percent(rate.share) for rate in (shown.adversarial, shown.error, shown.natural))
        table.add_row(shown.group, f"{shown.adversarial.total:,}", *shares)
    plain_console().print(table)
    if rates.errors is not None:
        _print_lines([error_sentence(rates.errors)])


def print_leaderboard(found: Leaderboard, costs: Costs | None = None) -> None:
    """Print one table per attack, the best row first, each beside the fused verdict, and what costs were measured."""
    for attack in found.attacks:
        plain_console().print(_attack_table(attack, found.of(attack), costs))
    _print_lines([controls_sentence(row.name for row in found.rows if row.control)])
    _print_lines(
        [
            "None of these attackers knows the detectors; those who do stand at the end. 95 % intervals stand below "
            "their figures.",
            "fused is: better or worse where the 95 % interval of the paired difference in AUC leaves 0 out, else "
            "equal; the difference stands below. Resamples draw whole images with all their versions.",
            *([] if costs is None else [costs.sentence()]),
            *found.sentences,
        ]
    )
    _print_ahead(found.ahead)


def _attack_table(attack: str, rows: Sequence[LeaderboardRow], costs: Costs | None) -> Table:
    heads = [f"TPR@{100 * rate:g}%" for rate in FALSE_POSITIVE_RATES]
    columns = ["detector", "AUC", *heads, "fused\nis", *([] if costs is None else ["cost"])]
    table = Table(*(Column(name, no_wrap=True) for name in columns), title=attack, title_justify="left", **THIN)
    for row in rows:
        area = f"{row.auc:.3f}\n{row.auc_low:.3f}–{row.auc_high:.3f}"
        rates = [(row.tpr_at_fpr[rate], *row.tpr_intervals[rate]) for rate in FALSE_POSITIVE_RATES]
        cost = [] if costs is None else [costs.said_of(row.name)]
        said = ("{:.3f}\n{:.2f}–{:.2f}".format(*figures) for figures in rates)
        table.add_row(_name(row.name), area, *said, _beside(row.fused), *cost)
    return table


def _print_ahead(found: Sequence[PairedComparison]) -> None:
    """Print where another is ahead of the fused verdict, and by how much."""
    _print_lines(["", "Where the fused verdict is beaten", ahead_sentence(found)])
    if not found:
        return
    unbroken = (Column(head, no_wrap=True) for head in ("by", "AUC ahead by", "95 % interval"))
    table = Table("on", *unbroken, "fused is", **THIN)
    for pair in found:
        ends = f"{-pair.auc.high:.3f} to {-pair.auc.low:.3f}"
        table.add_row(where(pair), _name(pair.second), f"{-pair.auc.value:.3f}", ends, pair.auc.outcome)
    plain_console().print(table)


def print_shift(found: ShiftAlarms) -> None:
    """Print alarms on natural images that were changed a little, per kind of change."""
    sentence = (
        f"Alarms at α {percent(found.alpha)} on {found.images:,} natural test images, each changed a little and still "
        "read correctly:"
    )
    _print_lines([sentence])
    for start in range(0, len(found.shifts), SHIFTS_ABREAST):
        plain_console().print(_shift_table(found.names, found.shifts[start : start + SHIFTS_ABREAST]))
    _print_lines(shift_sentences(found))


def _shift_table(names: Sequence[str], shifts: Sequence[AlarmsUnderShift]) -> Table:
    table = Table(Column("", no_wrap=True), *(shift.title for shift in shifts), **THIN)
    table.add_row("still read correctly", *(f"{shift.kept:,}" for shift in shifts))
    for name in names:
        table.add_row(_name(name), *(percent(shift.alarms[name].share) for shift in shifts))
    return table


def print_beaten(title: str, alpha: float, found: Sequence[Success]) -> None:
    """Print what attackers achieve who know the detectors, or do not, budget by budget."""
    _print_lines([f"{title}: of all attacked images, at α {percent(alpha)}:"])
    table = Table("attack", "ε in levels", "wrong", "and not rejected", "95 % interval", "images", **THIN)
    for success in found:
        shares = (percent(success.before.share), *_rate(success.after))
        table.add_row(success.title, str(success.eps), *shares, f"{success.after.total:,}")
    plain_console().print(table)


def print_missing(what: str, command: str) -> None:
    """Say in one line that something is not stored, and what makes it."""
    _print_lines([f"{what}: nothing is stored for this model; `{command}` makes it."])


def _ranking(columns: Sequence[str], names: Sequence[str]) -> Table:
    widest = max(map(len, names), default=0)
    named = (Column("detector", min_width=widest, no_wrap=True), *(Column(name, no_wrap=True) for name in columns))
    return Table(*named, "AUC", Column("95 % interval", no_wrap=True), "TPR@5%", Column("95 % interval"), **THIN)


def _name(name: str) -> str:
    return f"({name})" if name in CONTROLS else name


def _macro_figures(row: Macro) -> list[str]:
    return _figures(row.auc, (row.auc_low, row.auc_high), row.tpr, (row.tpr_low, row.tpr_high))


def _figures(auc: float, auc_ends: Ends, tpr: float, tpr_ends: Ends) -> list[str]:
    return [f"{auc:.3f}", "{:.3f}–{:.3f}".format(*auc_ends), f"{tpr:.3f}", "{:.3f}–{:.3f}".format(*tpr_ends)]


def _rate(rate: Rate) -> list[str]:
    low, high = (f"{100 * end:.2f}" for end in rate.interval)
    return [percent(rate.share), f"{low}–{high}"]


def _beside(pair: PairedComparison | None) -> str:
    return "" if pair is None else f"{pair.auc.outcome}\n{pair.auc.value:+.3f}"


def _print_lines(lines: Iterable[str]) -> None:
    for line in lines:
        sys.stdout.write(f"{line}\n")
