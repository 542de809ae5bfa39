"""The photograph on which the square is dragged: how a page shows it, and what comes back."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import streamlit as st

from telltale.data.uploads import SMALLEST_SQUARE, CropBox, Square
from telltale.models.guarded import Glance
from telltale_app import components, pictures

COMPONENT = "crop"
HOW_TO = "Drag the square, or a corner of it. By keys: arrows move it, + and − resize it, Shift makes steps of a pixel."
HTML = (
    '<div class="crop"><canvas tabindex="0" role="application" aria-describedby="how"></canvas>'
    f'<p id="how" role="status">{HOW_TO}</p></div>'
)


@dataclass(frozen=True)
class Marked:
    """What is marked on a photograph.

    Attributes
    ----------
    box : tuple of float
        Left, top, right and bottom of what is taken now, in the photograph's pixels.
    square : Square
        What a drag begins with.
    """

    box: CropBox
    square: Square


def show(glance: Glance, marked: Marked, photo: str, said: str, key: str, on_moved: Callable[[], None]) -> None:
    """Show a photograph with the part that is taken.

    Parameters
    ----------
    glance : Glance
    marked : Marked
    photo : str
        The same for the same photograph.
    said : str
        What is seen, for a person who cannot see it.
    key : str
        The square is read with it.
    on_moved : callable
        Called before the page runs because the square came to rest elsewhere; it asks `moved` for where.
    """
    components.declare()
    square = marked.square
    about = {
        "photo": photo,
        "size": glance.size,
        "square": (square.left, square.top, square.side),
        "box": marked.box,
        "smallest": smallest(glance.size),
        "said": said,
    }
    component = st.components.v2.component(f"{components.OWNER}.{COMPONENT}", html=HTML, css=_style(), js="crop.js")
    component(key=key, data=json.dumps(about).encode() + b"\n" + pictures.png(glance.small), on_square_change=on_moved)


def smallest(size: tuple[int, int]) -> int:
    """Return the shortest side of a square in a picture of this width and height."""
    return min(SMALLEST_SQUARE, *size)


def moved(key: str, size: tuple[int, int]) -> Square | None:
    """Return where the square was moved to in a picture of this width and height; None where that cannot be true."""
    return square_of((st.session_state.get(key) or {}).get("square"), size)


def square_of(value: object, size: tuple[int, int]) -> Square | None:
    """Return the square that a browser names; None where it is none that lies inside the picture."""
    if not isinstance(value, list) or len(value) != 3 or not all(type(number) is int for number in value):
        return None
    square = Square(*value)
    return square if square == square.within(size) else None


@cache
def _style() -> str:
    return (components.PACKAGE / components.FOLDERS[COMPONENT] / "crop.css").read_text(encoding="utf-8")
