"""The command that tries one defence: a twin hardened against attacks, and what an attacker who knows it pays."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from telltale.base.errors import InputError
from telltale.cli.options import DataOption, JsonOption
from telltale.cli.output import check_writable, print_record, progress
from telltale.data.shifts import SHIFTS
from telltale.scores.calibration import check_alpha
from telltale.scores.rates import Rate
from telltale.scores.rejection import ADAPTIVE, NONE
from telltale.scores.titles import attack_title

if TYPE_CHECKING:
    from telltale.studies.robust_twin.figures import DefenceFigures
    from telltale.studies.robust_twin.results import StoredDefence


def robust_twin(
    name: Annotated[str, typer.Argument(metavar="[NAME]", help="A recipe that trains a twin.")] = "cifar10",
    stored: Annotated[bool, typer.Option("--stored", help="Print the stored table; compute nothing.")] = False,
    data: DataOption = None,
    weights: Annotated[
        Path | None, typer.Option("--weights", help="Weights of classifier and twin; the recipe's own by default.")
    ] = None,
    train_eps: Annotated[str, typer.Option("--train-eps", help="Budgets of the hardening in levels of 255.")] = "4,8",
    epochs: Annotated[int, typer.Option("--epochs", min=1, help="Of the hardening.")] = 5,
    training_images: Annotated[
        int, typer.Option("--training-images", min=1, help="Of the hardening; all where there are fewer.")
    ] = 45_000,
    eps: Annotated[str, typer.Option("--eps", help="Budgets of the attacks in levels of 255.")] = "2,4,8",
    images: Annotated[int, typer.Option("--images", min=1, help="How many test images are attacked.")] = 200,
    natural: Annotated[int, typer.Option("--natural", min=1, help="How many natural test images are judged.")] = 1000,
    steps: Annotated[int, typer.Option("--steps", min=1, help="Of every attack.")] = 40,
    alpha: Annotated[float, typer.Option("--alpha", help="False-positive rate at which images are rejected.")] = 0.05,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seeds the choice of images and the attacks.")] = 0,
    out: Annotated[Path | None, typer.Option("--out", help="Parquet file; among the stored ones by default.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Fine-tune the twin on attacks: what it costs natural images, and whether an attacker who knows it pays."""
    from telltale.studies.robust_twin.figures import figures
    from telltale.studies.robust_twin.results import stored_at

    check_alpha(alpha)
    check_writable(out, "--out")
    if stored:
        found = _stored(name)
    else:
        from telltale.studies.robust_twin.measure import measure_robust_twin
        from telltale.studies.robust_twin.plan import Plan

        plan = Plan(
            train_eps=_levels("--train-eps", train_eps),
            epochs=epochs,
            training_images=training_images,
            eps=_levels("--eps", eps),
            images=images,
            natural=natural,
            steps=steps,
            seed=seed,
        )
        with progress() as report:
            found = measure_robust_twin(name, plan, out or stored_at(name), report, data=data, weights=weights)
    counted = figures(found.table, alpha)
    current = _about_shipped_weights(name, found)
    record = {
        "alpha": alpha,
        "origin": vars(found.origin),
        "of_the_shipped_weights": current,
        "defences": [one.to_json() for one in counted],
    }
    print_record(record, _table(counted, found.origin.eps, alpha), as_json)
    if not current and not as_json:
        sys.stdout.write("These figures are about other weights than those that ship.\n")


def _about_shipped_weights(name: str, found: StoredDefence) -> bool:
    from telltale.models.training import shipped_weights
    from telltale.models.weights import weights_sha256

    file = shipped_weights(name)
    return file.exists() and weights_sha256(file) == found.origin.weights_sha256


def _stored(name: str) -> StoredDefence:
    from telltale.studies.robust_twin.results import stored_defence

    found = stored_defence(name)
    if found is None:
        raise InputError(f"Nothing is stored about the twin of '{name}'; leave out --stored.")
    return found


def _table(counted: Sequence[DefenceFigures], budgets: Sequence[int], alpha: float) -> Table:
    """Lay out one line per figure and one column per defence."""
    from telltale.studies.robust_twin.plan import defence_title

    table = Table("%", *(defence_title(one.name) for one in counted), title=f"Rejection at {100 * alpha:g} %")

    def add(title: str, cell: Callable[[DefenceFigures], str]) -> None:
        table.add_row(title, *(cell(one) for one in counted))

    add("natural: second opinion right", lambda one: _share(one.accuracy))
    add("natural, read correctly: alarms", lambda one: _share(one.alarms))
    add("natural, all: alarms", lambda one: _share(one.all_alarms))
    add("natural, misread: alarms", lambda one: _share(one.errors_caught))
    for shift in SHIFTS[1:]:
        add(f"{shift.title}: alarms", lambda one, name=shift.name: _share(one.shifts[name]))  # type: ignore[misc]
    for place, detection in enumerate(counted[0].detections):
        heading = f"{attack_title(detection.attack)} {detection.eps}/255"
        add(f"{heading}: AUC", lambda one, at=place: f"{100 * one.detections[at].auc:.1f}")  # type: ignore[misc]
        add(f"{heading}: caught", lambda one, at=place: _share(one.detections[at].caught))  # type: ignore[misc]
    for knowledge, words in ((NONE, "who does not know it"), (ADAPTIVE, "who knows it")):
        for eps in budgets:
            heading = f"attacker {words}, {eps}/255: wrong"
            add(heading, lambda one, k=knowledge, e=eps: _share(one.success(k, e).before))  # type: ignore[misc]
            heading = f"attacker {words}, {eps}/255: wrong, not rejected"
            add(heading, lambda one, k=knowledge, e=eps: _interval(one.success(k, e).after))  # type: ignore[misc]
    return table


def _share(rate: Rate) -> str:
    return f"{100 * rate.share:.1f}" if rate.total else "-"


def _interval(rate: Rate) -> str:
    low, high = rate.interval
    return f"{100 * rate.share:.1f} ({100 * low:.1f} to {100 * high:.1f})"


def _levels(option: str, text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError as error:
        raise InputError(f"{option} takes whole numbers of levels with commas, such as 4,8; got '{text}'.") from error
