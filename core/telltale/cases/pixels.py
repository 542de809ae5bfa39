"""The pixels of saved cases: exact PNGs, read back bit for bit and never larger than a classifier's input."""

from __future__ import annotations

from collections.abc import Callable

from telltale.base.errors import InputError
from telltale.base.images import ByteImages, FloatImages, to_floats
from telltale.data.plain_png import MOST_PIXELS, Fault, FaultyPngError, read_plain_png
from telltale.models import guarded

MOST_PNG_BYTES = 3 * 2**20
_WORDS = {
    Fault.NO_PNG: "A picture of the case is no PNG.",
    Fault.NOT_PLAIN: f"A picture of a case must be 8-bit grey or RGB of at most {MOST_PIXELS // 10**6} megapixel.",
    Fault.DAMAGED: "A picture of the case is damaged.",
}


def read_png(data: bytes) -> FloatImages:
    """Return the pixels, shape (C, H, W) with C 1 or 3, of a PNG that was kept here.

    Raises
    ------
    InputError
        If it is too large, damaged, or no 8-bit grey or RGB image.
    """
    return _read(data, read_plain_png)


def read_strangers_png(data: bytes) -> FloatImages:
    """Return the same as `read_png`, of a PNG that somebody sends: a limited process decodes it.

    Raises
    ------
    InputError
        If it is too large, damaged, or no 8-bit grey or RGB image.
    """
    return _read(data, guarded.plain_png)


def _read(data: bytes, decode: Callable[[bytes], ByteImages]) -> FloatImages:
    if len(data) > MOST_PNG_BYTES:
        raise InputError(f"A picture of a case may have at most {MOST_PNG_BYTES // 2**20} MB.")
    try:
        return to_floats(decode(data))
    except FaultyPngError as error:
        raise InputError(_WORDS[error.fault]) from error
