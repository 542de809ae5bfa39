"""The pictures that Telltale writes itself, in links and in cases: PNGs of 8-bit grey or RGB, read back bit for bit."""

from __future__ import annotations

import io
from enum import StrEnum

import numpy as np
from PIL import Image

from telltale.base.images import ByteImages

MOST_PIXELS = 1_000_000


class Fault(StrEnum):
    """What may be wrong with one."""

    NO_PNG = "no PNG"
    NOT_PLAIN = "not plain"
    DAMAGED = "damaged"


class FaultyPngError(Exception):
    """A PNG is none of ours; `fault` says why."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.value)
        self.fault = fault


def read_plain_png(data: bytes) -> ByteImages:
    """Return the pixels, shape (C, H, W) with C 1 or 3.

    Parameters
    ----------
    data : bytes
        Never trusted.

    Raises
    ------
    FaultyPngError
        If it is no PNG, damaged, or no 8-bit grey or RGB of at most `MOST_PIXELS`.
    """
    try:
        picture = Image.open(io.BytesIO(data), formats=("PNG",))
    except Image.DecompressionBombError as error:
        raise FaultyPngError(Fault.NOT_PLAIN) from error
    except Exception as error:  # decoders of damaged files raise almost anything
        raise FaultyPngError(Fault.NO_PNG) from error
    if picture.mode not in ("L", "RGB") or picture.width * picture.height > MOST_PIXELS:
        raise FaultyPngError(Fault.NOT_PLAIN)
    try:
        pixels = np.asarray(picture, dtype=np.uint8)
    except Exception as error:
        raise FaultyPngError(Fault.DAMAGED) from error
    return pixels[None] if pixels.ndim == 2 else np.ascontiguousarray(np.moveaxis(pixels, -1, 0))
