"""What every figure shares: transparent ground, quiet grid, a legend that fits a telephone."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go

from telltale.figures import palette

TRANSPARENT = "rgba(0, 0, 0, 0)"

# Room around the plot in pixels, as measured in a browser. Where it is too small for what is written there, Plotly
# makes more and draws the whole figure a second time, which took up to 0.1 s of every page.
BARE = 8  # a side without anything
LEGEND, ROW = 48, 19  # a legend in one row, and each further row
BELOW, BELOW_SLANTED = 68, 108  # an axis title and one row of words; or slanted names
TITLE, LETTER = 60, 6  # an axis title beside the plot, its gaps included; one character of the numbers next to it
LONGEST_NUMBER = "100%"

# Of more classes, colours, legends and axes can no longer name every one: only those that matter are named.
MOST_CLASSES, NAMED_OF_MANY = 20, 10
LAST_NUMBER = 18  # of "100%" beyond the end of the axis

# A legend below the plot, likewise in pixels: an entry's width, so that two stand beside each other on a desk and one
# on a telephone; its heading; the gap above it; what is left above the plot.
ENTRY_WIDTH, HEADING, LEGEND_BELOW, TOP = 180, 60, 84, 12


def beside(labels: Sequence[str], title: bool = True) -> int:
    """Return the room that an upright axis with these labels takes, pixels; what it lacks for long ones Plotly adds."""
    return (TITLE if title else 20) + LETTER * max(map(len, labels), default=0)


def styled(
    figure: go.Figure,
    height: int,
    x: str = "",
    y: str = "",
    legend: int = 1,
    left: int | None = None,
    top: int = 12,
    bottom: int = BELOW,
) -> go.Figure:
    """Apply the shared layout to `figure` and return it.

    Parameters
    ----------
    figure : Figure
    height : int
        Pixels; the width always follows the page.
    x, y : str
        Axis titles, with units.
    legend : int
        Rows of the legend above the plot; it is not shown at 0.
    left, top, bottom : int
        Room for what is written around the plot, pixels; `left` else for numbers, `top` where there is no legend.
    """
    # Set one by one: Plotly's `update` methods take three times as long, which every page would wait for.
    layout = figure.layout
    layout.height = height
    layout.margin = {
        "l": beside([LONGEST_NUMBER]) if left is None else left,
        "r": BARE,
        "t": LEGEND + ROW * (legend - 1) if legend else top,
        "b": bottom,
    }
    layout.paper_bgcolor = layout.plot_bgcolor = TRANSPARENT
    layout.showlegend = legend > 0
    layout.legend = {"orientation": "h", "x": 0, "xanchor": "left", "y": 1.02, "yanchor": "bottom"}
    layout.hovermode = "closest"
    layout.dragmode = False
    for axes, title in ((figure.select_xaxes(), x), (figure.select_yaxes(), y)):
        for axis in axes:
            if title:
                axis.title.text = title
            axis.gridcolor = palette.GRID
            axis.zeroline = False
            axis.automargin = True
    return figure


def drawn_classes(values: Sequence[npt.NDArray[np.floating]], always: Collection[int] = ()) -> list[int]:
    """Return which classes a chart of one value per class shows: all of a few, the largest of many.

    Parameters
    ----------
    values : sequence of array, shape (C,)
        One per image; not finite for a class that has none.
    always : collection of int
        Classes that are shown whatever their value, such as the predicted ones; those without one are left out.

    Returns
    -------
    list of int
        In the order of the labels where all are shown; else the largest value first.
    """
    tops = np.max([np.where(np.isfinite(one), one, -np.inf) for one in values], axis=0)
    known = np.flatnonzero(np.isfinite(tops))
    if len(known) <= MOST_CLASSES:
        return [int(c) for c in known]
    order = [int(c) for c in known[np.argsort(-tops[known], kind="stable")]]
    chosen = {*(c for c in always if np.isfinite(tops[c])), *order[:NAMED_OF_MANY]}
    return [c for c in order if c in chosen]


def legend_below(figure: go.Figure, entries: int, title: str) -> None:
    """Put the legend of a styled figure, of so many entries, below the plot, and words above it."""
    bottom = BELOW + HEADING + ROW * -(-entries // 2)
    down = -LEGEND_BELOW / (figure.layout.height - TOP - bottom)  # Plotly counts in heights of the plot
    heading = {"text": title, "side": "top"}
    below = {"y": down, "yanchor": "top", "entrywidth": ENTRY_WIDTH, "maxheight": 0.6, "title": heading}
    figure.update_layout(legend=below, margin={"t": TOP, "b": bottom})


def line(
    name: str, x: object, y: object, colour: str, dash: str = "solid", symbol: str | None = None, width: float = 2.5
) -> go.Scatter:
    """Return a line trace; `symbol` adds markers so that lines differ by more than colour."""
    return go.Scatter(
        name=name,
        x=x,
        y=y,
        mode="lines" if symbol is None else "lines+markers",
        line={"color": colour, "width": width, "dash": dash},
        marker={"symbol": symbol, "size": 8} if symbol else None,
    )
