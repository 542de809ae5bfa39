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

COLUMNS = ("trace", "name", "kind", "x", "y", "z", "x_error", "x_error_minus", "y_error", "y_error_minus", "text")
SPREADS = ("error_x", "error_y")
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
        error bars, and its text, without Plotly's own marks for bold and the like. What a trace does not have is None.
        Points without coordinates, which only make an entry of a legend, are left out.

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
    for axis, name in zip("xy", SPREADS, strict=True):
        spread = trace[name]
        columns[f"{axis}_error"] = _each(spread.array, count)
        columns[f"{axis}_error_minus"] = _each(spread.arrayminus, count)
    for index in range(min(len(across), len(up))):
        if across[index] is not None or up[index] is not None:
            yield {name: values[index] for name, values in columns.items()}


def _cells(trace: Any) -> Iterator[dict[str, object]]:
    cells = [_listed(row) for row in trace.z]
    across = _listed(trace.x) or list(range(max(map(len, cells), default=0)))
    up = _listed(trace.y) or list(range(len(cells)))
    words = None if trace.text is None else [_listed(row) for row in trace.text]
    for j, row in enumerate(cells):
        for i, value in enumerate(row):
            yield {"x": across[i], "y": up[j], "z": value, "text": None if words is None else words[j][i]}


def _plain(value: object) -> object:
    return MARKUP.sub("", BREAK.sub(" ", value)) if isinstance(value, str) else value


def _listed(values: Any) -> list[object]:
    """Return values as Python's own; what is not a number is None, as Plotly draws nothing there."""
    if values is None:
        return []
    own = [value.item() if isinstance(value, np.generic) else value for value in values]
    return [None if isinstance(value, float) and np.isnan(value) else value for value in own]


def _each(values: Any, count: int) -> list[object]:
    """Return one value for each point, where one stands for all or there is none."""
    if values is None or isinstance(values, str):
        return [values] * count
    found = _listed(values)
    return found + [None] * (count - len(found))
