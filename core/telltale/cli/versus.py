"""The command that puts two models side by side."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from telltale.attacks.registry import get_attack
from telltale.base.errors import InputError
from telltale.bundle import load_bundle
from telltale.cli.options import JsonOption, NameArgument, attack_values
from telltale.cli.output import print_record, progress
from telltale.model_errors.versus import two_answers
from telltale.scores.rates import Rate


def versus(
    name: NameArgument,
    other: Annotated[str, typer.Argument(metavar="OTHER", help="Another bundle's name or folder.")],
    attack: Annotated[
        str | None, typer.Option("--attack", help="Also attack test images on each and let both read them.")
    ] = None,
    images: Annotated[int, typer.Option("--images", min=2, help="With --attack: how many images.")] = 100,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="With --attack: a parameter of it; repeatable."),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seeds the choice of images and the attack.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Put two models side by side: where they disagree, and who is fooled by whose attack."""
    if settings and attack is None:
        raise InputError("--set needs --attack.")
    first, second = load_bundle(name), load_bundle(other)
    values = None if attack is None else attack_values(get_attack(attack), settings or [], first)
    with progress() as report:
        from telltale.analysis.opened import open_bundle

        answers = two_answers(first, second, report, lambda: open_bundle(other))
        crossed = None
        if attack is not None and values is not None:
            from telltale.model_errors.versus_attacks import transfers

            crossed = transfers(open_bundle(name), open_bundle(other), attack, values, images, seed, report)
    record: dict[str, object] = {"answers": answers.to_json(), "attack": crossed and crossed.to_json()}
    table = Table("what", "share", "95 % interval", "count", "of")
    table.add_row("different answers", *_rate(Rate(int(answers.differ.sum()), len(answers))))
    for who, mask in answers.right.items() if answers.labelled else ():
        table.add_row(f"{who} right", *_rate(Rate(int(mask.sum()), len(answers))))
    for crossing in crossed.crossings if crossed is not None else ():
        made = f"made on {crossing.made_on}, misread by {crossing.read_by}"
        table.add_row(made, *_rate(crossing.fooled))
        table.add_row("  perturbations on other images", *_rate(crossing.control))
    print_record(record, table, as_json)


def _rate(rate: Rate) -> tuple[str, str, str, str]:
    low, high = rate.interval
    return f"{100 * rate.share:.1f} %", f"{100 * low:.1f} to {100 * high:.1f}", str(rate.count), str(rate.total)
