"""Drawings on their way between a browser and here: what is drawn on, as bytes; what was drawn, as base64.

Both hold the bare levels, row by row, channels together. A PNG that a canvas writes is not asked for, since some
browsers blur what is read of a canvas.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
from collections.abc import Mapping

import numpy as np

from telltale.base.errors import InputError
from telltale.base.images import ByteImages, FloatImages, to_bytes, to_floats
from telltale.data.uploads import Shape

BLACK, MIDDLE_GREY = 0, 128


def empty_ground(shape: Shape) -> FloatImages:
    """Return what is drawn on where nothing is: black for a grey model, which learned light strokes, else mid grey.

    Parameters
    ----------
    shape : tuple of int
        (C, H, W) with C 1 or 3.
    """
    return to_floats(np.full(shape, BLACK if shape[0] == 1 else MIDDLE_GREY, dtype=np.uint8))


def pack(ground: FloatImages, shown: FloatImages, about: Mapping[str, object]) -> bytes:
    """Return what is drawn on as bytes for a browser: a line of JSON, then the levels of both images.

    Parameters
    ----------
    ground : array of float32, shape (C, H, W)
        What *Clear* leads back to.
    shown : array of float32, shape (C, H, W)
        What is there to begin with: the ground, or what was drawn on it before.
    about : mapping
        What else stands in the line.
    """
    channels, height, width = ground.shape
    line = json.dumps({**about, "width": width, "height": height, "channels": channels})
    return line.encode() + b"\n" + _rows(ground).tobytes() + _rows(shown).tobytes()


def drawn_image(sent: object, shape: Shape) -> FloatImages:
    """Return what a browser says was drawn.

    Parameters
    ----------
    sent : object
        The levels in base64; never trusted.
    shape : tuple of int
        (C, H, W) of the model, which the drawing has too.

    Returns
    -------
    array of float32, shape (C, H, W)
        In [0, 1], on the 8-bit grid.

    Raises
    ------
    InputError
        If it is not base64 of exactly so many bytes.
    """
    channels, height, width = shape
    data = _decoded(sent, math.prod(shape))
    if data is None:
        colours = "in grey" if channels == 1 else "in colour"
        raise InputError(
            f"This is no drawing for this model, which takes {width} × {height} pixels {colours}, "
            f"{math.prod(shape):,} bytes in base64."
        )
    return to_floats(np.ascontiguousarray(np.moveaxis(data.reshape(height, width, channels), -1, 0)))


def _decoded(sent: object, count: int) -> ByteImages | None:
    """Return so many bytes; None where they are not that. What is too long is not decoded at all."""
    if not isinstance(sent, str) or len(sent) != 4 * math.ceil(count / 3):
        return None
    try:
        data = base64.b64decode(sent, validate=True)
    except (binascii.Error, ValueError):  # ValueError: letters beyond ASCII
        return None
    return np.frombuffer(data, dtype=np.uint8) if len(data) == count else None


def _rows(image: FloatImages) -> ByteImages:
    return np.moveaxis(to_bytes(image), 0, -1)
