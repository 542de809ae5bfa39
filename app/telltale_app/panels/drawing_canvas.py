"""The canvas that the browser draws on: how a page shows it, and what comes back."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import streamlit as st

from telltale.base.images import FloatImages
from telltale.data.drawings import pack
from telltale_app import components

COMPONENT = "drawing"
GREYS = (("black", 0), ("dark grey", 80), ("grey", 128), ("light grey", 190), ("white", 255))
COLOURS = (
    ("black", (0, 0, 0)),
    ("white", (255, 255, 255)),
    ("grey", (128, 128, 128)),
    ("red", (200, 24, 36)),
    ("orange", (240, 130, 0)),
    ("yellow", (255, 209, 0)),
    ("green", (0, 128, 72)),
    ("blue", (0, 84, 166)),
)
FIRST_GREY, FIRST_COLOUR = "white", "black"
KEYS = (
    "Arrow keys move the cursor; Space paints, or marks two corners of a sticker; Shift with an arrow draws a line; "
    "Ctrl+Z takes back."
)


def _button(icon: str, text: str, **data: str) -> str:
    named = "".join(f' data-{name}="{value}"' for name, value in data.items())
    return f'<button type="button"{named}><span class="icon" aria-hidden="true">{icon}</span>{text}</button>'


HTML = (
    '<div class="drawing"><canvas data-part="canvas" tabindex="0" role="application" aria-describedby="keys"></canvas>'
    '<div class="side"><div class="row" role="group" aria-label="Tool">'
    + _button("brush", "Brush", tool="brush")
    + _button("blur_on", "Soft brush", tool="soft")
    + _button("sticky_note_2", "Sticker", tool="sticker")
    + '</div><label class="size">Brush size<input type="range" data-part="size" min="1" step="1">'
    '<output data-part="measure"></output></label>'
    '<div class="row colours" role="group" aria-label="Colour" data-part="colours"></div>'
    '<div class="row">'
    + _button("undo", "Undo", act="undo")
    + _button("delete", "Clear", act="clear")
    + '</div><div class="row">'
    + _button("check", "Use this drawing", act="use")
    + f'</div><p class="keys" id="keys">{KEYS}</p><p class="said" role="status" data-part="said"></p></div></div>'
)


def show(ground: FloatImages, shown: FloatImages, said: str, key: str, on_drawn: Callable[[], None]) -> None:
    """Show a canvas with its tools.

    Parameters
    ----------
    ground : array of float32, shape (C, H, W)
        What *Clear* leads back to.
    shown : array of float32, shape (C, H, W)
        What is there to begin with. A canvas that a person has drawn on keeps that until this is another image.
    said : str
        What is drawn on, for a person who cannot see it.
    key : str
        The drawing is read with it.
    on_drawn : callable
        Called before the page runs because *Use this drawing* was pressed; it asks `sent` for what was drawn.
    """
    components.declare()
    grey = len(ground) == 1
    colours = [(name, (level,)) for name, level in GREYS] if grey else COLOURS
    about = {"said": said, "colours": colours, "first": FIRST_GREY if grey else FIRST_COLOUR}
    component = st.components.v2.component(f"{components.OWNER}.{COMPONENT}", html=HTML, css=_style(), js="draw.js")
    component(key=key, data=pack(ground, shown, about), on_drawn_change=on_drawn)


def sent(key: str) -> object:
    """Return what a browser has sent as a drawing, whatever that is; None where it has sent none."""
    return (st.session_state.get(key) or {}).get("drawn")


@cache
def _style() -> str:
    return (components.PACKAGE / components.FOLDERS[COMPONENT] / "draw.css").read_text(encoding="utf-8")
