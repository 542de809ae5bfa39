"""The command that prints the whole comparison of detectors, controls and the fused verdict."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from telltale.bundle import load_bundle
from telltale.cli.options import JsonOption
from telltale.cli.output import print_json, progress


def leaderboard(
    name: Annotated[str, typer.Argument(metavar="[NAME]", help="A bundle's name or folder.", show_default=True)] = (
        "digits"
    ),
    alpha: Annotated[float, typer.Option("--alpha", help="False-positive rate of alarms and verdicts.")] = 0.05,
    shift: Annotated[
        bool, typer.Option("--shift", help="Also alarms on natural images changed a little; needs the data set.")
    ] = False,
    images: Annotated[int, typer.Option("--images", min=1, help="With --shift: how many natural images.")] = 300,
    as_json: JsonOption = False,
) -> None:
    """Compare every detector, control and the fused verdict on stored scores: ranks, paired differences, rates."""
    from telltale.cli.reporting import print_leaderboard, print_rates, print_shift
    from telltale.scores.evaluation import evaluate_stored
    from telltale.scores.leaderboard import leaderboard as rank

    evaluation = evaluate_stored(load_bundle(name), alpha)
    found = rank(evaluation)
    shifted = None
    if shift:
        with progress() as report:
            from telltale.analysis.kept import load
            from telltale.building.shifting import shift_alarms

            shifted = shift_alarms(load(name), alpha, images, report)
    record: dict[str, Any] = {
        "bundle": evaluation.bundle,
        "rows": [row.to_json() for row in found.rows],
        "standings": [standing.to_json() for standing in evaluation.standings],
        "sentences": list(found.sentences),
        "rates": evaluation.rates.to_json(),
        "shift": None if shifted is None else shifted.to_json(),
    }
    if as_json:
        print_json(record)
        return
    print_leaderboard(found)
    print_rates(evaluation.rates)
    if shifted is not None:
        print_shift(shifted)
