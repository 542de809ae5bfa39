"""``telltale cases``: the saved cases on the command line."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Column, Table

from telltale.base.errors import InputError
from telltale.base.terminal import plain_console

if TYPE_CHECKING:
    from telltale.cases.record import SavedCase
    from telltale.cases.report_training import TrainingImages

cases = typer.Typer(help="List, export and import saved cases.", rich_markup_mode=None)

FORMATS = (".zip", ".html")
CaseArgument = Annotated[str, typer.Argument(metavar="ID", help="A case's id, as 'cases list' prints it.")]


@cases.command("list")
def list_cases(
    words: Annotated[list[str] | None, typer.Argument(help="Words that must occur.")] = None,
    tags: Annotated[list[str] | None, typer.Option("--tag", help="A tag that it must carry; repeatable.")] = None,
    most: Annotated[int, typer.Option("--most", min=1, help="How many to print.")] = 100,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a table.")] = False,
) -> None:
    """List saved cases, the latest first."""
    from telltale.cases import wording
    from telltale.cases.store import open_store

    found = open_store().find(" ".join(words or []), tags or [], most=most)
    records = [saved.record for saved in found.cases]
    if as_json:
        answer = {"total": found.total, "cases": [r.to_json() for r in records], "unreadable": found.unreadable}
        sys.stdout.write(json.dumps(answer) + "\n")
        return
    widest = max((len(record.id) for record in records), default=0)  # an id that is cut cannot be asked for
    table = Table(Column("id", min_width=widest), "saved", "what", "tags", "note")
    for record in records:
        table.add_row(
            record.id, wording.moment(record.saved_at), wording.sentence(record), ", ".join(record.tags), record.note
        )
    plain_console().print(table)
    for case_id in found.unreadable:
        plain_console().print(f"{case_id} cannot be read: damaged, or of another version.", soft_wrap=True)


@cases.command("export")
def export_case(
    case_id: CaseArgument,
    out: Annotated[Path, typer.Option("--out", help="File to write: .zip (a case) or .html (a report).")],
) -> None:
    """Write a case as a zip that can be imported and rerun, or as a report."""
    from telltale.cases.exporting import to_zip
    from telltale.cases.store import open_store

    if out.suffix.lower() not in FORMATS:
        raise InputError(f"--out must name a .zip or .html file; got '{out}'.")
    saved = open_store().get(case_id)
    out.write_bytes(to_zip(saved) if out.suffix.lower() == ".zip" else _report(saved).encode())
    plain_console().print(f"Wrote {out}.", soft_wrap=True)


def _report(saved: SavedCase) -> str:
    from telltale.cases.report import to_html

    return to_html(saved, _training(saved))


def _training(saved: SavedCase) -> TrainingImages | None:
    """Return the training images behind a case's answer; None where the model that computed it is not here."""
    from telltale.bundle import load_bundle
    from telltale.cases.pixels import read_png
    from telltale.cases.report_training import training_images

    record = saved.record
    try:
        if load_bundle(record.settings.bundle).id != record.bundle_id:
            return None
        from telltale.analysis.analyse import analyse_image
        from telltale.analysis.kept import load

        loaded = load(record.settings.bundle)
        analysis = analyse_image(loaded, read_png(saved.judged_png), record.settings.alpha)
    except InputError:
        return None
    return training_images(loaded.bundle, record, analysis)


@cases.command("import")
def import_case(file: Annotated[Path, typer.Argument(metavar="FILE", help="A zip that was exported.")]) -> None:
    """Take a case from a zip; whatever is wrong with it is said, and then nothing is taken."""
    from telltale.cases.importing import MOST_BYTES, from_zip
    from telltale.cases.store import open_store

    with file.open("rb") as opened:
        saved = from_zip(opened.read(MOST_BYTES + 1))
    open_store().save(saved)
    plain_console().print(f"Imported {saved.record.id}: {saved.record.title}.", soft_wrap=True)
