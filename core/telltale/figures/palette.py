"""Colours and marker shapes that stay apart for colour-blind readers, on light and on dark pages."""

from __future__ import annotations

import math

NATURAL = "#0072B2"
ATTACKED = "#D55E00"
HELPFUL = "#009E73"
HARMFUL = "#CC79A7"
MISREAD = "#832DB6"
NEUTRAL = "#808080"
IMAGE_COLOURS = {"natural": NATURAL, "attacked": ATTACKED, "image": NATURAL}
IMAGE_SYMBOLS = {"natural": "circle", "attacked": "diamond", "image": "circle"}
MAP_SYMBOLS = {"natural": "star", "attacked": "star-diamond", "image": "star"}
LABEL_FONT = {"size": 14, "color": "#1B2A30"}
LABEL_GROUND = "rgba(255, 255, 255, 0.8)"
FAINT = "rgba(128, 128, 128, 0.55)"
BAND = "rgba(128, 128, 128, 0.22)"
GRID = "rgba(128, 128, 128, 0.25)"

# Petroff's accessible sequence of ten (arXiv 2107.02270), its last colour darkened so that it shows on white.
CLASS_COLOURS = (
    "#3F90DA",
    "#FFA90E",
    "#BD1F01",
    "#94A4A2",
    "#832DB6",
    "#A96B59",
    "#E76300",
    "#B9AC70",
    "#717581",
    "#5EC4CC",
)
OF_ANY_CLASS = CLASS_COLOURS[7]  # points of more classes than colours can tell apart
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
ABOVE, BELOW = (33, 102, 172), (178, 24, 43)  # the ends of DIVERGING
DEEPEST_SHADE = 0.5


def class_colour(index: int) -> str:
    """Return the colour of a class; repeats after ten."""
    return CLASS_COLOURS[index % len(CLASS_COLOURS)]


def class_symbol(index: int) -> str:
    """Return the marker shape of a class."""
    return CLASS_SYMBOLS[index % len(CLASS_SYMBOLS)]


def difference_shade(strength: float) -> str:
    """Return a see-through blue above, or red below, that leaves the page's text readable in both themes.

    Parameters
    ----------
    strength : float
        In [-1, 1]; 0 leaves the ground as it is.
    """
    return _see_through(ABOVE if strength > 0 else BELOW, abs(strength))


def caught_shade(share: float, alarm: bool) -> str:
    """Return a see-through ground for a share, deeper the larger it is, that leaves the page's text readable.

    Parameters
    ----------
    share : float
        In [0, 1]; NaN leaves the ground as it is.
    alarm : bool
        Whether it is a share of false alarms, which has the attacked images' hue instead of the natural ones'.
    """
    return _see_through(tuple(bytes.fromhex((ATTACKED if alarm else NATURAL)[1:])), 0.0 if math.isnan(share) else share)


def _see_through(colour: tuple[int, ...], strength: float) -> str:
    """Return a colour, red to blue in 0 to 255, that covers a ground by `strength`, in [0, 1], of `DEEPEST_SHADE`."""
    red, green, blue = colour
    return f"rgba({red}, {green}, {blue}, {DEEPEST_SHADE * strength:.3f})"
