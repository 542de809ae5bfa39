"""Images as everything in Telltale sees them: float32, channels first, in [0, 1], on the 8-bit grid."""

from __future__ import annotations

import hashlib

import numpy as np
import numpy.typing as npt

from telltale.base.errors import InputError

FloatImages = npt.NDArray[np.float32]
ByteImages = npt.NDArray[np.uint8]
VALUES_AT_ONCE = 2**18  # in double precision; a large picture as a whole would take eight times its 8-bit size


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
    values, found = images.reshape(-1), np.empty(images.shape, dtype=np.uint8)
    rounded = found.reshape(-1)
    for start in range(0, values.size, VALUES_AT_ONCE):
        part = values[start : start + VALUES_AT_ONCE]
        if not np.isfinite(part).all() or part.min() < 0.0 or part.max() > 1.0:
            raise InputError("Images must hold finite values in [0, 1].")
        rounded[start : start + VALUES_AT_ONCE] = np.rint(part.astype(np.float64) * 255.0)
    return found


def to_floats(images: ByteImages) -> FloatImages:
    """Return 8-bit images as float32 in [0, 1]."""
    found = images.astype(np.float32)
    found /= np.float32(255.0)
    return found


def round_to_8_bits(images: npt.NDArray[np.floating]) -> FloatImages:
    """Round images in [0, 1] to the nearest of the 256 grey levels, as float32."""
    return to_floats(to_bytes(images))


def image_sha256(image: FloatImages) -> str:
    """SHA-256 (hex) of the shape and the 8-bit pixels of one image of shape (C, H, W)."""
    pixels = to_bytes(image)
    digest = hashlib.sha256(repr(pixels.shape).encode())
    digest.update(np.ascontiguousarray(pixels).tobytes())
    return digest.hexdigest()
