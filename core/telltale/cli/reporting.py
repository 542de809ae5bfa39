"""How evaluations and leaderboards are written: tables that fit 80 columns, and sentences that hide nothing."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.table import Column, Table

from telltale.scores.controls import CONTROLS
from telltale.scores.standings import standing_sentences
from telltale.scores.titles import percent

if TYPE_CHECKING:
    from typing import TypeAlias

    from telltale.building.shifting import ShiftAlarms
    from telltale.scores.comparing import Macro, PairedComparison
    from telltale.scores.evaluation import Evaluation
    from telltale.scores.leaderboard import Leaderboard, LeaderboardRow
    from telltale.scores.rates import Rate, Rates

    Ends: TypeAlias = tuple[float, float]

# No vertical lines and no names cut: a line for each figure even where there are only 80 columns.
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
    alpha = percent(rates.alpha)
    if rates.alarms:
        _print_lines(
            [f"False alarms at α {alpha} on natural test images: those read correctly, and all, misread ones included."]
        )
        first = rates.alarms[0]
        heads = (f"{first.correct.total:,} read correctly", "95 % interval", f"all {first.every.total:,}")
        table = Table(Column("", no_wrap=True), *heads, "95 % interval", **THIN)
        for alarm in rates.alarms:
            table.add_row(_name(alarm.name), *_rate(alarm.correct), *_rate(alarm.every))
        Console().print(table)
    if rates.shown:
        _print_lines([f"What the fused verdict shows images as, at α {alpha}:"])
        table = Table(
            Column("images", no_wrap=True), "number", "adversarial", "probably wrong", "looks natural", **THIN
        )
        for shown in rates.shown:
            shares = (percent(rate.share) for rate in (shown.adversarial, shown.error, shown.natural))
            table.add_row(shown.group, f"{shown.adversarial.total:,}", *shares)
        Console().print(table)


def print_leaderboard(found: Leaderboard) -> None:
    """Print one table per attack, the best row first, each beside the fused verdict."""
    for attack in found.attacks:
        rows = found.of(attack)
        table = _ranking([], [_name(row.name) for row in rows])
        table.title, table.title_justify = attack, "left"
        table.add_column("fused is", no_wrap=True)
        for row in rows:
            table.add_row(_name(row.name), *_macro_figures(row), _beside(row.fused))
        Console().print(table)
    _print_lines([controls_sentence(row.name for row in found.rows if row.control)])
    _print_lines(
        [
            "fused is: better or worse where the 95 % interval of the paired difference in AUC leaves 0 out, else "
            "equal; the difference stands beside it. Resamples draw whole images with all their versions.",
            *found.sentences,
        ]
    )


def print_shift(found: ShiftAlarms) -> None:
    """Print alarms on natural images that were changed a little, per kind of change."""
    sentence = (
        f"Alarms at α {percent(found.alpha)} on {found.images:,} natural test images, each changed a little and still "
        "read correctly:"
    )
    _print_lines([sentence])
    names = [shift.title for shift in found.shifts]
    table = Table(Column("", no_wrap=True), *names, **THIN)
    table.add_row("still read correctly", *(f"{shift.kept:,}" for shift in found.shifts))
    for name in found.names:
        table.add_row(_name(name), *(percent(shift.alarms[name].share) for shift in found.shifts))
    Console().print(table)


def _ranking(columns: Sequence[str], names: Sequence[str]) -> Table:
    widest = max(map(len, names), default=0)
    named = (Column("detector", min_width=widest, no_wrap=True), *(Column(name, no_wrap=True) for name in columns))
    return Table(*named, "AUC", Column("95 % interval", no_wrap=True), "TPR@5%", Column("95 % interval"), **THIN)


def _name(name: str) -> str:
    return f"({name})" if name in CONTROLS else name


def _macro_figures(row: Macro | LeaderboardRow) -> list[str]:
    return _figures(row.auc, (row.auc_low, row.auc_high), row.tpr, (row.tpr_low, row.tpr_high))


def _figures(auc: float, auc_ends: Ends, tpr: float, tpr_ends: Ends) -> list[str]:
    return [f"{auc:.3f}", "{:.3f}–{:.3f}".format(*auc_ends), f"{tpr:.3f}", "{:.3f}–{:.3f}".format(*tpr_ends)]


def _rate(rate: Rate) -> list[str]:
    low, high = (f"{100 * end:.2f}" for end in rate.interval)
    return [percent(rate.share), f"{low}–{high}"]


def _beside(pair: PairedComparison | None) -> str:
    return "" if pair is None else f"{pair.auc.outcome} {pair.auc.value:+.3f}"


def _print_lines(lines: Iterable[str]) -> None:
    for line in lines:
        sys.stdout.write(f"{line}\n")
