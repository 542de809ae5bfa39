"""Images that are too large for a link: kept in this server's memory for a while, named by their SHA-256."""

from __future__ import annotations

import threading
from collections import OrderedDict

import numpy as np
import numpy.typing as npt

from telltale.base.images import FloatImages, image_sha256, to_bytes, to_floats

MOST_BYTES = 64 * 2**20  # of all sessions together; those used last stay

_kept: OrderedDict[str, npt.NDArray[np.uint8]] = OrderedDict()
_lock = threading.Lock()


def keep(image: FloatImages) -> str:
    """Keep one image, shape (C, H, W), and return its SHA-256."""
    digest = image_sha256(image)
    with _lock:
        _kept[digest] = to_bytes(image)
        _kept.move_to_end(digest)
        while len(_kept) > 1 and sum(pixels.nbytes for pixels in _kept.values()) > MOST_BYTES:
            _kept.popitem(last=False)
    return digest


def find(digest: str) -> FloatImages | None:
    """Return a kept image; None where it is kept no more, or never was."""
    with _lock:
        if digest not in _kept:
            return None
        _kept.move_to_end(digest)
        return to_floats(_kept[digest])
