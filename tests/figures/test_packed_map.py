"""Maps as bytes: what a browser reads out of them is what was put in, and what is said of classes is so."""

from __future__ import annotations

import json
import statistics
import struct
from typing import Any

import numpy as np
import pytest

from support.fake_analysis import FakeBundle, analyse
from telltale.figures import palette
from telltale.figures.base import MOST_CLASSES
from telltale.figures.packed_map import MapPoints, MarkedRows, OtherPoints, PlacedImage, pack
from telltale.figures.results.errors_map import FEW, ChosenError, error_points, packed_errors
from telltale.figures.results.neighbours import listed_ids
from telltale.figures.results.neighbours_map import map_points, packed_neighbours
from telltale.kinds.neighbours import NeighboursView

DRAWS = np.random.default_rng(5)
NAMES = tuple(f"name {c} · ü" for c in range(1000))


def read(packed: bytes) -> tuple[dict[str, Any], np.ndarray, np.ndarray, np.ndarray]:
    """Return header, places, ids and classes, read value by value."""
    (length,) = struct.unpack_from("<I", packed)
    header = json.loads(packed[4 : 4 + length].decode())
    assert length % 4 == 0, "typed arrays begin at multiples of four"
    n, at = header["count"], 4 + length
    places = np.array(struct.unpack_from(f"<{2 * n}f", packed, at)).reshape(n, 2)
    ids = np.array(struct.unpack_from(f"<{n}i", packed, at + 8 * n), dtype=np.int64)
    classes = np.array(struct.unpack_from(f"<{n}H", packed, at + 12 * n), dtype=np.int64)
    assert len(packed) == at + 14 * n
    return header, places, ids, classes


@pytest.mark.parametrize("count", [0, 1, 7, 3000])
@pytest.mark.parametrize("known", [3, MOST_CLASSES, 1000])
def test_what_is_read_is_what_was_packed(count: int, known: int) -> None:
    points, ids = DRAWS.normal(size=(count, 2)).astype(np.float32), DRAWS.permutation(10**6)[:count]
    labels = DRAWS.integers(0, known, count)
    image = PlacedImage("this image", "#0072B2", "star", np.array([0.25, -0.5]))
    marked = MarkedRows("nearest", "#808080", "circle", np.arange(min(count, 3)))
    packed = pack(MapPoints.of(points, labels, ids, NAMES), [image], [marked], {0, 2}, {"said": 'a "map", ü'})
    header, places, read_ids, classes = read(packed)
    np.testing.assert_array_equal(places, points)
    np.testing.assert_array_equal(read_ids, ids)
    assert [header["looks"][c]["name"] for c in classes] == [NAMES[label] for label in labels]
    assert header["said"] == 'a "map", ü'
    assert header["images"] == [{"name": "this image", "colour": "#0072B2", "symbol": "star", "place": [0.25, -0.5]}]
    assert [entry["rows"] for entry in header["lists"]] == [list(range(min(count, 3)))]
    assert header["first"] == 0 and header["words"] == []


def test_a_class_is_labelled_at_the_median_of_its_points_and_muted_when_it_is_not_involved() -> None:
    points, labels = DRAWS.normal(size=(200, 2)), DRAWS.choice([1, 4, 7], 200)
    header, *_ = read(pack(MapPoints.of(points, labels, np.arange(200), NAMES), [], [], {4}, {}))
    for look, label in zip(header["looks"], (1, 4, 7), strict=True):
        own = points[labels == label]
        assert look["place"] == pytest.approx([statistics.median(own[:, 0]), statistics.median(own[:, 1])])
        assert (look["colour"], look["symbol"]) == (palette.class_colour(label), palette.class_symbol(label))
        assert look["labelled"] and look["involved"] == (label == 4)


def test_of_more_classes_than_colours_tell_apart_only_the_involved_ones_are_told_apart() -> None:
    labels = np.arange(3000) % 1000
    points = MapPoints.of(DRAWS.normal(size=(3000, 2)), labels, np.arange(3000), NAMES)
    header, *_ = read(pack(points, [], [], {3, 999}, {}))
    alike = {(look["colour"], look["symbol"]) for look in header["looks"] if not look["labelled"]}
    assert alike == {(palette.OF_ANY_CLASS, "circle")}
    told = [(look["colour"], look["symbol"]) for look in header["looks"] if look["labelled"]]
    assert told == [(palette.class_colour(place), palette.class_symbol(place)) for place in (0, 1)]
    assert [look["name"] for look in header["looks"] if look["labelled"]] == [NAMES[3], NAMES[999]]


