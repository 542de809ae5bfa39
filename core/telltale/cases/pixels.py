"""The pixels of saved cases: exact PNGs, read back bit for bit and never larger than a classifier's input."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from telltale.base.errors import InputError
from telltale.base.images import FloatImages, to_floats

MOST_PIXELS = 1_000_000
MOST_PNG_BYTES = 3 * 2**20


def read_png(data: bytes) -> FloatImages:
    """Return the pixels, shape (C, H, W) with C 1 or 3, of an untrusted PNG.

    Raises
    ------
    InputError
        If it is too large, damaged, or no 8-bit grey or RGB image.
    """
    if len(data) > MOST_PNG_BYTES:
        raise InputError(f"A picture of a case may have at most {MOST_PNG_BYTES // 2**20} MB.")
    try:
        picture = Image.open(io.BytesIO(data), formats=("PNG",))
    except Exception as error:  # decoders of damaged files raise almost anything
        raise InputError("A picture of the case is no PNG.") from error
    if picture.mode not in ("L", "RGB") or picture.width * picture.height > MOST_PIXELS:
        raise InputError(f"A picture of a case must be 8-bit grey or RGB of at most {MOST_PIXELS // 10**6} megapixel.")
    try:
        pixels = np.asarray(picture, dtype=np.uint8)
    except Exception as error:
        raise InputError("A picture of the case is damaged.") from error
    return to_floats(pixels[None] if pixels.ndim == 2 else np.ascontiguousarray(np.moveaxis(pixels, -1, 0)))
