"""The command that lists groups of images that a model misreads more often than others."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from telltale.bundle import load_bundle
from telltale.cli.options import JsonOption, NameArgument
from telltale.cli.output import print_record, progress
from telltale.model_errors.slices_features import SHORT_NAMES


def slices(
    name: NameArgument,
    without: Annotated[
        str,
        typer.Option(
            "--without",
            metavar="FEATURES",
            help=f"By what no group is described, with commas between: {', '.join(SHORT_NAMES)}.",
        ),
    ] = "",
    as_json: JsonOption = False,
) -> None:
    """List groups of images that the model misreads more often than others, confirmed on images not searched."""
    unwanted = [word.strip() for word in without.split(",") if word.strip()]
    bundle = load_bundle(name)
    with progress() as report:
        from telltale.analysis.opened import open_bundle
        from telltale.model_errors.slices_of_bundle import failure_slices

        loaded = open_bundle(name) if bundle.image_set is not None else None
        found = failure_slices(bundle, loaded, report, unwanted)
    overall = found.overall
    title = f"{overall.count} of {overall.total} images misread ({100 * overall.share:.1f} %)"
    table = Table("group", "misread", "95 % interval", "errors", "images", "of all errors", title=title)
    for group in found.slices:
        interval = f"{100 * group.low:.1f} to {100 * group.high:.1f}"
        counts = (str(group.errors.count), str(group.errors.total))
        table.add_row(group.name, f"{100 * group.errors.share:.1f} %", interval, *counts, f"{100 * group.share:.1f} %")
    if not found.slices:
        table.caption = "No group is misread more often than chance explains."
    print_record({"bundle": name, **found.to_json()}, table, as_json)
