"""Commands on training labels: list those that are probably wrong, and try how well planted errors are found."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Column, Table

from telltale.bundle import load_bundle
from telltale.bundle.pictures import file_names
from telltale.cli.options import DataOption, JsonOption, NameArgument
from telltale.cli.output import pairs_table, print_record, progress, text


def label_errors(
    name: NameArgument,
    count: Annotated[int, typer.Option("--count", min=1, help="How many of the list to print.")] = 100,
    as_json: JsonOption = False,
) -> None:
    """List the training images whose label is probably wrong, the most suspicious first."""
    bundle = load_bundle(name)
    bundle.require_labels()
    with progress() as report:
        from telltale.analysis.opened import load_reference
        from telltale.model_errors.suspicious import suspicious_images

        found = suspicious_images(load_reference(bundle), report)
    files = file_names(bundle)
    rows: list[dict[str, Any]] = [
        {**row, "file": files[int(row["image_id"])] if files else None} for row in found.records(count)
    ]
    columns = ("rank", "image", "label", "strongest other label", "suspicion", "self-influence", "disagreement")
    table = Table(*columns, *([Column("file", overflow="fold")] if files else []))
    for row in rows:
        other = bundle.class_names[int(row["neighbour_label"])] if row["neighbour_share"] else "–"
        named = (bundle.class_names[int(row["label"])], other)
        figures = (text(row[key]) for key in ("suspicion", "self_influence", "disagreement"))
        table.add_row(str(row["rank"]), str(row["image_id"]), *named, *figures, *([row["file"]] if files else []))
    record = {"bundle": name, "ranked": len(found), "k": found.k, "method": found.method, "images": rows}
    print_record(record, table, as_json)


def planted_errors(
    name: Annotated[str, typer.Argument(metavar="RECIPE", help="digits, mnist, cifar10 or another recipe.")],
    data: DataOption = None,
    count: Annotated[int, typer.Option("--count", min=1, help="How many labels are flipped.")] = 100,
    seed: Annotated[int, typer.Option("--seed", help="Seeds the choice of images and labels.")] = 0,
    head_only: Annotated[
        bool, typer.Option("--head-only", help="Keep the recipe's network; only its softmax head learns anew.")
    ] = False,
    epochs: Annotated[int | None, typer.Option("--epochs", min=1, help="Other than the recipe's.")] = None,
    width: Annotated[int | None, typer.Option("--width", min=1, help="Base width other than the recipe's.")] = None,
    work: Annotated[
        Path | None, typer.Option("--work", help="Where the network is kept; training goes on from there.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Flip training labels on purpose, learn from them, and count how many the list of label errors finds."""
    with progress() as report:
        from telltale.studies.planted import plant_errors

        found = plant_errors(
            name,
            report,
            data=data,
            count=count,
            seed=seed,
            head_only=head_only,
            epochs=epochs,
            width=width,
            work=work,
        )
    record = found.to_json()
    print_record(record, pairs_table({key: value for key, value in record.items() if key != "ranks"}), as_json)
