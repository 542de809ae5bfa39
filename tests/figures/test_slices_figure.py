"""The figure of groups that fail more often says what it was given."""

from __future__ import annotations

import pytest

from telltale.figures.slices import GroupRate, group_rates

GROUPS = [
    GroupRate(
        "Dark images read as a cat that lies in the shade of a tree, low neighbour agreement", 0.4, 0.2, 0.7, 8, 20
    ),
    GroupRate("Images, low confidence", 0.2, 0.15, 0.25, 40, 200),
]


def test_bars_intervals_names_and_the_line_of_all_images() -> None:
    figure = group_rates(GROUPS, 0.07)
    (bars,) = figure.data
    assert list(bars.x) == [0.4, 0.2] and list(bars.y) == [0, 1]
    ends = [(x - below, x + above) for x, below, above in zip(bars.x, bars.error_x.arrayminus, bars.error_x.array)]  # noqa: B905
    assert [end for pair in ends for end in pair] == pytest.approx([0.2, 0.7, 0.15, 0.25])
    assert bars.text[1] == "Images, low confidence<br>20.0% misread (15.0% – 25.0%): 40 of 200 images"
    names = [note.text.replace("<br>", " ") for note in figure.layout.annotations]
    assert names == [group.name for group in GROUPS] and "<br>" in figure.layout.annotations[0].text
    assert [(line.x0, line.x1) for line in figure.layout.shapes] == [(0.07, 0.07)] * 2, "one beside every bar"
    assert [line.y0 < place < line.y1 for place, line in enumerate(figure.layout.shapes)] == [True, True]
    assert figure.layout.yaxis.range[0] > figure.layout.yaxis.range[1], "the first group is on top"
    assert figure.layout.xaxis.range[1] >= 0.7
