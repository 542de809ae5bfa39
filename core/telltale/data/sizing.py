"""How pictures of any size become images of one size: what a classifier does to pictures first, as data know it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from telltale.base.images import FloatImages, to_bytes, to_floats


@dataclass(frozen=True)
class Sizing:
    """A classifier's resizing and cropping, and the number of channels that it takes.

    Attributes
    ----------
    to_size : callable
        Takes one channel of a picture as float32 in [0, 1], shape (1, H, W), and returns it in the classifier's size.
    key : str
        Tells what `to_size` does from whatever else it might do: decoded images are kept under it.
    channels : int, optional
        1 or 3; left out, a set is grey where every picture is.
    """

    to_size: Callable[[FloatImages], FloatImages]
    key: str
    channels: int | None = None

    def apply(self, picture: Image.Image) -> npt.NDArray[np.uint8]:
        """Return a picture of mode ``"L"`` or ``"RGB"`` in the classifier's size, rounded to 8 bits.

        Memory: one channel in float32, which takes four times its 8-bit size.

        Raises
        ------
        InputError
            If `to_size` cannot bring it there.
        """
        if self.channels is not None:
            picture = picture.convert("L" if self.channels == 1 else "RGB")
        channels = (picture.getchannel(name) for name in picture.getbands())
        return np.concatenate([to_bytes(self.to_size(to_floats(pixels_of(channel)))) for channel in channels])


def pixels_of(picture: Image.Image) -> npt.NDArray[np.uint8]:
    """Return the pixels of a picture of mode ``"L"`` or ``"RGB"``, shape (1 or 3, H, W)."""
    return np.ascontiguousarray(np.atleast_3d(np.asarray(picture, dtype=np.uint8)).transpose(2, 0, 1))
