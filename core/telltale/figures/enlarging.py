"""The same figure for a room: everything that is counted in pixels grows alike, what the figure says stays."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import plotly.graph_objects as go

USUAL_FONT = 12.0  # pixels, where a figure leaves the size of its letters to what draws it
IN_PIXELS = frozenset(
    {"size", "width", "height", "thickness", "ticklen", "l", "r", "t", "b", "xshift", "yshift", "ax", "ay"}
    | {"entrywidth", "tracegroupgap", "standoff", "pad", "borderwidth", "outlinewidth", "itemwidth"}
)
IN_DATA = frozenset({"xbins", "ybins", "autobinx", "images", "shapes", "projection", "aspectratio"})


def enlarged(figure: go.Figure, factor: float) -> go.Figure:
    """Return a figure whose height, margins, letters, lines and markers are so many times larger.

    The width follows the page. Nothing that the figure says changes: no value, no range, no word.

    Parameters
    ----------
    figure : Figure
        Left as it is.
    factor : float

    Returns
    -------
    Figure

    Examples
    --------
    >>> enlarged(go.Figure(layout={"height": 200}), 1.5).layout.height
    300.0
    """
    large = go.Figure(
        data=[_trace(trace.to_plotly_json(), factor) for trace in figure.data],
        layout=_grown(figure.layout.to_plotly_json(), factor, ()),
        frames=[_frame(frame.to_plotly_json(), factor) for frame in figure.frames],
    )
    _letters(large, factor)
    return large


def _frame(frame: Mapping[str, Any], factor: float) -> dict[str, Any]:
    """Return a step of an animation whose traces are as large as those that it replaces."""
    return {**frame, "data": [_trace(trace, factor) for trace in frame.get("data") or ()]}


def _trace(trace: Mapping[str, Any], factor: float) -> dict[str, Any]:
    """Return a trace with larger lines and markers; its own `width` is that of bars, in units of the axis."""
    return {
        name: _grown(value, factor, (name,)) if isinstance(value, Mapping) else value for name, value in trace.items()
    }


def _grown(part: Any, factor: float, path: tuple[str, ...]) -> Any:
    if isinstance(part, Mapping):
        return {
            name: value if name in IN_DATA else _grown(value, factor, (*path, name)) for name, value in part.items()
        }
    if isinstance(part, (list, tuple)) and path and any(isinstance(item, Mapping) for item in part):
        return [_grown(item, factor, path) for item in part]
    if path and path[-1] in IN_PIXELS:
        return _larger(part, factor)
    return part


def _larger(pixels: Any, factor: float) -> Any:
    """Return a number, or one for each point, so many times larger; what is no number as it is."""
    if isinstance(pixels, (list, tuple, np.ndarray)):
        return [_larger(each, factor) for each in pixels]
    if isinstance(pixels, (int, float, np.number)) and not isinstance(pixels, bool):
        return float(pixels) * factor
    return pixels


def _letters(figure: go.Figure, factor: float) -> None:
    """Give letters that have no size of their own the larger one; the page would draw them as small as before."""
    size = USUAL_FONT * factor
    figure.layout.font.size = figure.layout.font.size or size
    for font in _fonts(figure):
        if font.size is None:
            font.size = size


def _fonts(figure: go.Figure) -> Iterator[Any]:
    for axis in (*figure.select_xaxes(), *figure.select_yaxes()):
        yield axis.tickfont
        yield axis.title.font
    for bar in figure.select_coloraxes():
        yield bar.colorbar.tickfont
        yield bar.colorbar.title.font
    yield figure.layout.legend.font
    yield figure.layout.legend.title.font
    yield figure.layout.hoverlabel.font
    for note in figure.layout.annotations:
        yield note.font
