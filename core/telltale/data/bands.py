"""Large pictures are gone through in bands of rows, so that no step needs memory for another copy of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeAlias

from PIL import Image

PIXELS_AT_ONCE = 2**18

Convert: TypeAlias = Callable[[Image.Image], Image.Image]


def bands(size: tuple[int, int]) -> Iterator[tuple[int, int, int, int]]:
    """Yield the boxes (left, top, right, bottom) of the bands of a picture of this width and height."""
    width, height = size
    rows = max(1, PIXELS_AT_ONCE // max(width, 1))
    for top in range(0, height, rows):
        yield (0, top, width, min(top + rows, height))


def in_bands(image: Image.Image, mode: str, convert: Convert) -> Image.Image:
    """Return a picture converted band by band.

    Parameters
    ----------
    image : PIL.Image.Image
    mode : str
        Of the result.
    convert : callable
        Takes a band of the picture and returns it in that mode.
    """
    found = Image.new(mode, image.size)
    for box in bands(image.size):
        found.paste(convert(image.crop(box)), box)
    return found
