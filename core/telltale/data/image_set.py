"""A labelled image data set, with the fingerprint that ties a bundle to it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from telltale.base.images import FloatImages, to_floats


@dataclass(frozen=True)
class ImageSet:
    """Labelled images; an image's id is its row.

    Attributes
    ----------
    name : str
    pixels : array of uint8, shape (N, C, H, W)
        In memory, or a file mapped into it and read-only.
    labels : array of int64, shape (N,)
    class_names : tuple of str
    own_test : int
        How many of the last images are the source's own test split; 0 where it has none.
    known_fingerprint : str, optional
        `fingerprint`, where it was computed before.
    """

    name: str
    pixels: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int64]
    class_names: tuple[str, ...]
    own_test: int = 0
    known_fingerprint: str | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def images(self, ids: npt.ArrayLike) -> FloatImages:
        """Return copies of images as float32 in [0, 1], shape (len(ids), C, H, W)."""
        return to_floats(self.pixels[np.asarray(ids, dtype=np.int64)])

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 (hex) over shape, pixels and labels."""
        if self.known_fingerprint is not None:
            return self.known_fingerprint
        digest = hashlib.sha256(repr(self.pixels.shape).encode())
        for array in (self.pixels, self.labels):
            digest.update(np.ascontiguousarray(array).reshape(-1).data)
        return digest.hexdigest()
