"""Images as everything in Telltale sees them: float32, channels first, in [0, 1], on the 8-bit grid."""

from __future__ import annotations

import hashlib

import numpy as np
import numpy.typing as npt

from telltale.base.errors import InputError

FloatImages = npt.NDArray[np.float32]
ByteImages = npt.NDArray[np.uint8]


def to_bytes(images: npt.NDArray[np.floating]) -> ByteImages:
    """Round images in [0, 1] to 8 bits.

    Parameters
    ----------
    images : array of float, any shape
        Values in [0, 1].

    Returns
    -------
    array of uint8, same shape

    Raises
    ------
    InputError
        If a value is not finite or outside [0, 1].
    """
    if not np.isfinite(images).all() or images.min(initial=0.0) < 0.0 or images.max(initial=0.0) > 1.0:
        raise InputError("Images must hold finite values in [0, 1].")
    return np.rint(images.astype(np.float64) * 255.0).astype(np.uint8)


def to_floats(images: ByteImages) -> FloatImages:
    """Return 8-bit images as float32 in [0, 1]."""
    return images.astype(np.float32) / np.float32(255.0)


def round_to_8_bits(images: npt.NDArray[np.floating]) -> FloatImages:
    """Round images in [0, 1] to the nearest of the 256 grey levels, as float32."""
    return to_floats(to_bytes(images))


def image_sha256(image: FloatImages) -> str:
    """SHA-256 (hex) of the shape and the 8-bit pixels of one image of shape (C, H, W)."""
    pixels = to_bytes(image)
    digest = hashlib.sha256(repr(pixels.shape).encode())
    digest.update(np.ascontiguousarray(pixels).tobytes())
    return digest.hexdigest()
