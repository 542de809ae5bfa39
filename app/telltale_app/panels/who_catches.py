"""Detector by attack: what each catches at the chosen false-alarm rate; a cell chooses what the page shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st

from telltale.figures.palette import caught_shade
from telltale.scores.caught import CaughtMatrix, caught_matrix
from telltale.scores.contests import EVERY_ATTACK, opponent_title
from telltale.scores.controls import CONTROLS
from telltale.scores.rates import thresholds
from telltale.scores.table import NATURAL
from telltale_app import catalogue, words

if TYPE_CHECKING:
    from telltale.bundle import Bundle

KEY = "who-catches"
NAME, FALSE_ALARMS = "detector", "false alarms"
ROW_HEIGHT, WIDE, NARROW = 28, 100, 76  # pixels


def show_matrix(bundle: Bundle, alpha: float) -> None:
    """Show the matrix; a click on a cell chooses its detector and its attack."""
    matrix = _matrix(bundle, bundle.id, alpha)
    key = f"{KEY}-{bundle.id}-{alpha:g}"  # rows are in another order elsewhere, and a mark would stay in its place
    if not matrix.names:
        st.markdown("No detector of this model is calibrated, so nothing can be counted.")
        return
    frame = pd.DataFrame(_rows(matrix))
    st.dataframe(
        frame.style.apply(_shades, axis=0),
        hide_index=True,
        height="content",
        row_height=ROW_HEIGHT,
        key=key,
        alt=_said(matrix, alpha),
        column_config={
            NAME: st.column_config.TextColumn(pinned=True, width=190),
            **{
                column: st.column_config.NumberColumn(format="%.1f %%", width=WIDE if " " in column else NARROW)
                for column in frame.columns
                if column != NAME
            },
        },
        on_select=lambda: choose(matrix, key),
        selection_mode="single-cell",
    )
    st.caption(
        f"Share of test images above each detector's threshold at α {words.percent(alpha)}, against attackers who do "
        "not know the detectors. Blue columns are caught images, orange ones false alarms on natural images that are "
        "read correctly. The lower rows, named as what they measure, are controls that cost nothing. A click on a "
        "detector's cell shows its curve and images below."
    )


@st.cache_data(max_entries=64, show_spinner=False)
def _matrix(_bundle: Bundle, bundle_id: str, alpha: float) -> CaughtMatrix:  # noqa: ARG001  # the id is the key
    return caught_matrix(_bundle.scores, thresholds(_bundle.scores, alpha))


def column_title(group: str) -> str:
    """Return what stands above a group's column."""
    return FALSE_ALARMS if group == NATURAL else opponent_title(group)


def _rows(matrix: CaughtMatrix) -> list[dict[str, object]]:
    return [
        {
            NAME: catalogue.detector_title(name),
            **{column_title(group): 100.0 * matrix.rates[name, group].share for group in matrix.groups},
        }
        for name in matrix.names
    ]


def _shades(column: pd.Series) -> list[str]:
    """Return the ground of every cell of one column."""
    if column.name == NAME:
        return [""] * len(column)
    return [f"background-color: {caught_shade(share / 100.0, column.name == FALSE_ALARMS)}" for share in column]


def _said(matrix: CaughtMatrix, alpha: float) -> str:
    """Return the text alternative: what the first row catches of every attack together."""
    first = catalogue.detector_title(matrix.names[0])
    said = f"Share of each attack that {len(matrix.names)} detectors and controls catch at α {words.percent(alpha)}"
    if EVERY_ATTACK not in matrix.groups:
        return said
    return f"{said}; {first} catches {words.percent(matrix.rates[matrix.names[0], EVERY_ATTACK].share)} of all"


def choose(matrix: CaughtMatrix, key: str) -> None:
    """Take the clicked cell into the choices below it; for the table's callback."""
    cells = st.session_state[key]["selection"]["cells"]
    if not cells:
        return
    row, column = cells[0]
    name = matrix.names[row]
    if name not in CONTROLS:
        st.session_state["detector"] = name
    groups = {column_title(group): group for group in matrix.groups if group != NATURAL}
    if column in groups:
        st.session_state["against"] = groups[column]
