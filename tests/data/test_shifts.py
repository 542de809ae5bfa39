"""Natural shifts against scikit-image, SciPy and Pillow."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, ImageEnhance
from scipy import ndimage, stats
from skimage.filters import gaussian

from telltale.base.images import to_bytes, to_floats
from telltale.data import shifts
from telltale.data.shifts import SHIFTS


def pictures(channels: int = 3) -> np.ndarray:
    """Return four smooth pictures on the 8-bit grid, wider than high."""
    rough = np.random.default_rng(0).random((4, channels, 24, 30))
    smooth = ndimage.gaussian_filter(rough, (0, 0, 2, 2))
    return to_floats(to_bytes((smooth - smooth.min()) / (smooth.max() - smooth.min())))


def pillow(image: np.ndarray) -> Image.Image:
    pixels = to_bytes(image)
    return Image.fromarray(pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0))


@pytest.mark.parametrize("channels", [1, 3])
def test_every_shift_keeps_form_range_and_its_input_and_all_but_one_change_something(channels) -> None:
    images = pictures(channels)
    before = images.copy()
    for shift in SHIFTS:
        found = shift.apply(images)
        assert found.shape == images.shape and found.dtype == np.float32
        assert found.min() >= 0.0 and found.max() <= 1.0
        assert np.array_equal(images, before)
        assert (shift.name == "none") == np.array_equal(found, images)
        if "noise" not in shift.name:
            np.testing.assert_array_equal(shift.apply(images[1:2])[0], found[1])


def test_noise_is_normal_of_the_stated_size_and_seeded() -> None:
    grey = np.full((2, 3, 60, 60), 0.5, dtype=np.float32)
    drawn = (shifts.noise(grey, 8 / 255, 1) - grey).ravel()
    assert stats.kstest(drawn, stats.norm(0, 8 / 255).cdf).pvalue > 1e-3
    np.testing.assert_array_equal(shifts.noise(grey, 0.1, 1), shifts.noise(grey, 0.1, 1))
    assert not np.array_equal(shifts.noise(grey, 0.1, 1), shifts.noise(grey, 0.1, 2))


def test_blur_is_scikit_images() -> None:
    images = pictures()
    for image, found in zip(images, shifts.blur(images, 0.6), strict=True):
        expected = gaussian(image.astype(np.float64), 0.6, mode="nearest", channel_axis=0)
        np.testing.assert_allclose(found, expected, atol=1e-6)


def test_brightness_and_contrast_are_pillows() -> None:
    images = pictures()
    brighter, flatter = shifts.brighten(images, 0.1), shifts.contrast(images, 0.8)
    for image, bright, flat in zip(images, brighter, flatter, strict=True):
        shifted = pillow(image).point(lambda value: min(value + 25.5, 255))
        np.testing.assert_allclose(255 * bright, np.asarray(shifted).transpose(2, 0, 1), atol=1.0)
        # Pillow rounds the mean brightness and every pixel.
        reduced = np.asarray(ImageEnhance.Contrast(pillow(image)).enhance(0.8)).transpose(2, 0, 1)
        np.testing.assert_allclose(255 * flat, reduced, atol=1.2)
    assert flatter.std() == pytest.approx(0.8 * images.std(), rel=0.05)


@pytest.mark.parametrize("channels", [1, 3])
def test_jpeg_is_pillows(channels) -> None:
    images = pictures(channels)
    for image, found in zip(images, shifts.compress(images, 60), strict=True):
        buffer = io.BytesIO()
        pillow(image).save(buffer, "JPEG", quality=60)  # Pillow's own choice is 4:2:0 too
        expected = np.asarray(Image.open(io.BytesIO(buffer.getvalue())))
        np.testing.assert_array_equal(to_bytes(found), np.atleast_3d(expected).transpose(2, 0, 1))


def test_moving_is_scipys_shift_with_the_edge_repeated() -> None:
    images = pictures()
    expected = ndimage.shift(images, (0, 0, 0, 2), order=0, mode="nearest")
    np.testing.assert_array_equal(shifts.move(images, 2), expected)


def test_random_changes_are_those_of_a_family_at_a_strength_within_its_range() -> None:
    images = np.repeat(pictures()[:1], 300, axis=0)
    ids = np.arange(300)
    changed = shifts.change_at_random(images, ids, seed=3)
    assert changed.shape == images.shape and changed.dtype == np.float32
    assert changed.min() >= 0.0 and changed.max() <= 1.0
    by_mean = changed.mean(axis=(1, 2, 3)) - images[0].mean()
    brighter = [row for row in ids if np.ptp(changed[row] - images[0]) < 1e-6 and abs(by_mean[row]) > 1e-4]
    assert 300 / 6 / 2 < len(brighter) < 300 / 6 * 2
    assert np.abs(by_mean[brighter]).max() <= 0.15 + 1e-6
    moved = [
        row for row in ids if any(np.array_equal(changed[row], shifts.move(images[:1], by)[0]) for by in (1, 2, 3))
    ]
    assert 300 / 6 / 2 < len(moved) < 300 / 6 * 2
    assert not set(moved) & set(brighter)
    assert (changed != images).any(axis=(1, 2, 3)).mean() > 0.95


def test_random_changes_depend_on_the_image_and_the_seed_alone() -> None:
    images, ids = pictures(), np.array([7, 3, 9, 1])
    found = shifts.change_at_random(images, ids, seed=5)
    for row in range(4):
        np.testing.assert_array_equal(
            shifts.change_at_random(images[row : row + 1], ids[row : row + 1], 5)[0], found[row]
        )
    assert not np.array_equal(shifts.change_at_random(images, ids, seed=6), found)
