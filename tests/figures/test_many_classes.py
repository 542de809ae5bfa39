"""Charts of a network with many classes: what matters is named, and nothing grows with the number of the others."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from support.fake_analysis import analyse
from telltale.analysis.results import Analysis
from telltale.figures.base import MOST_CLASSES, NAMED_OF_MANY, drawn_classes
from telltale.figures.embedding import MOST_POINTS, training_map
from telltale.figures.results.density import class_densities, class_map, marked_class_map
from telltale.figures.results.neighbours import votes
from telltale.figures.results.trajectory import compared_classes, departure, pivot_distances
from telltale.kinds.density import DensityView
from telltale.kinds.neighbours import NeighboursView

CLASSES = 1000
NAMES = tuple(f"class {c}" for c in range(CLASSES))
RNG = np.random.default_rng(0)


def analysed(label: int, **views: Any) -> Any:
    """Return what figures read of an analysis of one image: its class, and a view by its type."""
    return SimpleNamespace(prediction=SimpleNamespace(label=label), view=lambda kind: views[kind.kind])


def test_few_classes_are_all_drawn_in_their_order_and_of_many_the_largest() -> None:
    few = RNG.permutation(MOST_CLASSES).astype(float)
    assert drawn_classes([few]) == list(range(MOST_CLASSES))
    first, second = RNG.random(CLASSES), RNG.random(CLASSES)
    first[3] = second[3] = np.nan
    tops = {c: max(first[c], second[c]) for c in range(CLASSES) if c != 3}
    expected = sorted(tops, key=lambda c: -tops[c])
    worst = expected[-1]
    assert drawn_classes([first, second]) == expected[:NAMED_OF_MANY]
    assert drawn_classes([first, second], {worst, 3, expected[0]}) == [*expected[:NAMED_OF_MANY], worst]


def test_points_of_many_classes_are_one_trace_that_names_each() -> None:
    labels = RNG.integers(0, CLASSES, 3000)
    points, ids = RNG.normal(size=(3000, 2)), np.arange(5000, 8000)
    figure = training_map(points, labels, ids, NAMES)
    drawn, sample = figure.data
    assert len(drawn.x) == MOST_POINTS and sample.showlegend is not False and drawn.showlegend is False
    for place in (0, 1, MOST_POINTS - 1):
        row = int(drawn.customdata[place]) - 5000
        assert drawn.text[place] == f"class {labels[row]}"
        assert (drawn.x[place], drawn.y[place]) == tuple(points[row])


def test_only_classes_with_votes_are_bars() -> None:
    first, second = np.zeros(CLASSES), np.zeros(CLASSES)
    first[[7, 400]], second[[400, 999]] = (0.25, 0.75), (0.5, 0.5)
    shown = [("natural", analysed(7, neighbours=SimpleNamespace(votes=first)))]
    shown.append(("attacked", analysed(400, neighbours=SimpleNamespace(votes=second))))
    figure = votes(shown, NAMES)
    assert [list(bars.x) for bars in figure.data] == [["class 7", "class 400", "class 999"]] * 2
    assert list(figure.data[0].y) == [0.25, 0.75, 0.0] and list(figure.data[1].y) == [0.0, 0.5, 0.5]


def test_small_shares_are_written_with_a_decimal() -> None:
    spread = np.full(CLASSES, 0.001)
    for votes_of, number in ((spread, ".1%"), (np.eye(CLASSES)[3], ".0%")):
        figure = votes([("natural", analysed(3, neighbours=SimpleNamespace(votes=votes_of)))], NAMES)
        assert figure.layout.yaxis.tickformat == number


def test_few_classes_keep_a_bar_each() -> None:
    natural: Analysis = analyse(np.zeros((1, 8, 8), np.float32), 0.05, {"a": 0.1, "b": 0.2})
    figure = votes([("natural", natural)], [str(c) for c in range(10)])
    assert len(figure.data[0].x) == 10
    assert sum(figure.data[0].y) == pytest.approx(natural.view(NeighboursView).votes.sum())


def test_of_many_densities_the_predicted_and_the_densest_are_drawn() -> None:
    values = RNG.normal(-500, 100, CLASSES)
    values[RNG.permutation(CLASSES)[:300]] = np.nan
    values[5] = -5000.0
    view = DensityView(values, {0.95: np.full(CLASSES, -600.0)}, np.zeros(2, np.float32))
    figure = class_densities([("natural", analysed(5, density=view))], NAMES)
    thresholds, image = figure.data
    assert list(thresholds.x) == list(image.x) and len(image.x) == NAMED_OF_MANY + 1 and image.x[-1] == "class 5"
    assert list(image.customdata[:-1]) == sorted(values[np.isfinite(values)], reverse=True)[:NAMED_OF_MANY]
    assert image.customdata[-1] == -5000.0


def test_of_many_outlines_only_those_of_the_read_classes_are_drawn() -> None:
    means = RNG.normal(size=(CLASSES, 2))
    means[9] = np.nan
    bundle: Any = SimpleNamespace(
        id="b",
        class_names=NAMES,
        splits=SimpleNamespace(train=np.arange(CLASSES)),
        density_map=SimpleNamespace(
            points=means, labels=np.arange(CLASSES), means=means, covariances=np.stack([np.eye(2)] * CLASSES)
        ),
    )
    base = class_map(bundle)
    assert not base.layout.annotations and len(base.data) == 2
    view = SimpleNamespace(position=np.zeros(2))
    shown = [("natural", analysed(4, density=view)), ("attacked", analysed(9, density=view))]
    figure = marked_class_map(base, bundle, shown)
    assert [note.text for note in figure.layout.annotations] == ["<b>class 4</b>"]
    assert not base.layout.annotations


def walked(label: int, tables: dict[tuple[str, str], np.ndarray]) -> Any:
    return analysed(label, trajectory=SimpleNamespace(distances=tables, layers=("first", "last")))


def test_a_path_to_a_class_without_pivot_is_drawn_against_the_nearest_ones() -> None:
    near, far = np.full((2, 6), np.nan), np.full((2, 6), np.nan)
    near[1, [1, 2, 4]], far[1, [1, 2, 4]] = (5.0, 3.0, 4.0), (2.0, 6.0, 1.0)
    near[0, [1, 2, 4]] = far[0, [1, 2, 4]] = 7.0
    l2, cosine = ("centroid", "l2"), ("centroid", "cosine")
    natural = {l2: near, cosine: -near}
    attacked = {l2: far, cosine: -far}

    def compared(own: int, reached: int, variant: tuple[str, str]) -> tuple[int, int]:
        return compared_classes([("natural", walked(own, natural)), ("attacked", walked(reached, attacked))], variant)

    for variant in (l2, cosine):
        assert compared(1, 2, variant) == (1, 2), "both have pivots"
        assert compared(0, 3, variant) == (2, 4), "nearest to the end of each path"
        assert compared(4, 3, variant) == (4, 1), "never the same class twice"
        assert compared(0, 4, variant) == (2, 4)
        assert compared_classes([("natural", walked(2, natural))], variant) == (2, 4)
        assert compared_classes([("natural", walked(5, natural))], variant) == (2, 4)
    shown = [("natural", walked(0, natural)), ("attacked", walked(4, attacked))]
    assert departure(shown, l2) is None
    names = [trace.name for trace in pivot_distances(shown, NAMES, l2)["natural"].data[2:]]
    assert names == ["class class 2", "class class 4"]
