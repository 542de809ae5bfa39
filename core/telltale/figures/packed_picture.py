"""A picture as bytes for a browser that draws and reads out its pixels: what is shown, and the levels behind it.

Layout: one line of JSON; the shown bytes, row by row, channels together; the levels in the same order, int16, little-
endian.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from telltale.base.changes import amplified, perturbation
from telltale.base.images import FloatImages


@dataclass(frozen=True)
class PackedPicture:
    """Pixels to be shown, and what is said of each.

    Attributes
    ----------
    shown : array of uint8, shape (H, W, C)
        One or three channels.
    levels : array of int16, shape (H, W, C)
        Of 255.
    signed : bool
        Whether levels are changes.
    """

    shown: npt.NDArray[np.uint8]
    levels: npt.NDArray[np.int16]
    signed: bool = False


def picture_of(image: FloatImages) -> PackedPicture:
    """Return an image (C, H, W) in [0, 1] with its own levels."""
    levels = _levels(image)
    return PackedPicture(levels.astype(np.uint8), levels)


def change_of(natural: FloatImages, attacked: FloatImages, gain: float) -> PackedPicture:
    """Return the change between two images (C, H, W), amplified for the eye, with its true levels."""
    shown = _levels(amplified(perturbation(natural, attacked), gain)).astype(np.uint8)
    return PackedPicture(shown, _levels(attacked) - _levels(natural), signed=True)


def pack(picture: PackedPicture, said: str, group: str, side: int | None = None) -> bytes:
    """Return a picture as bytes.

    Parameters
    ----------
    picture : PackedPicture
    said : str
        In words.
    group : str
        Pictures of one group are looked at together.
    side : int, optional
        Largest width on a page.
    """
    height, width, channels = picture.shown.shape
    about = {
        "width": width,
        "height": height,
        "channels": channels,
        "signed": picture.signed,
        "said": said,
        "group": group,
        "side": side,
    }
    line = json.dumps(about).encode() + b"\n"
    return line + picture.shown.tobytes() + picture.levels.astype("<i2").tobytes()


def _levels(image: FloatImages) -> npt.NDArray[np.int16]:
    levels: npt.NDArray[np.int16] = np.rint(255.0 * np.moveaxis(image, 0, -1)).astype(np.int16)
    return levels
