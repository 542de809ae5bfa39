"""Maps of large images: a few spikes do not hide everything else, and pictures lie under the right maps."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image

from telltale.figures.results.responses import MANY_PIXELS, SPIKES, Under, beyond_scale, entropy_maps, response_maps
from telltale.kinds.response import ResponseView

RNG = np.random.default_rng(0)


def view(side: int, patch: int = 3) -> ResponseView:
    response = RNG.normal(size=(side, side)).astype(np.float32)
    response[0, 0] = 1000.0
    inner = side - patch + 1
    entropy = RNG.random((inner, inner)).astype(np.float32)
    return ResponseView(response, np.zeros((side, side), np.uint8), entropy, 0.5, 256, patch, "guided backprop")


def test_the_scale_of_a_large_map_leaves_out_its_strongest_pixels_and_the_values_stay() -> None:
    found = [("natural", view(224)), ("attacked", view(224))]
    figures = response_maps(found)
    shown = {name: np.asarray(figure.data[0].z) for name, figure in figures.items()}
    (end,) = {figure.data[0].zmax for figure in figures.values()}
    assert all(figure.data[0].zmin == -end for figure in figures.values())
    beyond = [np.count_nonzero(np.abs(values) > end) for values in shown.values()]
    assert max(beyond) == pytest.approx(SPIKES * 224**2, abs=2)
    np.testing.assert_array_equal(shown["difference"], found[1][1].response - found[0][1].response)
    assert shown["natural"][0, 0] == 1000.0
    alone = response_maps(found, locked=False)
    for values in (np.asarray(figure.data[0].z) for figure in alone.values()):
        assert np.isfinite(values).all()


def test_the_scale_of_a_small_map_reaches_its_strongest_pixel() -> None:
    small = view(32)
    assert small.response.size <= MANY_PIXELS and not beyond_scale(small) and beyond_scale(view(224))
    assert response_maps([("natural", small)])["natural"].data[0].zmax == 1000.0


def test_a_map_without_any_response_has_a_scale() -> None:
    flat = ResponseView(
        np.zeros((224, 224), np.float32), np.zeros((224, 224), np.uint8), np.zeros((222, 222)), 0, 8, 3, ""
    )
    assert response_maps([("natural", flat)])["natural"].data[0].zmax > 0.0


def test_each_map_lies_over_its_own_picture_and_the_difference_over_the_natural_one() -> None:
    pictures = {name: np.full((3, 224, 224), grey, np.float32) for name, grey in (("natural", 0.2), ("attacked", 0.8))}
    found = [("natural", view(224, 5)), ("attacked", view(224, 5))]
    for figures in (response_maps(found, under=Under(pictures, 0.7)), entropy_maps(found, Under(pictures, 0.7))):
        greys = {}
        for name, figure in figures.items():
            data = base64.b64decode(figure.layout.images[0].source.partition(",")[2])
            greys[name] = int(np.asarray(Image.open(io.BytesIO(data)))[0, 0])
        assert greys == {"natural": 51, "attacked": 204, "difference": 51}
    entropy = entropy_maps(found)["natural"]
    assert (entropy.data[0].x0, entropy.data[0].y0) == (2, 2) and not entropy.layout.images