def test_an_image_is_connected_to_its_lists_and_their_classes_are_involved() -> None:
    bundle: Any = FakeBundle()
    scores = {name: 0.5 for name in ("knn_score",)}
    shown = [
        (name, analyse(bundle.image_set.images([i])[0], 0.05, scores)) for i, name in ((3, "natural"), (9, "attacked"))
    ]
    ids = listed_ids(shown[1][1], 2, 5)
    packed = packed_neighbours(map_points(bundle, "pca", 2), bundle, shown, 1, ids, "pca", 2, {"thumbnails": ""})
    header, places, read_ids, _ = read(packed)
    np.testing.assert_array_equal(places, bundle.maps["pca"][2])
    assert [entry["name"] for entry in header["images"]] == ["this image, natural", "this image, attacked"]
    for entry, (_, analysis) in zip(header["images"], shown, strict=True):
        assert entry["place"] == pytest.approx(analysis.view(NeighboursView).positions["pca"][2].tolist())
    assert [entry["name"] for entry in header["lists"]] == ["nearest", "most helpful", "most harmful"]
    for entry, listed in zip(header["lists"], ids.values(), strict=True):
        assert [int(read_ids[row]) for row in entry["rows"]] == listed.tolist()
    listed_labels = {int(bundle.image_set.labels[i]) for listed in ids.values() for i in listed}
    involved = {look["name"] for look in header["looks"] if look["involved"]}
    expected = {bundle.class_names[label] for label in {*listed_labels, shown[1][1].prediction.label}}
    assert involved == expected and header["chosen"] == 1
    assert header["map"] == f"{bundle.id}-pca-2"


@pytest.mark.parametrize("count", [0, 4])
def test_points_of_another_kind_follow_the_training_images(count: int) -> None:
    points, labels = DRAWS.normal(size=(9, 2)).astype(np.float32), np.arange(9) % 3
    places, ids = DRAWS.normal(size=(count, 2)).astype(np.float32), 500 + np.arange(count)
    words = tuple(f"image {i}" for i in range(count))
    others = OtherPoints("misread images", "#D55E00", "diamond", places, ids, words)
    packed = pack(MapPoints.of(points, labels, np.arange(9), NAMES, others), [], [], {1}, {})
    header, read_places, read_ids, classes = read(packed)
    assert (header["first"], header["count"], header["words"]) == (9, 9 + count, list(words))
    np.testing.assert_array_equal(read_places, np.concatenate([points, places]))
    assert read_ids.tolist() == [*range(9), *ids]
    assert classes.tolist() == [*labels, *[3] * count]
    look = header["looks"][3]
    assert (look["name"], look["colour"], look["symbol"]) == ("misread images", "#D55E00", "diamond")
    assert not look["involved"] and not look["labelled"]
    assert [look["waiting"] for look in header["looks"]] == [False, False, False, True]


@pytest.mark.parametrize("count", [5, FEW + 1])
def test_errors_lie_among_all_training_images_and_only_those_that_are_shown_are_strong(count: int) -> None:
    bundle: Any = FakeBundle()
    places, ids = DRAWS.normal(size=(count, 2)), 1000 + np.arange(count)
    points = error_points(bundle, "pca", 1, places, ids, [f"image {i}" for i in ids])
    rows = np.arange(count)[::-1]
    header, read_places, read_ids, _ = read(packed_errors(points, bundle, rows, None, {3, 4}, {"map": "m"}))
    np.testing.assert_array_equal(read_places[:120], bundle.maps["pca"][1])
    np.testing.assert_allclose(read_places[120:], places, rtol=1e-6)
    (strong,) = header["lists"]
    assert read_ids[strong["rows"]].tolist() == ids[rows].tolist() and not strong["joined"]
    assert strong["radius"] == (6.0 if count == 5 else 3.5) and header["images"] == []
    assert [look["name"] for look in header["looks"] if look["involved"]] == ["3", "4"]
    harmful = bundle.splits.train[[7, 3]]
    chosen = ChosenError(2, harmful)
    header, _, read_ids, _ = read(packed_errors(points, bundle, rows[:1], chosen, (), {"map": "m"}))
    assert header["images"][header["chosen"]]["place"] == pytest.approx(places[2].tolist())
    strong, joined = header["lists"]
    assert read_ids[strong["rows"]].tolist() == [ids[-1]]
    assert joined["joined"] and read_ids[joined["rows"]].tolist() == harmful.tolist()
