"""Thumbnails: exact where an image is small, a fair reduction where it is large."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from telltale.data.thumbnails import LONGEST_SIDE, thumbnail

DRAWS = np.random.default_rng(2)


def read(png: bytes) -> np.ndarray:
    picture = Image.open(io.BytesIO(png))
    assert picture.format == "PNG"
    array = np.asarray(picture)
    return array[None] if array.ndim == 2 else array.transpose(2, 0, 1)


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 32, 32), (3, LONGEST_SIDE, 40)])
def test_a_small_image_is_the_same_pixel_by_pixel(shape: tuple[int, int, int]) -> None:
    pixels = DRAWS.integers(0, 256, shape, dtype=np.uint8)
    np.testing.assert_array_equal(read(thumbnail(pixels)), pixels)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_large_image_is_reduced_to_the_means_of_its_squares(channels: int) -> None:
    side = 2 * LONGEST_SIDE
    pixels = DRAWS.integers(0, 256, (channels, side, side), dtype=np.uint8)
    means = pixels.reshape(channels, LONGEST_SIDE, 2, LONGEST_SIDE, 2).mean(axis=(2, 4))
    small = read(thumbnail(pixels))
    assert small.shape == (channels, LONGEST_SIDE, LONGEST_SIDE)
    assert np.abs(small - means).max() <= 1.0
