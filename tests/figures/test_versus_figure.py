"""The figures of two models side by side say what they were given."""

from __future__ import annotations

import pytest

from telltale.figures.versus import CrossingRate, crossing_bars, departure_bars


def test_bars_controls_and_intervals_stand_beside_their_names() -> None:
    figure = crossing_bars(
        [CrossingRate("a → b", 0.4, 0.2, 0.6, 0.05, 20), CrossingRate("b → a", 0.1, 0.0, 0.3, 0.0, 20)]
    )
    attack, control = figure.data
    assert list(zip(attack.y, attack.x, control.x, strict=True)) == [("a → b", 0.4, 0.05), ("b → a", 0.1, 0.0)]
    assert list(attack.error_x.array) == pytest.approx([0.2, 0.2])
    assert list(attack.error_x.arrayminus) == pytest.approx([0.2, 0.1])
    assert figure.layout.yaxis.autorange == "reversed"


def test_departures_are_counted_by_layer() -> None:
    figure = departure_bars(["stem", "head", "never"], [("attacked on a", [1, 2, 0]), ("attacked on b", [0, 0, 3])])
    assert [list(bar.y) for bar in figure.data] == [[1, 2, 0], [0, 0, 3]]
    assert list(figure.data[0].x) == ["stem", "head", "never"]
    assert figure.data[0].marker.color != figure.data[1].marker.color
