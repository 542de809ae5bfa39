"""Colours and marker shapes that stay apart for colour-blind readers, on light and on dark pages."""

from __future__ import annotations

NATURAL = "#0072B2"
ATTACKED = "#D55E00"
HELPFUL = "#009E73"
HARMFUL = "#CC79A7"
NEUTRAL = "#808080"
IMAGE_COLOURS = {"natural": NATURAL, "attacked": ATTACKED}
IMAGE_SYMBOLS = {"natural": "circle", "attacked": "diamond"}
MAP_SYMBOLS = {"natural": "star", "attacked": "star-diamond"}
BAND = "rgba(128, 128, 128, 0.22)"
GRID = "rgba(128, 128, 128, 0.25)"

CLASS_COLOURS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#B8A800", "#808080")
CLASS_SYMBOLS = (
    "circle",
    "square",
    "diamond",
    "cross",
    "x",
    "triangle-up",
    "triangle-down",
    "pentagon",
    "star",
    "hexagon",
)

DIVERGING = ((0.0, "#2166AC"), (0.25, "#92C5DE"), (0.5, "#F7F7F7"), (0.75, "#F4A582"), (1.0, "#B2182B"))
SEQUENTIAL = "Cividis"


def class_colour(index: int) -> str:
    """Return the colour of a class; repeats after eight, where the shape still tells classes apart."""
    return CLASS_COLOURS[index % len(CLASS_COLOURS)]


def class_symbol(index: int) -> str:
    """Return the marker shape of a class."""
    return CLASS_SYMBOLS[index % len(CLASS_SYMBOLS)]
