"""Feature squeezing against loops over pixels and a softmax of its own."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from support.rereading import squeezed_distances
from support.tiny import tiny_classifier, tiny_images
from telltale.evidence.readings import Readings
from telltale.evidence.squeezing import SQUEEZERS, median_2x2, non_local_means, reduce_bits


def test_bits_keep_the_nearest_of_equally_spaced_levels() -> None:
    values = np.arange(256, dtype=np.float32)[None, None, None] / 255
    for bits in (1, 4, 5):
        levels = np.linspace(0.0, 1.0, 2**bits)
        nearest = levels[np.abs(values[0, 0, 0, :, None] - levels).argmin(1)]
        np.testing.assert_allclose(reduce_bits(values, bits)[0, 0, 0], nearest, atol=1e-6)


def test_the_median_is_that_of_the_pixel_and_those_above_and_left_of_it() -> None:
    images = np.random.default_rng(0).random((2, 3, 5, 6), dtype=np.float32)
    expected = np.empty_like(images)
    for n, c, i, j in np.ndindex(images.shape):
        # SciPy takes the upper of the two middle values of four.
        window = [images[n, c, max(a, 0), max(b, 0)] for a in (i - 1, i) for b in (j - 1, j)]
        expected[n, c, i, j] = sorted(window)[2]
    np.testing.assert_array_equal(median_2x2(images), expected)


def test_smoothing_joins_pixels_alike_and_keeps_edges() -> None:
    draws = np.random.default_rng(0)
    clean = np.full((1, 3, 16, 16), 0.2, dtype=np.float32)
    clean[..., 8:] = 0.8
    noisy = (clean + draws.normal(0.0, 0.01, clean.shape)).astype(np.float32)
    smooth = non_local_means(noisy)
    assert np.abs(smooth - clean).mean() < 0.5 * np.abs(noisy - clean).mean()
    assert np.abs(smooth - clean).max() < 0.1


def test_distances_are_those_between_softmax_outputs() -> None:
    classifier, images = tiny_classifier(), tiny_images(3)[0]

    def outputs(batch: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return torch.softmax(classifier(torch.from_numpy(batch)).double(), 1).numpy()

    found = squeezed_distances(classifier, images, outputs(images))
    assert found.shape == (3, len(SQUEEZERS))
    for column, squeeze in enumerate(SQUEEZERS.values()):
        for i in range(3):
            one = images[i : i + 1]
            expected = sum(abs(a - b) for a, b in zip(outputs(one)[0], outputs(squeeze(one))[0], strict=True))
            assert found[i, column] == pytest.approx(expected, abs=1e-5)
    assert (found > 1e-4).any(1).all()


def test_readings_are_joined_and_parted_in_step() -> None:
    parts = [Readings({"one": np.full(n, float(n)), "two": np.full((n, 2), -float(n))}) for n in (2, 3)]
    joined = Readings.concatenate(parts)
    np.testing.assert_array_equal(joined["one"], [2, 2, 3, 3, 3])
    part = joined.take(np.array([4, 0]))
    np.testing.assert_array_equal(part["two"], [[-3, -3], [-2, -2]])
