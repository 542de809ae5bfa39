"""The packed map of hidden states: every training image, outlines of the classes, and the images in their places."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from support.fake_analysis import FakeBundle, analyse
from telltale.figures import palette
from telltale.figures.base import MOST_CLASSES
from telltale.figures.results.density_map import density_points, packed_density
from telltale.kinds.density import DensityView


def packed(bundle: Any, *rows: int) -> tuple[dict[str, Any], list[Any]]:
    shown = [
        (name, analyse(bundle.image_set.images([row])[0], 0.05, {"knn_score": 0.5}))
        for name, row in zip(("natural", "attacked"), rows, strict=False)
    ]
    found = packed_density(density_points(bundle), bundle, shown, {"said": "a map"})
    length = int.from_bytes(found[:4], "little")
    header = json.loads(found[4 : 4 + length])
    places = np.frombuffer(found, "<f4", 2 * header["count"], 4 + length).reshape(-1, 2)
    np.testing.assert_array_equal(places, bundle.density_map.points)
    return header, shown


def test_images_stand_where_they_are_and_their_classes_are_drawn_in_full() -> None:
    bundle: Any = FakeBundle()
    header, shown = packed(bundle, 3, 9)
    for entry, (_, analysis) in zip(header["images"], shown, strict=True):
        assert entry["place"] == analysis.view(DensityView).position.tolist()
    read = {analysis.prediction.name for _, analysis in shown}
    assert {look["name"] for look in header["looks"] if look["involved"]} == read
    assert header["map"] == f"{bundle.id}-density" and header["said"] == "a map" and header["lists"] == []


def test_every_outline_is_two_standard_deviations_wide_in_its_class_s_colour() -> None:
    bundle: Any = FakeBundle()
    bundle.density_map.covariances[4] = [[4.0, 1.0], [1.0, 2.0]]
    bundle.density_map.means[7] = np.nan
    header, _ = packed(bundle, 3)
    known = [label for label in range(10) if label != 7]
    assert [outline["colour"] for outline in header["outlines"]] == [palette.class_colour(label) for label in known]
    for outline, label in zip(header["outlines"], known, strict=True):
        away = np.array(outline["corners"]) - bundle.density_map.means[label]
        squared = np.einsum("ni,ij,nj->n", away, np.linalg.inv(bundle.density_map.covariances[label]), away)
        assert np.sqrt(squared) == pytest.approx(2.0, abs=1e-3)


def test_of_many_classes_those_that_the_images_are_read_as_are_outlined() -> None:
    bundle: Any = FakeBundle()
    count = MOST_CLASSES + 5
    bundle.density_map.means = np.zeros((count, 2))
    bundle.density_map.covariances = np.stack([np.eye(2)] * count)
    header, shown = packed(bundle, 3)
    assert len(header["outlines"]) == len({analysis.prediction.label for _, analysis in shown}) == 1
