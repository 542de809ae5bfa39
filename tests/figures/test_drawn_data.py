"""What a figure draws, as a table: every point of its traces, as Plotly's own description of the figure has it."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest

from telltale.figures.bars import top_classes
from telltale.figures.drawn_data import COLUMNS, drawn_csv, drawn_data
from telltale.figures.roc import roc_curves
from telltale.figures.scores import Score, score_lines

HOSTILE = ["=1+1", "+cmd", "-a", "@x", "\tx"]


def described(figure: go.Figure) -> list[dict[str, Any]]:
    """Return the traces as Plotly writes them for the browser, arrays as lists."""
    from plotly.io.json import to_json_plotly

    figure = go.Figure(figure)
    content = json.loads(to_json_plotly({"data": [_plain(trace.to_plotly_json()) for trace in figure.data]}))
    traces: list[dict[str, Any]] = content["data"]
    return traces


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items()}
    return value.tolist() if isinstance(value, np.ndarray) else value


def figures() -> dict[str, go.Figure]:
    rng = np.random.default_rng(0)
    curve = np.sort(rng.random(20))
    return {
        "curves": roc_curves([("a", curve, np.sqrt(curve)), ("b", curve, curve)], [], False, 0.01),
        "bars": top_classes(["cat", "dog"], [0.75, 0.25], "#123456"),
    }


@pytest.mark.parametrize("name", list(figures()))
def test_every_point_of_every_trace_is_a_row(name: str) -> None:
    figure = figures()[name]
    meant = [
        (number, x, y)
        for number, trace in enumerate(described(figure))
        for x, y in zip(trace["x"], trace["y"], strict=True)
        if x is not None and y is not None
    ]
    rows = drawn_data(figure)
    assert [(row["trace"], row["x"], row["y"]) for row in rows] == meant and meant
    assert {(row["trace"], row["name"]) for row in rows} == {(n, figure.data[n].name) for n, _, _ in meant}


def test_every_cell_of_a_heatmap_is_a_row() -> None:
    values = np.arange(6.0).reshape(2, 3)
    figure = go.Figure(go.Heatmap(z=values, x=["a", "b", "c"], text=[["p", "q", "r"], ["s", "t", "u"]]))
    rows = {(row["x"], row["y"]): (row["z"], row["text"]) for row in drawn_data(figure)}
    assert rows == {(x, y): (values[y, i], "pqrstu"[3 * y + i]) for i, x in enumerate("abc") for y in range(2)}


def test_text_and_places_that_are_counted() -> None:
    rows = drawn_data(go.Figure(go.Bar(y=[1.0, 2.0], text="t")))
    assert [(row["x"], row["y"], row["text"]) for row in rows] == [(0, 1.0, "t"), (1, 2.0, "t")]
    assert all(row[name] is None for row in rows for name in ("x_low", "x_high", "y_low", "y_high"))


NONE = float("nan")


@pytest.mark.parametrize(
    ("spread", "ends"),
    [
        ({"array": [0.25, 0.5], "arrayminus": [0.125, 1.0]}, [(0.875, 1.25), (1.0, 2.5)]),
        ({"array": [0.25, 0.5]}, [(0.75, 1.25), (1.5, 2.5)]),
        ({"array": [0.25, 0.5], "arrayminus": [9, 9], "symmetric": True}, [(0.75, 1.25), (1.5, 2.5)]),
        ({"array": np.array([0.25, NONE])}, [(0.75, 1.25), (None, None)]),
        ({"array": [None, 0.5], "arrayminus": [0.125, None]}, [(0.875, 1.0), (2.0, 2.5)]),
    ],
    ids=["both given", "one is both", "said to be both", "none", "one side"],
)
@pytest.mark.parametrize("axis", ["x", "y"])
def test_error_bars_are_written_as_where_they_end(axis: str, spread: dict[str, Any], ends: list[Any]) -> None:
    values = {axis: [1.0, 2.0], "y" if axis == "x" else "x": ["a", "b"], f"error_{axis}": spread}
    rows = drawn_data(go.Figure(go.Scatter(**values)))
    assert [(row[f"{axis}_low"], row[f"{axis}_high"]) for row in rows] == ends


def test_the_ends_are_the_interval_that_a_figure_was_given() -> None:
    figure = score_lines([Score("a", 0.5, 0.25, 0.875), Score("b", 0.0, -0.25, 0.5)], "score")
    assert [(row["x_low"], row["x"], row["x_high"]) for row in drawn_data(figure)] == [
        (0.25, 0.5, 0.875),
        (-0.25, 0.0, 0.5),
    ]


def test_what_plotly_does_not_draw_is_no_row() -> None:
    figure = go.Figure(go.Scatter(x=[None], y=[None], name="entry of a legend alone"))
    figure.add_scatter(x=[1.0, 2.0, None, 4.0], y=[NONE, 5.0, 6.0, float("inf")])
    figure.add_bar(x=["a", "b"], y=[None, 1.0])
    figure.add_heatmap(z=[[1.0, None], [NONE, 4.0]])
    assert [(row["trace"], row["x"], row["y"], row["z"]) for row in drawn_data(figure)] == [
        (1, 2.0, 5.0, None),
        (2, "b", 1.0, None),
        (3, 0, 0, 1.0),
        (3, 1, 1, 4.0),
    ]


def test_the_file_holds_the_same_and_runs_nothing_in_a_spreadsheet() -> None:
    figure = go.Figure(go.Bar(name="=SUM(A1)", x=HOSTILE, y=[-1.5, 0.1 + 0.2, 1e-9, 4, 5], text=HOSTILE))
    header, *rows = csv.reader(io.StringIO(drawn_csv(figure)))
    assert tuple(header) == COLUMNS and len(rows) == 5
    for row, given, height in zip(rows, HOSTILE, (-1.5, 0.1 + 0.2, 1e-9, 4, 5), strict=True):
        cells = dict(zip(COLUMNS, row, strict=True))
        assert cells["x"] == cells["text"] == f"'{given}" and cells["name"] == "'=SUM(A1)"
        assert float(cells["y"]) == height, "numbers stay numbers, to their last bit"


def test_the_marks_of_bold_words_are_left_out_and_nothing_else() -> None:
    figure = go.Figure(go.Scatter(name="a<br>b", x=[1.0, 2.0], y=["<b>Fused</b>", "3 < 4 <script>"]))
    assert [(row["name"], row["y"]) for row in drawn_data(figure)] == [("a b", "Fused"), ("a b", "3 < 4 <script>")]


def test_a_map_of_many_numbers_is_whole() -> None:
    values = np.random.default_rng(1).random((8, 8))
    rows = drawn_data(go.Figure(go.Heatmap(z=values)))
    found = np.full((8, 8), np.nan)
    for row in rows:
        found[int(str(row["y"])), int(str(row["x"]))] = float(str(row["z"]))
    assert np.array_equal(found, values)
