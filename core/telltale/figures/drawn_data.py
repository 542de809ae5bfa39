"""What a figure draws, as a table: one row for each point, bar or cell, in the order in which they are drawn."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from telltale.base.csv_cells import as_text

COLUMNS = ("trace", "name", "kind", "x", "y", "z", "x_low", "x_high", "y_low", "y_high", "text")
BREAK, MARKUP = re.compile(r"<br ?/?>"), re.compile(r"</?(?:b|i|em|sub|sup|span)(?: [^<>]*)?>")


def drawn_data(figure: go.Figure) -> list[dict[str, object]]:
    """Return the points of all traces.

    Parameters
    ----------
    figure : Figure
        Of scatters, bars and heatmaps, as all of this project's are. Pictures, lines and words beside the traces are
        not part of it.

    Returns
    -------
    list of dict
        With `COLUMNS`: the trace's number from 0, its name and kind, its coordinates as they are drawn, the ends of its
        error bars on the same axes, and its text, without Plotly's own marks for bold and the like. What a trace does
        not have is None. What Plotly does not draw is left out: a point that lacks a coordinate or has one that is not
        finite, such as those that only make an entry of a legend, and a cell without a value.

    Examples
    --------
    >>> [(row["x"], row["y"]) for row in drawn_data(go.Figure(go.Scatter(x=[1, 2], y=[3, 4])))]
    [(1, 3), (2, 4)]
    """
    rows = []
    for number, trace in enumerate(figure.data):
        points = _cells(trace) if trace.type == "heatmap" else _points(trace)
        rows += [
            dict.fromkeys(COLUMNS)
            | {"trace": number, "name": _plain(trace.name), "kind": trace.type}
            | {name: _plain(value) for name, value in point.items()}
            for point in points
        ]
    return rows


def drawn_csv(figure: go.Figure) -> str:
    """Return `drawn_data` as CSV; text that a spreadsheet would run shows as text."""
    written = io.StringIO()
    writer = csv.writer(written, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in drawn_data(figure):
        writer.writerow(["" if row[name] is None else as_text(row[name]) for name in COLUMNS])
    return written.getvalue()


def _points(trace: Any) -> Iterator[dict[str, object]]:
    across, up = _listed(trace.x), _listed(trace.y)
    count = max(len(across), len(up))
    across, up = across or list(range(count)), up or list(range(count))  # as Plotly counts what has no place
    columns: dict[str, Sequence[object]] = {"x": across, "y": up, "text": _each(trace.text, count)}
    for axis, values, spread in (("x", across, trace.error_x), ("y", up, trace.error_y)):
        ends = _ends(values, spread)
        columns[f"{axis}_low"], columns[f"{axis}_high"] = [low for low, _ in ends], [high for _, high in ends]
    for index in range(min(len(across), len(up))):
        if across[index] is not None and up[index] is not None:
            yield {name: values[index] for name, values in columns.items()}


def _ends(values: Sequence[object], spread: Any) -> list[tuple[object, object]]:
    """Return where each error bar ends; Plotly holds lengths, of which one alone is that of both sides."""
    above = _each(spread.array, len(values))
    below = above if spread.arrayminus is None or spread.symmetric else _each(spread.arrayminus, len(values))
    return [_ends_of(*point) for point in zip(values, below, above, strict=False)]


def _ends_of(value: object, below: object, above: object) -> tuple[object, object]:
    """Return both ends of one error bar; a length that is missing beside the other is none, as Plotly draws it."""
    if not isinstance(value, (int, float)) or (below is None and above is None):
        return None, None
    return value - _length(below), value + _length(above)


def _length(given: object) -> float:
    return given if isinstance(given, (int, float)) else 0.0


def _cells(trace: Any) -> Iterator[dict[str, object]]:
    cells = [_listed(row) for row in trace.z]
    across = _listed(trace.x) or list(range(max(map(len, cells), default=0)))
    up = _listed(trace.y) or list(range(len(cells)))
    words = None if trace.text is None else [_listed(row) for row in trace.text]
    for j, row in enumerate(cells):
        for i, value in enumerate(row):
            if value is not None:
                yield {"x": across[i], "y": up[j], "z": value, "text": None if words is None else words[j][i]}


def _plain(value: object) -> object:
    return MARKUP.sub("", BREAK.sub(" ", value)) if isinstance(value, str) else value


def _listed(values: Any) -> list[object]:
    """Return values as Python's own; what is not finite is None, as Plotly draws nothing there."""
    if values is None:
        return []
    own = [value.item() if isinstance(value, np.generic) else value for value in values]
    return [None if isinstance(value, float) and not np.isfinite(value) else value for value in own]


def _each(values: Any, count: int) -> list[object]:
    """Return one value for each point, where one stands for all or there is none."""
    if values is None or isinstance(values, str):
        return [values] * count
    found = _listed(values)
    return found + [None] * (count - len(found))
