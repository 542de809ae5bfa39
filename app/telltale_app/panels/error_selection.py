"""The one selection of the page on errors: a cell of the confusion matrix, several points of the map, or one image.

A cell and a lasso narrow what is shown. The one image is marked wherever it stands: on its tile, on the map, in the
matrix, and in words below. Choosing one that is outside of what is shown drops what left it out.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import streamlit as st

from telltale.model_errors.confusion import OUTSIDE, answered
from telltale_app import catalogue
from telltale_app.panels import selection
from telltale_app.panels.errors import Errors
from telltale_app.panels.slices import SLICE, chosen_slice

CELL, LASSO, CHOSEN = "errors-cell", "errors-lasso", "errors-chosen"

Mask = npt.NDArray[np.bool_]
Rows = npt.NDArray[np.int64]


def chosen_row(errors: Errors) -> int | None:
    """Return the row of the error that is chosen; None where none is."""
    kept = selection.selected(CHOSEN, errors.bundle.id)
    if kept is None:
        return None
    found = np.flatnonzero(np.isin(errors.wrong.ids, kept))
    return int(found[0]) if len(found) else None


def chosen_cell(errors: Errors) -> tuple[int, int] | None:
    """Return true and read class of the cell that is chosen; None where none is."""
    cell = selection.selected(CELL, errors.bundle.id)
    return None if cell is None or len(cell) != 2 else (int(cell[0]), int(cell[1]))


def marked_cell(errors: Errors) -> tuple[int, int] | None:
    """Return the cell that is chosen, or else that of the chosen image; None where neither is."""
    cell, row = chosen_cell(errors), chosen_row(errors)
    if cell is not None or row is None:
        return cell
    known = catalogue.with_references(errors.bundle)
    true, read = (int(of[row]) if known[of[row]] else OUTSIDE for of in (errors.wrong.labels, errors.wrong.predictions))
    return true, read


def in_cell(errors: Errors, cell: tuple[int, int]) -> Mask:
    """Return which errors a cell holds, shape (n,)."""
    known = catalogue.with_references(errors.bundle)
    return answered(errors.wrong.labels, known, cell[0]) & answered(errors.wrong.predictions, known, cell[1])


def choose(errors: Errors, row: int) -> None:
    """Choose one error, and drop what narrows the page to others; for widget callbacks."""
    image_id, scope = errors.wrong.ids[row], errors.bundle.id
    st.session_state[CHOSEN] = {"scope": scope, "ids": [int(image_id)]}
    cell, lasso, group = chosen_cell(errors), selection.selected(LASSO, scope), chosen_slice(scope)
    if cell is not None and not in_cell(errors, cell)[row]:
        selection.clear(CELL)
    if lasso is not None and image_id not in lasso:
        selection.clear(LASSO)
    if group is not None and image_id not in group[1]:
        selection.clear(SLICE)


def take_points(errors: Errors, rows: Rows) -> None:
    """Choose what was clicked or lassoed on the map: one error, several, or none any more; for its callback."""
    if len(rows) == 1:
        choose(errors, int(rows[0]))
        return
    ids = errors.wrong.ids[rows]
    st.session_state[LASSO] = {"scope": errors.bundle.id, "ids": ids} if len(ids) else None
    _keep_chosen(errors, np.isin(errors.wrong.ids, ids))


def take_cell(errors: Errors, key: str) -> None:
    """Choose the cell that a matrix reports; the one that is chosen already, or none, takes the choice back."""
    before = chosen_cell(errors)
    selection.take(key, CELL, errors.bundle.id)
    cell = chosen_cell(errors)
    if cell is None or cell == before:
        selection.clear(CELL)
    else:
        _keep_chosen(errors, in_cell(errors, cell))


def clear() -> None:
    """Choose nothing; for a button's callback."""
    selection.clear(CELL, LASSO, SLICE, CHOSEN)


def _keep_chosen(errors: Errors, shown: Mask) -> None:
    """Drop the chosen error unless it is among those that are shown."""
    row = chosen_row(errors)
    if row is not None and not shown[row]:
        selection.clear(CHOSEN)
