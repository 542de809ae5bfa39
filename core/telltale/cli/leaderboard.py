"""The command that prints the whole comparison of detectors, controls and the fused verdict."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from telltale.base.errors import InputError
from telltale.bundle import load_bundle
from telltale.cli.options import JsonOption
from telltale.cli.output import print_json, progress

if TYPE_CHECKING:
    from telltale.analysis.costs import Costs
    from telltale.bundle import Bundle
    from telltale.scores.rejection import Success
    from telltale.scores.shift import ShiftAlarms

ALPHA = 0.05


def leaderboard(
    name: Annotated[str, typer.Argument(metavar="[NAME]", help="A bundle's name or folder.", show_default=True)] = (
        "digits"
    ),
    alpha: Annotated[float, typer.Option("--alpha", help="False-positive rate of alarms and verdicts.")] = ALPHA,
    cost: Annotated[
        bool, typer.Option("--cost", help="Also what each detector costs, in forward passes of the classifier.")
    ] = False,
    shift: Annotated[
        bool,
        typer.Option(
            "--shift",
            help="Alarms on natural images changed a little, measured now; needs the data set. Else those stored.",
        ),
    ] = False,
    images: Annotated[int, typer.Option("--images", min=1, help="With --shift: how many natural images.")] = 300,
    store: Annotated[
        bool, typer.Option("--store", help="With --shift: keep these alarms where the pages look.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Compare every detector, control and the fused verdict: ranks, paired differences, rates, shift, cost."""
    from telltale.cli import reporting
    from telltale.scores.evaluation import evaluate_stored
    from telltale.scores.leaderboard import leaderboard as rank
    from telltale.scores.metrics import FALSE_POSITIVE_RATES
    from telltale.scores.rates import false_alarms_at
    from telltale.studies.rejection.results import full_command
    from telltale.studies.shift.results import save_shift, shift_command, stored_shift

    if store and not shift:
        raise InputError("--store needs --shift.")
    if store and alpha != ALPHA:
        raise InputError(f"--store keeps the alarms at a false-positive rate of {ALPHA:g}; leave out --alpha.")
    bundle = load_bundle(name)
    bundle.require_held_out()
    evaluation = evaluate_stored(bundle, alpha)
    found = rank(evaluation)
    costs = _costs(name) if cost else None
    shifted = _shifted(name, alpha, images) if shift else stored_shift(bundle)
    if store and shifted is not None:
        save_shift(bundle, shifted)
    beaten = _beaten(bundle, alpha)
    alarms = false_alarms_at(bundle.scores, sorted({*FALSE_POSITIVE_RATES, alpha}))
    if as_json:
        record: dict[str, Any] = {
            "bundle": evaluation.bundle,
            "rows": [row.to_json() | ({} if costs is None else {"cost": costs.of(row.name)}) for row in found.rows],
            "standings": [standing.to_json() for standing in evaluation.standings],
            "sentences": list(found.sentences),
            "ahead_of_fused": [pair.to_json() for pair in found.ahead],
            "rates": evaluation.rates.to_json(),
            "false_alarms": {f"{rate:g}": [alarm.to_json() for alarm in those] for rate, those in alarms.items()},
            "shift": None if shifted is None else shifted.to_json(),
            "after_rejection": None if beaten is None else beaten.to_json(),
            "cost": None if costs is None else costs.to_json(),
        }
        print_json(record)
        return
    reporting.print_leaderboard(found, costs)
    for rate, those in alarms.items():
        reporting.print_false_alarms(rate, those)
    reporting.print_shown(evaluation.rates)
    if shifted is None:
        reporting.print_missing("Natural shift", shift_command(bundle.name))
    else:
        reporting.print_shift(shifted)
    if beaten is None:
        reporting.print_missing("Success after rejection", full_command(bundle))
    else:
        reporting.print_beaten(beaten.title, beaten.alpha, beaten.rows)


@dataclass(frozen=True)
class Beaten:
    """What attackers have achieved against the fused verdict, with and without knowing it, as it is stored.

    Attributes
    ----------
    title : str
        Names the attackers.
    alpha : float
        False-positive rate of the fused verdict.
    rows : tuple of Success
    """

    title: str
    alpha: float
    rows: tuple[Success, ...]

    def to_json(self) -> dict[str, object]:
        """Return it as JSON holds it."""
        return {"title": self.title, "alpha": self.alpha, "rows": [row.to_json() for row in self.rows]}


def _costs(name: str) -> Costs:
    with progress() as report:
        from telltale.analysis.costs import measure_costs
        from telltale.analysis.kept import load

        return measure_costs(load(name), progress=report)


def _shifted(name: str, alpha: float, images: int) -> ShiftAlarms:
    with progress() as report:
        from telltale.analysis.kept import load
        from telltale.building.shifting import shift_alarms

        return shift_alarms(load(name), alpha, images, report)


def _beaten(bundle: Bundle, alpha: float) -> Beaten | None:
    """Return what is stored of success after rejection on exactly this bundle; None where nothing is."""
    from telltale.scores.rejection import success_after_rejection
    from telltale.studies.rejection.results import stored_rejection
    from telltale.studies.rejection.words import title_of

    found = stored_rejection(bundle)
    if found is None:
        return None
    return Beaten(title_of(found.origin), alpha, tuple(success_after_rejection(found.table, alpha)))
