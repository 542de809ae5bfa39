"""The command that attacks test images at growing budgets and counts what gets past the classifier and the verdict."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from telltale.base.errors import InputError
from telltale.bundle import load_bundle
from telltale.cli.options import JsonOption, NameArgument, parse_settings
from telltale.cli.output import check_writable, print_record, progress
from telltale.scores.calibration import check_alpha
from telltale.scores.rates import Rate


def rejection(
    name: NameArgument,
    eps: Annotated[str, typer.Option("--eps", help="Budgets in levels of 255, with commas.")] = "0,1,2,4,8",
    attacks: Annotated[
        str, typer.Option("--attacks", help="Attacks that do not know the detectors, with commas; L∞ only.")
    ] = "fgsm,pgd,apgd_ce",
    images: Annotated[int, typer.Option("--images", min=1, help="How many test images are attacked.")] = 200,
    adaptive: Annotated[bool, typer.Option("--adaptive", help="Also an attacker who knows the detectors.")] = False,
    search: Annotated[
        bool, typer.Option("--search", help="With --adaptive: also one who searches without gradients; slow.")
    ] = False,
    detector: Annotated[
        str | None, typer.Option("--detector", help="With --adaptive: what it hides from; fused where that can be.")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="With --adaptive: a parameter of who has it; repeatable."),
    ] = None,
    alpha: Annotated[float, typer.Option("--alpha", help="False-positive rate of the fused verdict.")] = 0.05,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seeds the choice of images and the attacks.")] = 0,
    out: Annotated[
        Path | None, typer.Option("--out", help="Parquet file to write; where the pages look by default.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Attack test images at growing budgets: how many end wrong, and how many of those the verdict lets pass."""
    from telltale.scores.rejection import success_after_rejection
    from telltale.studies.rejection.results import stored_at
    from telltale.studies.rejection.words import title_of

    if (search or detector or settings) and not adaptive:
        raise InputError("--search, --detector and --set need --adaptive.")
    check_alpha(alpha)
    check_writable(out, "--out")
    file = stored_at(load_bundle(name)) if out is None else out
    budgets = [_level(text) for text in eps.split(",")]
    with progress() as report:
        from telltale.studies.rejection.measure import (
            ADAPTIVE_ATTACK,
            SEARCH,
            Plan,
            default_detector,
            measure_rejection,
        )

        aim = (detector or default_detector()) if adaptive else None
        chosen = [attack.strip() for attack in attacks.split(",") if attack.strip()]
        knowing = (ADAPTIVE_ATTACK, SEARCH) if search else (ADAPTIVE_ATTACK,)
        plan = Plan(budgets, chosen, images, aim, parse_settings(settings or []), seed, knowing)
        found = measure_rejection(name, plan, file, report)
    rates = success_after_rejection(found.table, alpha)
    heading = title_of(found.origin)
    record = {
        "bundle": found.origin.bundle,
        "title": heading,
        "alpha": alpha,
        "detector": found.origin.detector,
        "parameters": {name: dict(values) for name, values in found.origin.parameters.items()},
        "file": str(file),
        "rows": [success.to_json() for success in rates],
    }
    table = Table("attack", "ε in levels", "wrong", "wrong and not rejected", "95 % interval", "images", title=heading)
    for success in rates:
        low, high = success.after.interval
        shares = (_percent(success.before), _percent(success.after), f"{100 * low:.1f} to {100 * high:.1f}")
        table.add_row(success.title, str(success.eps), *shares, str(success.after.total))
    print_record(record, table, as_json)


def _level(text: str) -> int:
    try:
        return int(text)
    except ValueError as error:
        raise InputError(
            f"--eps takes whole numbers of levels with commas, such as 0,1,2,4,8; got '{text}'."
        ) from error


def _percent(rate: Rate) -> str:
    return f"{100 * rate.share:.1f} %"
