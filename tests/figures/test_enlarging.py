"""A figure for a room: larger in everything that is counted in pixels, the same in all that it says."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest

from telltale.figures.base import legend_below, line, styled
from telltale.figures.enlarging import USUAL_FONT, enlarged
from telltale.figures.maps import distributions
from telltale.figures.roc import roc_curves


def drawn() -> go.Figure:
    figure = go.Figure([line("a", [0.0, 1.0], [2.0, 3.0], "#123456", symbol="circle")])
    figure.add_bar(name="b", x=[1, 2], y=[3, 4], width=0.5, error_y={"array": [0.1, 0.2], "thickness": 2, "width": 4})
    figure.add_heatmap(z=[[1.0, 2.0]], colorbar={"thickness": 10, "len": 0.5})
    figure.add_annotation(text="here", x=1, y=2, font={"size": 10}, xshift=4)
    figure.add_shape(type="line", x0=0, x1=1, y0=0, y1=width_in_data())
    return styled(figure, 300, "x", "y", legend=2)


def width_in_data() -> float:
    return 7.0


def test_pixels_grow_and_data_stay() -> None:
    before = drawn()
    after = enlarged(before, 1.5)
    assert after.layout.height == 450 and after.layout.margin.t == 1.5 * before.layout.margin.t
    assert after.data[0].line.width == 1.5 * before.data[0].line.width and after.data[0].marker.size == 12
    assert after.data[1].error_y.thickness == 3 and after.data[2].colorbar.thickness == 15
    assert after.layout.annotations[0].font.size == 15 and after.layout.annotations[0].xshift == 6
    assert after.layout.xaxis.tickfont.size == after.layout.legend.font.size == 1.5 * USUAL_FONT
    assert after.data[1].width == 0.5 and after.data[2].colorbar.len == 0.5, "in units of their own"
    assert after.layout.shapes[0].y1 == width_in_data() and after.layout.annotations[0].x == 1
    for old, new in zip(before.data, after.data, strict=True):
        for name in ("x", "y", "z", "name"):
            assert np.array_equal(getattr(old, name, None), getattr(new, name, None)), name


@pytest.mark.parametrize("kind", [list, tuple, np.array])
def test_sizes_that_points_have_of_their_own_grow_as_well(kind: Any) -> None:
    values = {"size": kind([0, 13]), "line": {"width": kind([1.0, 2.0])}, "color": kind([4, 5])}
    after = enlarged(go.Figure(go.Scatter(x=[1, 1], y=[0, 2], marker=values)), 1.5).data[0].marker
    assert list(after.size) == [0, 19.5] and list(after.line.width) == [1.5, 3.0] and list(after.color) == [4, 5]


def test_a_mark_among_densities_grows() -> None:
    figure = distributions([], [("attacked", 0.5, "#123456", "circle")], "score")
    assert list(enlarged(figure, 1.5).data[0].marker.size) == [0, 19.5]


def test_the_steps_of_an_animation_are_as_large_as_what_they_replace() -> None:
    figure = go.Figure(go.Scatter(x=[0, 1], y=[0, 1], line={"width": 2}))
    figure.frames = [go.Frame(name="a", data=[go.Scatter(x=[1, 2], y=[0, 1], line={"width": 2})], traces=[0])]
    large = enlarged(figure, 1.5)
    (frame,) = large.frames
    assert frame.data[0].line.width == large.data[0].line.width == 3.0
    assert (frame.name, frame.traces, list(frame.data[0].x)) == ("a", (0,), [1, 2])


def test_the_figure_itself_is_left_as_it_is() -> None:
    figure = drawn()
    content = copy.deepcopy(figure.to_plotly_json())
    enlarged(figure, 2.0)
    assert str(figure.to_plotly_json()) == str(content)


@pytest.mark.parametrize("factor", [1.5, 2.0])
def test_twice_is_the_product(factor: float) -> None:
    once = enlarged(enlarged(drawn(), factor), factor)
    whole = enlarged(drawn(), factor * factor)
    assert once.to_plotly_json()["layout"]["margin"] == whole.to_plotly_json()["layout"]["margin"]
    assert once.data[0].marker.size == whole.data[0].marker.size == 8 * factor**2


def test_a_legend_below_keeps_its_place() -> None:
    figure: Any = styled(roc_curves([("a", np.array([0.0, 1.0]), np.array([0.0, 1.0]))], [], False, 0.01), 400)
    legend_below(figure, 3, "who")
    large = enlarged(figure, 1.5)
    plot = [f.layout.height - f.layout.margin.t - f.layout.margin.b for f in (figure, large)]
    gaps = [-f.layout.legend.y * room for f, room in zip((figure, large), plot, strict=True)]
    assert gaps[1] == pytest.approx(1.5 * gaps[0]), "Plotly counts it in heights of the plot"
