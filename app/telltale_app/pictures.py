"""The one way to show an image: PNG, enlarged by whole pixels, with a text alternative.

Left to itself, Streamlit sends arrays, and PNG files too, as JPEG, and resamples what is wider than its place: both
change pixels by more than an attack does.
"""

from __future__ import annotations

from contextlib import nullcontext

import numpy as np
import numpy.typing as npt
import streamlit as st

from telltale.base.images import FloatImages, image_sha256
from telltale.data.uploads import QUICK_COMPRESSION, USUAL_COMPRESSION, png_bytes

SMALLEST_SIDE = 256
LARGE_SIDE = 128  # a picture from here on is shown at its own size, one pixel of it on one of the page's at most


def png(image: npt.NDArray[np.floating], smallest_side: int = 0) -> bytes:
    """Return the exact 8-bit pixels of one image as PNG.

    Parameters
    ----------
    image : array, shape (C, H, W)
        Values in [0, 1]; one or three channels.
    smallest_side : int
        The picture is enlarged by a whole factor, repeating pixels, until both sides reach it.
    """
    floats = image.astype(np.float32)
    return _encoded(image_sha256(floats), max(1, -(-smallest_side // min(image.shape[1:]))), floats)


@st.cache_data(max_entries=512, show_spinner=False)
def _encoded(digest: str, scale: int, _image: FloatImages) -> bytes:  # noqa: ARG001  # the digest is the key
    large = min(_image.shape[1:]) >= LARGE_SIDE
    return png_bytes(_image, scale=scale, compression=QUICK_COMPRESSION if large else USUAL_COMPRESSION)


def show(
    image: npt.NDArray[np.floating],
    alt: str,
    caption: str | None = None,
    side: int | None = None,
    link: str | None = None,
) -> None:
    """Show one image.

    Parameters
    ----------
    image : array, shape (C, H, W)
        Values in [0, 1].
    alt : str
        What a person who cannot see it should know.
    caption : str, optional
    side : int, optional
        Width on the page in pixels. Where None, as wide as its container, but not beyond its own size if that is large.
    link : str, optional
        Address that a click opens.
    """
    enlarged = SMALLEST_SIDE if side is None else side
    if side is None and min(image.shape[1:]) >= LARGE_SIDE:
        enlarged, side = 0, image.shape[2]
    with nullcontext() if side is None else st.container(width=side):
        st.image(
            png(image, enlarged),
            caption=caption,
            width="stretch",
            output_format="PNG",
            alt=alt,
            link=link,
        )
