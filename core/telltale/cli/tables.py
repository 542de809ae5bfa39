"""The command on the papers' tables."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import Annotated

import typer
from rich.table import Table

from telltale.cli.options import JsonOption
from telltale.cli.output import print_record, progress
from telltale.studies.tables.layout import distinct_notes
from telltale.studies.tables.table import Cell, PaperTable


def reproduce(
    name: Annotated[str, typer.Argument(metavar="TABLE", help="Table of a paper; 'all' lists them.")],
    data: Annotated[str | None, typer.Option("--data", help="Folder or hub id of the images.")] = None,
    stored: Annotated[bool, typer.Option("--stored", help="Print the stored full run instead of computing.")] = False,
    images: Annotated[
        int | None, typer.Option("--images", min=20, help="At most so many images per split and attack: quick, rough.")
    ] = None,
    save: Annotated[bool, typer.Option("--save", help="Store what was computed as the full run.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Compute a table of the papers again and put the published figures beside it."""
    from telltale.studies.tables.network import network_of
    from telltale.studies.tables.registry import TABLES, get_table
    from telltale.studies.tables.results import load_results, save_results, stored_network

    if name == "all":
        _list_tables(TABLES.values(), as_json)
        return
    table = get_table(name)
    if stored:
        cells, network = load_results(name), stored_network(name)
    else:
        with progress() as report:
            from telltale.studies.tables.lab import compute

            cells = compute(table, data, images, report)
        network = network_of(table)
        if save:
            save_results(name, cells, network=network)
    shown, notes = _cell_table(cells)
    record = {
        "table": name,
        "title": table.title,
        "paper": table.paper,
        "unit": table.unit,
        "setting": table.setting,
        "network": network,
        "cells": [cell.to_json() for cell in cells],
    }
    print_record(record, shown, as_json)
    if not as_json:
        behind = "" if network is None else f" Network: {network}."
        remarks = [f"{table.title}: {table.paper}, {table.unit}. {table.setting}{behind}", *notes]
        sys.stdout.write("\n".join(remarks) + "\n")


def _list_tables(tables: Iterable[PaperTable], as_json: bool) -> None:
    overview = [{"name": table.name, "title": table.title, "paper": table.paper} for table in tables]
    listing = Table("table", "title", "paper")
    for row in overview:
        listing.add_row(*row.values())
    print_record({"tables": overview}, listing, as_json)


def _cell_table(cells: Sequence[Cell]) -> tuple[Table, list[str]]:
    """Lay out a paper's table, one line per figure, with its notes numbered below."""
    notes = distinct_notes(cells)
    shown = Table("row", "column", "paper", "ours", "95 % interval", "difference", "n", "note")
    for cell in cells:
        interval = "" if cell.low is None else f"{cell.low:.1f} to {cell.high:.1f}"
        figures = ("" if value is None else f"{value:.2f}" for value in (cell.paper, cell.ours))
        difference = "" if cell.difference is None else f"{cell.difference:+.2f}"
        note = str(notes.index(cell.note) + 1) if cell.note else ""
        shown.add_row(cell.row, cell.column, *figures, interval, difference, str(cell.n), note)
    return shown, [f"{number}  {note}" for number, note in enumerate(notes, start=1)]
