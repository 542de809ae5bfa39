"""The stability figure: every movement's margin at its place, each image's own beside it, what does not count open."""

from __future__ import annotations

import numpy as np

from support.fake_analysis import analyse
from telltale.figures.results.stability import UNMOVED, transformed_margins
from telltale.kinds.stability import StabilityView

SHOWN = [
    ("natural", analyse(np.full((1, 8, 8), 0.1, np.float32), 0.05, {"nnif": 0.1})),
    ("attacked", analyse(np.ones((1, 8, 8), np.float32), 0.05, {"nnif": 0.1})),
]


def test_each_image_has_its_margins_and_a_line_at_its_own() -> None:
    figure = transformed_margins(SHOWN)
    for (name, analysis), line, points in zip(SHOWN, figure.data[::2], figure.data[1::2], strict=True):
        view = analysis.view(StabilityView)
        assert points.name == name and not line.showlegend
        assert list(points.x) == [UNMOVED, "up", "down", "left", "right", "mirrored"]
        assert list(points.y) == [view.margin, *view.margins.values()]
        assert set(line.y) == {view.margin}
    assert figure.layout.shapes[0].y0 == figure.layout.shapes[0].y1 == 0.0


def test_only_what_does_not_count_is_open_and_images_differ_by_more_than_colour() -> None:
    symbols = [list(points.marker.symbol) for points in transformed_margins(SHOWN).data[1::2]]
    assert symbols == [["circle"] * 5 + ["circle-open"], ["diamond"] * 5 + ["diamond-open"]]


def test_one_image_alone_is_drawn_too() -> None:
    (line, points) = transformed_margins([("image", SHOWN[0][1])]).data
    assert points.name == "image" and len(points.y) == 6 and len(line.y) == 2
