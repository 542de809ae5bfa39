"""A table of a paper: its published figures, ours, and what differs. Importing this module never imports torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from telltale.base.errors import InputError

Doubles = npt.NDArray[np.float64]
NO_CURVE: Doubles = np.empty(0)


@dataclass(frozen=True)
class Cell:
    """One figure of a table.

    Attributes
    ----------
    row, column : str
    paper : float or None
        As published, in the table's unit; None where the paper has no such cell.
    ours : float or None
        None where it cannot be computed here; `note` says why.
    low, high : float or None
        95 % interval of `ours`.
    n : int
        Adversarial images behind `ours`.
    note : str
        What differs from the paper in this cell, or why it is empty.
    fpr, tpr : array of float64, shape (m,)
        The ROC curve behind `ours`; empty where there is none.
    """

    row: str
    column: str
    paper: float | None
    ours: float | None
    low: float | None = None
    high: float | None = None
    n: int = 0
    note: str = ""
    fpr: Doubles = field(default_factory=lambda: NO_CURVE, compare=False)
    tpr: Doubles = field(default_factory=lambda: NO_CURVE, compare=False)

    def __post_init__(self) -> None:
        if self.ours is None and not self.note:
            raise ValueError(f"The empty cell {self.row} / {self.column} must say why.")

    @property
    def difference(self) -> float | None:
        """Ours less the paper's, in the table's unit."""
        return None if self.ours is None or self.paper is None else self.ours - self.paper

    def to_json(self) -> dict[str, Any]:
        """Return the stable JSON object of one cell."""
        names = ("row", "column", "paper", "ours", "low", "high", "n", "note")
        return {name: getattr(self, name) for name in names}


@dataclass(frozen=True)
class PaperTable:
    """A table that can be computed again.

    Attributes
    ----------
    name : str
        As typed on the command line.
    title, paper, unit : str
        What it shows, its source, and the unit of its figures.
    setting : str
        What differs from the paper in all cells.
    compute : callable
        Takes a `telltale.studies.tables.lab.Lab` and returns cells in order; imports what it needs when called.
    recipe : str
        Data and network that it runs on.
    own_networks : bool
        Whether it trains networks of its own on the recipe's data instead.
    """

    name: str
    title: str
    paper: str
    unit: str
    setting: str
    compute: Callable[[Any], Sequence[Cell]]
    recipe: str
    own_networks: bool = False


def check_complete(table: PaperTable, cells: Sequence[Cell]) -> None:
    """Raise `InputError` unless every row and column occurs once."""
    places = [(cell.row, cell.column) for cell in cells]
    if len(set(places)) < len(places):
        raise InputError(f"Table '{table.name}' has two figures for one cell.")
