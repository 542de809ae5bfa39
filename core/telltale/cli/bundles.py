"""Commands on bundles: list, build, verify."""

from __future__ import annotations

import shlex
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from telltale.base.errors import DamagedBundleError, InputError
from telltale.base.terminal import plain_console
from telltale.bundle import find_bundle, list_bundles, verify_bundle
from telltale.bundle.summary import BundleSummary, folder_problems, summarise
from telltale.cli.options import DataOption, JsonOption, NameArgument
from telltale.cli.output import print_record, progress, text
from telltale.recipes import RECIPES


def bundles(as_json: JsonOption = False) -> None:
    """List the bundles that are present."""
    rows = [summarise(name) for name in list_bundles()]
    table = Table("bundle", "title", "classes", "references", "test accuracy", "size", caption_justify="left")
    for row in rows:
        table.add_row(*_bundle_cells(row))
    problems = folder_problems()
    table.caption = "\n".join([remark for row in rows for remark in _bundle_remarks(row)] + list(problems)) or None
    print_record({"bundles": [asdict(row) for row in rows], "problems": problems}, table, as_json)


def build(
    name: NameArgument,
    data: DataOption = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder to write, called NAME; precomputed/NAME by default.")
    ] = None,
    compact: Annotated[
        bool, typer.Option("--compact", help="At most 10,000 training images as references, in half precision.")
    ] = False,
    work: Annotated[
        Path | None, typer.Option("--work", help="Where finished stages are kept, and stay for the next build.")
    ] = None,
    settings: Annotated[
        Path | None,
        typer.Option("--settings", help="What inspect wrote; NAME.toml if here."),
    ] = None,
    minutes: Annotated[
        float | None,
        typer.Option("--minutes", help="Your own network only: fewer images, to be done in time."),
    ] = None,
) -> None:
    """Build a bundle: attack, trace, fit and calibrate everything around a trained classifier."""
    file = settings or (Path(f"{name}.toml") if name not in RECIPES and Path(f"{name}.toml").is_file() else None)
    if file is not None and compact:
        raise InputError("A network of your own keeps all its training images: leave --compact out.")
    if file is None and minutes is not None and name in RECIPES:
        raise InputError(f"'{name}' is built as its recipe says; --minutes is for a network of your own.")
    with progress() as report:
        if file is None:
            from telltale.building.build import build as build_bundle

            folder = build_bundle(name, data=data, out=out, compact=compact, work=work, progress=report)
        else:
            from telltale.building.from_settings import build_from_settings

            folder = build_from_settings(
                name,
                file,
                data=data,
                out=out,
                work=work,
                minutes=minutes,
                progress=report,
                opened=lambda folder: report.say(f"Without attacks it can be opened already. {_pages(folder)}"),
            )
    notes = [f"Note: {lack}" for lack in summarise(str(folder)).lacks]
    plain_console().print("\n".join([f"Built {folder}. {_pages(folder)}", *notes]), soft_wrap=True)


def verify(name: NameArgument, as_json: JsonOption = False) -> None:
    """Compare every file of a bundle with the checksums it was built with."""
    reports = verify_bundle(find_bundle(name))
    bad = [report for report in reports if report.state != "ok"]
    table = Table("file", "state")
    for report in reports:
        table.add_row(report.file, report.state)
    print_record({"bundle": name, "ok": not bad, "files": [asdict(report) for report in reports]}, table, as_json)
    if bad:
        listed = ", ".join(f"{report.file} ({report.state})" for report in bad)
        raise DamagedBundleError(f"The bundle '{name}' is not as it was built: {listed}.")


def _pages(folder: Path) -> str:
    return f"Its pages: telltale app --bundle {shlex.quote(str(folder))}"


def _bundle_cells(row: BundleSummary) -> tuple[str, ...]:
    kept = "-" if not row.references else f"{row.references:,} of {row.training_images:,}"
    size = "-" if row.size_bytes is None else f"{row.size_bytes / 1e6:.1f} MB"
    return (row.name, text(row.title), text(row.classes), kept, text(row.accuracy), size)


def _bundle_remarks(row: BundleSummary) -> list[str]:
    command = [] if row.images_command is None else [f"'{row.images_command}' brings the images."]
    return [f"{row.name}: {remark}" for remark in [*filter(None, [row.problem]), *row.lacks, *command]]
