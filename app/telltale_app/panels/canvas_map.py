"""The map that the browser draws itself: how a page shows it, and what comes back of a person's choice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import streamlit as st

from telltale_app import components, thumbnails

if TYPE_CHECKING:
    from telltale.bundle import Bundle

COMPONENT = "map"
FORMS = {"png": "PNG", "svg": "SVG", "csv": "CSV"}
TOOLS = (("lasso", "Lasso", ""), ("move", "Move", ""), ("in", "+", "Zoom in"), ("out", "−", "Zoom out"))
HTML = (
    '<div class="map"><div class="head"><span data-part="legend" class="head"></span>'
    '<div class="tools" role="group" aria-label="Map">'
    + "".join(
        f'<button type="button" data-tool="{tool}"{f" aria-label={said!r}" if said else ""}>{text}</button>'
        for tool, text, said in (*TOOLS, ("all", "Whole map", ""))
    )
    + '<details class="save"><summary>Save</summary><div role="group" aria-label="Save the map as">'
    + "".join(f'<button type="button" data-save="{form}">{name}</button>' for form, name in FORMS.items())
    + '</div></details></div></div><div class="field" data-part="field">'
    '<canvas data-part="dots" aria-hidden="true"></canvas>'
    '<canvas data-part="over" tabindex="0" role="application" aria-describedby="map-marked"></canvas>'
    '<div class="tip" data-part="tip" aria-hidden="true" hidden></div></div>'
    '<ol class="unseen" id="map-marked" data-part="list"></ol>'
    '<p class="unseen" role="status" data-part="said"></p></div>'
)

Ids = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Choice:
    """What a person has chosen on a map since the run before.

    Attributes
    ----------
    rows : array of int64 or None
        Points that were clicked or lassoed, ascending; empty where the choice was taken back; None where nothing was.
    opened : int or None
        Point to open, -1 for the image itself.
    """

    rows: Ids | None
    opened: int | None


NONE: Ids = np.empty(0, np.int64)


def header(
    bundle: Bundle, key: str, said: str, selected: bool = False, picked: Ids = NONE, linked: str = ""
) -> dict[str, object]:
    """Return what a map's header holds besides what it is a map of.

    Parameters
    ----------
    bundle : Bundle
    key : str
        As `show` has it; names the files that the map is saved as.
    said : str
        What the map shows, in words.
    selected : bool
        Whether anything is chosen, which the map offers to take back.
    picked : array of int64
        Points that are chosen, which it rings.
    linked : str
        Maps with the same such name, not empty, mark the same points as one is pointed at.
    """
    return {
        "thumbnails": thumbnails.address(bundle),
        "file": f"telltale-{key}",
        "said": said,
        "selected": selected,
        "picked": picked.tolist(),
        "linked": linked,
    }


def show(packed: bytes, key: str, on_choice: Callable[[], None]) -> None:
    """Show a map.

    Parameters
    ----------
    packed : bytes
        From `telltale.figures.packed_map.pack`, with `map` (changes with the points) and all of `header` in its own.
    key : str
        Keeps what a person sees of the map; choices are read with it.
    on_choice : callable
        Called before the page runs because something was chosen; it asks `choice` for what.
    """
    components.declare()
    component = st.components.v2.component(f"{components.OWNER}.{COMPONENT}", html=HTML, css=_style(), js="map.js")
    component(key=key, data=packed, on_rows_change=on_choice, on_opened_change=on_choice)


def choice(key: str, count: int) -> Choice:
    """Return what was chosen on a map of `count` points, as far as it can be true: a browser may send anything."""
    said = st.session_state.get(key) or {}
    return Choice(rows_of(said.get("rows"), count), row_of(said.get("opened"), count))


def rows_of(value: object, count: int) -> Ids | None:
    """Return the rows among `count` that a browser names, ascending and once each; None where it names none."""
    if not isinstance(value, list) or len(value) > count:
        return None
    if not all(type(row) is int and 0 <= row < count for row in value):
        return None
    return np.unique(np.array(value, np.int64))


def row_of(value: object, count: int) -> int | None:
    """Return the one row among `count`, or -1 for the image, that a browser names; None where it names none."""
    return value if type(value) is int and -1 <= value < count else None


@cache
def _style() -> str:
    return (components.PACKAGE / components.FOLDERS[COMPONENT] / "map.css").read_text(encoding="utf-8")
