"""Every detector on one p-value axis: marks where the p-values are, lines between them, bars that say what moved."""

from __future__ import annotations

import math

import plotly.graph_objects as go
import pytest

from telltale.figures import palette
from telltale.figures.verdicts import Marks, verdict_rows

NATURAL = Marks("natural", [0.8, 0.4, None], ["a0", "b0", "c0"], "blue", "circle")
ATTACKED = Marks("attacked", [0.002, 0.6, None], ["a1", "b1", "c1"], "red", "diamond")
TITLES = ["fused", "kNN", "silent"]
MOVED = [None, 1.5, -0.5]


@pytest.fixture
def figure() -> go.Figure:
    return verdict_rows(TITLES, [NATURAL, ATTACKED], 0.05, MOVED)


def test_marks_stand_at_the_p_values_and_say_more_under_the_pointer(figure: go.Figure) -> None:
    marks = {trace.name: trace for trace in figure.select_traces({"mode": "markers"})}
    assert list(marks["natural"].x) == NATURAL.p_values and list(marks["attacked"].x) == ATTACKED.p_values
    assert list(marks["attacked"].y) == ["<b>fused</b>", "kNN", "silent (not calibrated)"]
    assert list(marks["attacked"].customdata) == ATTACKED.words


def test_a_line_leads_from_natural_to_attacked_and_to_nothing_where_there_is_no_p_value(figure: go.Figure) -> None:
    (lines,) = (trace for trace in figure.select_traces({"mode": "lines"}))
    drawn = list(zip(lines.x, lines.y, strict=True))
    gap = (None, None)
    ends = [(0.8, "<b>fused</b>"), (0.002, "<b>fused</b>"), gap, (0.4, "kNN"), (0.6, "kNN"), gap, gap]
    assert drawn == ends


def test_bars_say_what_moved_the_fused_verdict_and_which_way(figure: go.Figure) -> None:
    (bars,) = (trace for trace in figure.data if trace.type == "bar")
    assert list(bars.x) == MOVED and bars.xaxis == "x2"
    assert list(bars.marker.color)[1:] == [palette.ATTACKED, palette.NATURAL]
    low, high = figure.layout.xaxis2.range
    assert low == -high and high > 1.5
    assert figure.layout.xaxis.domain[1] < figure.layout.xaxis2.domain[0]


@pytest.mark.parametrize(("alpha", "smallest"), [(0.05, 0.002), (0.001, 0.001)])
def test_the_axis_reaches_beyond_the_smallest_p_value_and_beyond_alpha(alpha: float, smallest: float) -> None:
    figure = verdict_rows(TITLES, [NATURAL, ATTACKED], alpha)
    assert 10 ** figure.layout.xaxis.range[0] < smallest
    assert math.isclose(next(shape.x1 for shape in figure.layout.shapes if shape.type == "rect"), alpha)
    (letter,) = figure.layout.annotations
    assert letter.text == "α" and math.isclose(10**letter.x, alpha)
    assert not [trace for trace in figure.data if trace.type == "bar"]


def test_letters_of_other_images_stand_in_the_same_rows_and_widen_the_axis() -> None:
    pinned = Marks("A: FGSM, pinned", [0.00001, None, 0.3], ["a2", "", "c2"], "grey", "A")
    figure = verdict_rows(TITLES, [NATURAL, ATTACKED], 0.05, MOVED, [pinned])
    (letters,) = figure.select_traces({"mode": "markers+text"})
    assert list(letters.x) == pinned.p_values and letters.text == "A" and letters.name == "A: FGSM, pinned"
    assert list(letters.y) == ["<b>fused</b>", "kNN", "silent (not calibrated)"]
    assert 10 ** figure.layout.xaxis.range[0] < 0.00001
    (lines,) = (trace for trace in figure.select_traces({"mode": "lines"}))
    assert 0.00001 not in lines.x
