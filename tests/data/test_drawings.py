"""What a browser sends as a drawing: exactly the model's pixels, or a sentence."""

from __future__ import annotations

import base64
import json

import numpy as np
import pytest

from telltale.base.errors import InputError
from telltale.data import drawings
from telltale.data.drawings import drawn_image, empty_ground, pack

GREY, COLOUR = (1, 8, 6), (3, 5, 7)


def as_sent(pixels: np.ndarray) -> str:
    """The pixels (C, H, W) as a browser sends them, written down one by one."""
    channels, height, width = pixels.shape
    levels = [pixels[c, y, x] for y in range(height) for x in range(width) for c in range(channels)]
    return base64.b64encode(bytes(int(level) for level in levels)).decode()


@pytest.mark.parametrize("shape", [GREY, COLOUR, (3, 224, 224)], ids=str)
def test_every_level_arrives_where_it_was_painted(shape: tuple[int, int, int]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    image = drawn_image(as_sent(pixels), shape)
    assert image.dtype == np.float32 and image.shape == shape
    np.testing.assert_array_equal(image, pixels.astype(np.float32) / np.float32(255))


GOOD = as_sent(np.zeros(GREY, np.uint8))


@pytest.mark.parametrize(
    "sent",
    [
        *(None, 3, True, [0] * 48, {"0": 1}, b"AAAA" * 16, GOOD.encode()),
        *("", GOOD[:-4], GOOD + "AAAA", GOOD[:-1], GOOD[:-2] + "==", "=" * 64, "!" * 64, "é" * 64, "\ud800" * 64),
        *(GOOD[:-4] + "AA\nA", "data:image/png;base64," + GOOD, as_sent(np.zeros(COLOUR, np.uint8))),
    ],
)
def test_what_is_no_drawing_is_one_sentence(sent: object) -> None:
    with pytest.raises(InputError) as caught:
        drawn_image(sent, GREY)
    assert str(caught.value) == (
        "This is no drawing for this model, which takes 6 × 8 pixels in grey, 48 bytes in base64."
    )


def test_what_is_too_long_is_not_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drawings.base64, "b64decode", lambda *_, **__: pytest.fail("it was decoded"))
    with pytest.raises(InputError, match="7 × 5 pixels in colour, 105 bytes"):
        drawn_image("A" * 40_000_000, COLOUR)


def test_a_browser_is_given_both_images_pixel_by_pixel() -> None:
    ground, shown = np.random.default_rng(1).integers(0, 256, (2, *COLOUR), dtype=np.uint8)
    packed = pack(ground / np.float32(255), shown / np.float32(255), {"said": "a\nline"})
    line, levels = packed.split(b"\n", 1)
    assert json.loads(line) == {"said": "a\nline", "width": 7, "height": 5, "channels": 3}
    assert levels == base64.b64decode(as_sent(ground)) + base64.b64decode(as_sent(shown))


def test_an_empty_ground_is_black_for_grey_models_and_mid_grey_for_others() -> None:
    assert np.unique(255 * empty_ground(GREY)).tolist() == [0]
    colour = empty_ground(COLOUR)
    assert colour.shape == COLOUR and np.unique(np.rint(255 * colour)).tolist() == [128]
