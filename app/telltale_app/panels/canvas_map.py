"""The map that the browser draws itself: how it gets there, and what comes back of a person's choice.

Its scripts lie in `telltale_app/canvas_map`. Streamlit would hand a script that is given as text to the browser under
an address of the page's own making, which the server's headers refuse to run; given as files of a folder that the
component declares, they come from this server like every other script.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import streamlit as st
from streamlit.components.v2.get_bidi_component_manager import get_bidi_component_manager
from streamlit.components.v2.manifest_scanner import ComponentConfig, ComponentManifest

PACKAGE = Path(__file__).resolve().parents[1]
FOLDER = "canvas_map"
OWNER, COMPONENT = "telltale", "map"
MANIFEST = ComponentManifest(OWNER, "1", [ComponentConfig(COMPONENT, FOLDER)])
TOOLS = (("lasso", "Lasso", ""), ("move", "Move", ""), ("in", "+", "Zoom in"), ("out", "−", "Zoom out"))
HTML = (
    '<div class="map"><div class="head"><span data-part="legend" class="head"></span>'
    '<div class="tools" role="group" aria-label="Map">'
    + "".join(
        f'<button type="button" data-tool="{tool}"{f" aria-label={said!r}" if said else ""}>{text}</button>'
        for tool, text, said in (*TOOLS, ("all", "Whole map", ""))
    )
    + '</div></div><div class="field" data-part="field"><canvas data-part="dots" aria-hidden="true"></canvas>'
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


def declare() -> None:
    """Let this server answer for the map's files, which the browser may ask of another process than the page's."""
    manager = get_bidi_component_manager()
    if manager.get_component_asset_root(f"{OWNER}.{COMPONENT}") is None:
        manager.register_from_manifest(MANIFEST, PACKAGE)


def show(packed: bytes, key: str, on_choice: Callable[[], None]) -> None:
    """Show a map.

    Parameters
    ----------
    packed : bytes
        From `telltale.figures.packed_map.pack`; its header has besides `map` (changes with the points), `chosen`,
        `thumbnails` (an address, or empty), `selected` and `said` (what the map shows, in words).
    key : str
        Keeps what a person sees of the map; choices are read with it.
    on_choice : callable
        Called before the page runs because something was chosen; it asks `choice` for what.
    """
    declare()
    component = st.components.v2.component(f"{OWNER}.{COMPONENT}", html=HTML, css=_style(), js="map.js")
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
    return (PACKAGE / FOLDER / "map.css").read_text(encoding="utf-8")
