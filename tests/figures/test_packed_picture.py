"""Pictures for the browser: the bytes are the pixels, and the levels are those of the images."""

from __future__ import annotations

import json

import numpy as np
import pytest

from telltale.figures.packed_picture import change_of, pack, picture_of


def unpack(data: bytes) -> tuple[dict, np.ndarray, np.ndarray]:
    """Read what the browser reads, by numpy."""
    line, _, rest = data.partition(b"\n")
    about = json.loads(line)
    shape = (about["height"], about["width"], about["channels"])
    count = int(np.prod(shape))
    shown = np.frombuffer(rest, np.uint8, count).reshape(shape)
    return about, shown, np.frombuffer(rest, "<i2", count, offset=count).reshape(shape)


def images(channels: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(channels)
    natural = rng.integers(0, 256, (channels, 5, 7))
    attacked = np.clip(natural + rng.integers(-9, 10, natural.shape), 0, 255)
    return tuple((levels / np.float32(255)).astype(np.float32) for levels in (natural, attacked))


@pytest.mark.parametrize("channels", [1, 3])
def test_an_image_travels_pixel_by_pixel(channels: int) -> None:
    image, _ = images(channels)
    about, shown, levels = unpack(pack(picture_of(image), "a \n line — “said”", "together", 5))
    assert (about["said"], about["group"], about["side"], about["signed"]) == (
        "a \n line — “said”", "together", 5, False
    )  # fmt: skip
    for (row, column, channel), level in np.ndenumerate(levels):
        assert level == shown[row, column, channel] == round(float(image[channel, row, column]) * 255)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_change_is_shown_amplified_and_read_out_as_it_is(channels: int) -> None:
    natural, attacked = images(channels)
    about, shown, levels = unpack(pack(change_of(natural, attacked, 10.0), "change", "together"))
    assert about["signed"] and about["side"] is None
    for (row, column, channel), level in np.ndenumerate(levels):
        before, after = (round(float(image[channel, row, column]) * 255) for image in (natural, attacked))
        assert level == after - before
        assert abs(int(shown[row, column, channel]) - min(255, max(0, 127.5 + 5 * (after - before)))) <= 0.51
