"""A table's cells as they are shown: in rows and columns, notes by number, differences on one scale. No torch here."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from telltale.base.csv_cells import as_text
from telltale.data.sources import KNOWN_SOURCES
from telltale.recipes import RECIPES
from telltale.studies.tables.table import Cell, PaperTable

CSV_COLUMNS = ("row", "column", "paper", "ours", "difference", "low", "high", "n", "note")


@dataclass(frozen=True)
class Grid:
    """Cells in rows and columns.

    Attributes
    ----------
    rows, columns : tuple of str
        In the order in which they first occur.
    cells : mapping of (row, column) to Cell
        Not every place has one.
    notes : tuple of str
        Distinct notes, in the order in which they first occur.
    limit : float
        Largest absolute difference from the paper, in the table's unit; 0 without any.
    """

    rows: tuple[str, ...]
    columns: tuple[str, ...]
    cells: Mapping[tuple[str, str], Cell]
    notes: tuple[str, ...]
    limit: float

    @classmethod
    def of(cls, cells: Sequence[Cell]) -> Grid:
        """Lay out the cells of one table."""
        differences = [abs(cell.difference) for cell in cells if cell.difference is not None]
        return cls(
            tuple(dict.fromkeys(cell.row for cell in cells)),
            tuple(dict.fromkeys(cell.column for cell in cells)),
            {(cell.row, cell.column): cell for cell in cells},
            distinct_notes(cells),
            max(differences, default=0.0),
        )

    @property
    def has_gaps(self) -> bool:
        """Whether some place has no cell."""
        return len(self.cells) < len(self.rows) * len(self.columns)

    @property
    def most_telling(self) -> Cell:
        """The first cell with a ROC curve; without any, the first cell."""
        cells = list(self.cells.values())
        return next((cell for cell in cells if len(cell.fpr)), cells[0])

    def shade(self, cell: Cell) -> float:
        """Return the difference as a share of the table's largest one, in [-1, 1]; 0 where there is none."""
        return cell.difference / self.limit if cell.difference and self.limit else 0.0

    def note_number(self, cell: Cell) -> int | None:
        """Return the number of the cell's note, from 1; None without one."""
        return self.notes.index(cell.note) + 1 if cell.note else None


def distinct_notes(cells: Sequence[Cell]) -> tuple[str, ...]:
    """Return every note once, in the order in which they first occur."""
    return tuple(dict.fromkeys(cell.note for cell in cells if cell.note))


def to_csv(cells: Sequence[Cell]) -> str:
    """Return one line per cell under a line of names; what is missing stays empty."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(CSV_COLUMNS)
    writer.writerows([as_text(getattr(cell, name)) for name in CSV_COLUMNS] for cell in cells)
    return text.getvalue()


def full_run_command(table: PaperTable) -> str:
    """Return the one command that computes a table and stores it as the full run.

    It names the public id of the data set where there is one; a folder of the same data does as well.
    """
    recipe = RECIPES.get(table.recipe)
    known = KNOWN_SOURCES.get(recipe.source) if recipe else None
    data = f" --data {known.hub_id}" if known else ""
    return f"telltale reproduce {table.name}{data} --save"
