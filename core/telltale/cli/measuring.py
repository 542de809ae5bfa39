"""Commands that measure: detectors on test images, speed on this machine, growth with the training images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

import telltale
from telltale.attacks.registry import get_attack
from telltale.base.errors import InputError
from telltale.bundle import load_bundle
from telltale.cli.options import JsonOption, NameArgument, attack_values
from telltale.cli.output import check_writable, pairs_table, print_record, progress, text, write_whole


def evaluate(
    name: NameArgument,
    fresh: Annotated[bool, typer.Option("--fresh", help="Recompute every score instead of reading them.")] = False,
    attack: Annotated[str | None, typer.Option("--attack", help="With --fresh: this attack only.")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="A parameter of --attack; repeatable.")
    ] = None,
    images: Annotated[int, typer.Option("--images", min=1, help="How many images --attack is run on.")] = 500,
    seen: Annotated[
        list[str] | None,
        typer.Option("--seen", metavar="ATTACK", help="Fit the detectors anew to this attack alone; repeatable."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Report every detector against every attack on the test images."""
    from telltale.cli.reporting import evaluation_table, print_remarks

    if (attack or settings) and not (fresh and attack):
        raise InputError("--attack needs --fresh, and --set needs --attack.")
    if fresh or seen:
        options: dict[str, Any] = {"seen": seen or ()}
        if attack is not None:
            values = attack_values(get_attack(attack), settings or [], load_bundle(name))
            options |= {"attack": attack, "parameters": values, "images": images}
        with progress() as report:
            evaluation = telltale.evaluate(name, fresh=fresh, progress=report, **options)
    else:
        evaluation = telltale.evaluate(name)
    print_record(evaluation.to_json(), evaluation_table(evaluation), as_json)
    if not as_json:
        print_remarks(evaluation)


def bench(
    name: NameArgument,
    quick: Annotated[bool, typer.Option("--quick", help="Leave out the comparisons with other libraries.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Measure an analysis and its stops on this machine, and the same work done by other libraries."""
    load_bundle(name)
    with progress() as report:
        from telltale.studies.comparison.benchmark import bench as measure

        record: dict[str, Any] = measure(name, compare=not quick, progress=report).to_json()
    rows = record["comparisons"]
    print_record(record, pairs_table({key: value for key, value in record.items() if key != "comparisons"}), as_json)
    if rows and not as_json:
        print_record({}, _comparison_table(rows), as_json)


def growth(
    up_to: Annotated[int, typer.Option("--up-to", help="Leave out sizes of more training images.")] = 1_280_000,
    out: Annotated[Path | None, typer.Option("--out", help="CSV file to write.")] = None,
    svg: Annotated[Path | None, typer.Option("--svg", help="Chart to write.")] = None,
    folder: Annotated[
        Path | None, typer.Option("--folder", help="Where generated features lie for a while; up to 8 GB.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Measure how evidence grows from 1,000 to 1,280,000 training images, on generated features."""
    from telltale.studies.growth.measure import SCALES, measure_growth, to_csv

    check_writable(out, "--out")
    check_writable(svg, "--svg")
    scales = [scale for scale in SCALES if scale.references <= up_to]
    if not scales:
        raise InputError(f"--up-to must be at least {min(scale.references for scale in SCALES)}; got {up_to}.")
    with progress() as report:
        measured = measure_growth(scales, folder, report)
    rows = [growth.to_json() for growth in measured]
    if out is not None:
        write_whole(out, to_csv(measured).encode(), "--out")
    if svg is not None:
        from telltale.studies.growth.chart import growth_svg

        write_whole(svg, growth_svg(measured).encode(), "--svg")
    table = Table("references", "classes", "one image, ms", "peak, GB", "recall", "neighbours", "influence")
    for row in rows:
        keys = ("references", "classes", "total_ms", "peak_gb", "recall", "index", "influence")
        table.add_row(*(text(row[key]) for key in keys))
    print_record({"growth": rows}, table, as_json)


def _comparison_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    table = Table("work", "against", "ours, ms", "theirs, ms", "ratio", "checked")
    for row in rows:
        table.add_row(*(text(row[key]) for key in ("work", "against", "ours_ms", "theirs_ms", "ratio", "equal")))
    return table
