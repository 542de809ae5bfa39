"""Figures: pure, transparent, complete, and told apart by more than colour."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable, Sequence

import numpy as np
import plotly.graph_objects as go
import pytest
from PIL import Image
from skimage.color import deltaE_ciede2000, rgb2lab

from support.theme import CONFIG, contrast
from telltale.figures import bars, density, embedding, maps, palette, roc, trajectory, verdicts
from telltale_app import catalogue

LAYERS = ("a", "b", "c")
RAMP = np.array([1.0, 2.0, 3.0])
UNIT = np.linspace(0.0, 1.0, 5)
POINTS = np.random.default_rng(0).normal(size=(30, 2))
LABELS = np.arange(30) % 10
IDS = np.arange(100, 130)
NAMES = tuple("0123456789")

FIGURES: dict[str, Callable[[], go.Figure]] = {
    "top classes": lambda: bars.top_classes(["7", "1"], [0.9, 0.1], palette.NATURAL),
    "class bars": lambda: bars.class_bars(NAMES, [("natural", UNIT, "red"), ("attacked", UNIT, "blue")], "votes"),
    "heatmap": lambda: maps.heatmap(np.eye(4), -1, 1, True, "bits"),
    "distributions": lambda: maps.distributions([("n", RAMP, RAMP, "red")], [("i", 2.0, "blue", "star")], "score", 1.0),
    "pivot lines": lambda: trajectory.pivot_lines(
        LAYERS, [("own", RAMP), ("rival", RAMP[::-1])], (RAMP - 1, RAMP + 1), "distance", (0, 5), False, "b"
    ),
    "pivot path": lambda: trajectory.pivot_path(LAYERS, [("natural", RAMP, RAMP, "red")], "x", "y", False),
    "suspicion": lambda: trajectory.suspicion(LAYERS, [("natural", RAMP / 3, "red"), ("attacked", RAMP / 4, "blue")]),
    "sweep": lambda: trajectory.sweep(UNIT, [("own", UNIT, "red"), ("rival", UNIT, "blue")], 0.5, "distance"),
    "map": lambda: embedding.training_map(POINTS, LABELS, IDS, NAMES),
    "densities": lambda: density.class_densities(NAMES, [("n", np.arange(10.0), "red", "star")], [("t", np.zeros(10))]),
    "verdicts": lambda: verdicts.verdict_rows(
        ["a", "b"], [verdicts.Marks("natural", [0.5, None], ["", ""], "red", "circle")], 0.05, [None, 1.0]
    ),
    "roc": lambda: roc.roc_curves([("knn", UNIT, UNIT)], [("here", 0.0, 0.5, "red", "star")], True, 0.01),
    "rates": lambda: roc.rates_against_threshold(RAMP, RAMP / 3, RAMP / 4, 2.0),
}


@pytest.mark.parametrize("make", FIGURES.values(), ids=FIGURES.keys())
def test_figure_can_be_sent_and_lets_the_page_show_through(make: Callable[[], go.Figure]) -> None:
    figure = make()
    assert json.loads(figure.to_json())["data"]
    assert figure.layout.paper_bgcolor == figure.layout.plot_bgcolor == "rgba(0, 0, 0, 0)"
    assert figure.layout.height and figure.layout.width is None
    assert make() == figure


@pytest.mark.parametrize("name", ["pivot lines", "suspicion", "sweep"])
def test_lines_differ_by_more_than_colour(name: str) -> None:
    named = [trace for trace in FIGURES[name]().data if trace.name and trace.marker.symbol]
    assert len({(trace.line.dash, trace.marker.symbol) for trace in named}) == len(named) >= 2


# Machado, Oliveira and Fernandes (2009): what is left of linear RGB without red or without green cones.
EYES = {
    "all cones": np.eye(3),
    "no red cones": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "no green cones": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
}


def differences_seen(colours: Sequence[tuple[int, ...]], eye: np.ndarray) -> np.ndarray:
    """Return CIEDE2000 between colours (0 to 255) as an eye sees them, shape (n, n)."""
    rgb = np.array(colours) / 255
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    seen = np.clip(linear @ eye.T, 0, 1)
    lab = rgb2lab(np.where(seen <= 0.0031308, 12.92 * seen, 1.055 * seen ** (1 / 2.4) - 0.055)[None])[0]
    return np.asarray(deltaE_ciede2000(lab[:, None], lab[None]))


@pytest.mark.parametrize("eye", EYES.values(), ids=EYES.keys())
def test_ten_classes_are_told_apart_by_every_eye(eye: np.ndarray) -> None:
    colours = [palette.class_colour(label) for label in range(10)]
    assert len(set(colours)) == len({palette.class_symbol(label) for label in range(10)}) == 10
    levels = [tuple(int(colour[i : i + 2], 16) for i in (1, 3, 5)) for colour in colours]
    assert differences_seen(levels, eye)[~np.eye(10, dtype=bool)].min() > 10  # two shades of one hue differ by about 5


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("strength", [-1.0, -0.5, 0.5, 1.0])
def test_text_stays_readable_on_the_shade_of_a_difference(theme: str, strength: float) -> None:
    colours = CONFIG["theme"][theme]
    *shade, alpha = (float(part) for part in palette.difference_shade(strength)[5:-1].split(","))
    ground = [int(colours["backgroundColor"][i : i + 2], 16) for i in (1, 3, 5)]
    blended = [round(alpha * top + (1 - alpha) * below) for top, below in zip(shade, ground, strict=True)]
    assert contrast(colours["textColor"], "#" + "".join(f"{value:02x}" for value in blended)) >= 4.5


@pytest.mark.parametrize("eye", EYES.values(), ids=EYES.keys())
def test_above_and_below_are_told_apart_by_every_eye(eye: np.ndarray) -> None:
    assert differences_seen([palette.ABOVE, palette.BELOW], eye)[0, 1] > 10


def test_map_carries_ids_and_every_point_once() -> None:
    figure = FIGURES["map"]()
    assert sorted(int(i) for trace in figure.data for i in trace.customdata) == IDS.tolist()
    assert all(trace.type == "scatter" for trace in figure.data)


def test_compared_maps_share_the_scale() -> None:
    first, second = (maps.heatmap(values, -2, 2, True, "") for values in (np.eye(3), 2 * np.eye(3)))
    assert (first.data[0].zmin, first.data[0].zmax) == (second.data[0].zmin, second.data[0].zmax)
    assert first.layout.yaxis.autorange == "reversed"


def test_log_axis_starts_where_images_end() -> None:
    figure = roc.roc_curves([("knn", np.array([0.0, 0.5, 1.0]), UNIT[:3])], [], True, 0.02)
    assert min(figure.data[0].x) == 0.02
    assert figure.layout.xaxis.range[0] == pytest.approx(np.log10(0.02))


def test_the_legend_of_many_curves_stands_below_them_and_of_few_above() -> None:
    few, many = (
        roc.roc_curves([(f"{i}", UNIT, UNIT) for i in range(count)], [], False, 0.02, ranks=list(range(count))[::-1])
        for count in (2, 9)
    )
    assert few.layout.legend.y > 1 and many.layout.legend.y < 0
    assert [trace.legendrank for trace in many.data[:9]] == list(range(9))[::-1]


def test_muted_curves_are_grey_and_name_themselves_only_when_pointed_at() -> None:
    curves = [(name, UNIT, UNIT) for name in ("chosen", "other", "best", "fourth", "fifth")]
    figure = roc.roc_curves(curves, [], False, 0.02, strong=0, muted=[1, 3, 4])
    named = [trace.name for trace in figure.data if trace.showlegend is not False]
    assert named == ["chosen", "best", "chance"]
    assert {figure.data[i].line.color for i in (1, 3, 4)} == {palette.FAINT}
    assert all(figure.data[i].name in figure.data[i].hovertemplate for i in (1, 3, 4))


def test_shares_are_shaded_in_the_hue_of_what_they_are_shares_of() -> None:
    assert palette.caught_shade(1.0, alarm=True) == "rgba(213, 94, 0, 0.500)", "#D55E00, the attacked images' colour"
    assert palette.caught_shade(0.5, alarm=False) == "rgba(0, 114, 178, 0.250)", "#0072B2, the natural images'"
    assert palette.caught_shade(float("nan"), alarm=False).endswith(" 0.000)")


def test_the_legend_of_a_map_shows_its_classes_opaque() -> None:
    shown = [trace for trace in FIGURES["map"]().data if trace.showlegend is not False]
    assert len(shown) == len({trace.legendgroup for trace in FIGURES["map"]().data})
    assert all(trace.marker.opacity in (None, 1.0) for trace in shown)


def test_curves_of_all_detectors_differ_in_colour_or_dash_and_keep_them_when_others_are_added() -> None:
    names = [*catalogue.detectors(), "one more", "and another"]
    lines = [
        [(line.line.color, line.line.dash) for line in roc.roc_curves(curves, [], False, 0.02).data[: len(curves)]]
        for curves in ([(name, UNIT, UNIT) for name in names[:count]] for count in (5, len(names)))
    ]
    assert len(set(lines[1])) == len(names) > 10
    assert lines[0] == lines[1][:5]


def test_heatmap_shows_the_values_it_was_given() -> None:
    values = np.arange(6.0).reshape(2, 3)
    assert np.array_equal(np.asarray(maps.heatmap(values, 0, 5, False, "").data[0].z), values)


def lying(values: np.ndarray, diverging: bool, opacity: float, first: int = 0) -> go.Figure:
    bare = maps.heatmap(values, -2 if diverging else 0, 2, diverging, "bits", first=first)
    return maps.over_picture(bare, np.full((3, 6, 8), 0.5, dtype=np.float32), opacity)


def test_a_map_lies_on_the_pixels_of_its_picture() -> None:
    figure = lying(np.ones((4, 6)), False, 0.6, first=1)
    (picture,) = figure.layout.images
    assert (picture.x, picture.y, picture.sizex, picture.sizey, picture.layer) == (-0.5, -0.5, 8, 6, "below")
    assert tuple(figure.layout.xaxis.range) == (-0.5, 7.5) and tuple(figure.layout.yaxis.range) == (5.5, -0.5)
    # 3 × 3 patches of a picture of 6 × 8 pixels: the first one's middle is row 1, column 1, the last one's 4, 6.
    shown = figure.data[0]
    assert (shown.x0, shown.y0) == (1, 1) and shown.opacity == 0.6
    decoded = np.asarray(Image.open(io.BytesIO(base64.b64decode(picture.source.partition(",")[2]))))
    assert decoded.ndim == 2 and set(np.unique(decoded)) <= {127, 128} and decoded.shape == (38 * 6, 38 * 8)


def test_zero_of_a_signed_map_shows_the_picture_and_its_ends_have_the_opacity() -> None:
    scale = lying(np.eye(3), True, 0.7).data[0].colorscale
    shares = {place: float(colour.rstrip(")").rpartition(",")[2]) for place, colour in scale}
    assert shares[0.0] == shares[1.0] == 0.7 and shares[0.5] == 0.0
    assert shares[0.35] == shares[0.65] == 0.7  # from 30 % of the scale on
    inner = [shares[place] for place in sorted(shares) if 0.5 <= place <= 0.65]
    assert inner == sorted(inner)
    ends = {place: colour.removeprefix("rgba(").split(",")[:3] for place, colour in scale}
    assert [int(c) for c in ends[0.0]] == [33, 102, 172] and [int(c) for c in ends[1.0]] == [178, 24, 43]


def test_a_mark_stands_on_its_points_above_all_that_was_drawn_before() -> None:
    base = FIGURES["map"]()
    *before, added = embedding.mark(FIGURES["map"](), "nearest", POINTS[3:5], "red", "circle", 10, IDS[3:5]).data
    assert tuple(before) == base.data
    assert (added.name, added.marker.color, added.mode) == ("nearest", "red", "markers")
    np.testing.assert_array_equal(np.column_stack([added.x, added.y]), POINTS[3:5])
    assert list(added.customdata) == IDS[3:5].tolist()


def test_every_outline_is_named_at_its_centre_above_the_points() -> None:
    circle = np.stack([np.cos(np.linspace(0, 2 * np.pi, 9)), np.sin(np.linspace(0, 2 * np.pi, 9))], axis=1)
    figure = embedding.add_ellipses(FIGURES["map"](), {i: circle + 3 * i for i in range(10)}, NAMES)
    labels = figure.layout.annotations
    assert [label.text for label in labels] == [f"<b>{name}</b>" for name in NAMES]
    np.testing.assert_allclose([(label.x, label.y) for label in labels], [(3 * i, 3 * i) for i in range(10)], atol=1e-9)
