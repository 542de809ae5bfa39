"""Small pictures of a data set's images, for places where many are looked through."""

from __future__ import annotations

import io

import numpy as np
import numpy.typing as npt
from PIL import Image

LONGEST_SIDE = 96


def thumbnail(pixels: npt.NDArray[np.uint8]) -> bytes:
    """Return an image as PNG, reduced to `LONGEST_SIDE` where it is larger, pixel by pixel the same where it is not.

    Parameters
    ----------
    pixels : array of uint8, shape (C, H, W)
        One or three channels.
    """
    picture = Image.fromarray(pixels[0] if len(pixels) == 1 else np.ascontiguousarray(pixels.transpose(1, 2, 0)))
    picture.thumbnail((LONGEST_SIDE, LONGEST_SIDE), Image.Resampling.BOX)
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG", compress_level=1)
    return buffer.getvalue()
