"""A labelled image data set, with the fingerprint that ties a bundle to it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from telltale.base.images import FloatImages, to_floats
from telltale.data.rows import Pixels

NO_LABEL = -1


@dataclass(frozen=True)
class LeftOut:
    """Something that a source holds and that is not in its image set.

    Attributes
    ----------
    name : str
        A path relative to the source, or a row of a table.
    reason : str
        Why, as half a sentence.
    """

    name: str
    reason: str


@dataclass(frozen=True)
class ImageSet:
    """Labelled images; an image's id is its row.

    Attributes
    ----------
    name : str
    pixels : Pixels
        In memory, a file mapped into it and read-only, or drawn when they are asked for.
    labels : array of int64, shape (N,)
        Indices into `class_names`; `NO_LABEL` everywhere where the source has no labels.
    class_names : tuple of str
        Empty where the source has no labels.
    own_test : int
        How many of the last images are the source's own test split; 0 where it has none.
    known_fingerprint : str, optional
        `fingerprint`, where it was computed before.
    own_validation : int
        How many of the images before the own test split are the source's own validation split.
    names : tuple of str
        What each image is called in its source (a relative path); empty where the source is a table.
    left_out : tuple of LeftOut
        What the source holds beside the images, and why it is not among them.
    duplicates : tuple of tuple of int
        Ids of images that were the same, pixel by pixel, before they were brought to a size; each group ascending.
    """

    name: str
    pixels: Pixels
    labels: npt.NDArray[np.int64]
    class_names: tuple[str, ...]
    own_test: int = 0
    known_fingerprint: str | None = None
    own_validation: int = 0
    names: tuple[str, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    duplicates: tuple[tuple[int, ...], ...] = ()

    @property
    def labelled(self) -> bool:
        """Whether the images have labels."""
        return bool(self.class_names)

    @property
    def own_held_out(self) -> tuple[int, int]:
        """`own_test` and `own_validation`, as `telltale.data.splits.Splits.draw` takes them."""
        return self.own_test, self.own_validation

    @property
    def own_splits(self) -> dict[str, range]:
        """Ids of the source's own splits, train, validation and test; those that it lacks are empty."""
        validation = len(self) - self.own_test - self.own_validation
        test = len(self) - self.own_test
        return {
            "train": range(validation),
            "validation": range(validation, test),
            "test": range(test, len(self)),
        }

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
        pixels = np.ascontiguousarray(np.asarray(self.pixels))
        return fingerprint_of(pixels.shape, [pixels.reshape(-1).data], self.labels)


def fingerprint_of(shape: tuple[int, ...], blocks: Iterable[bytes | memoryview], labels: npt.NDArray[np.int64]) -> str:
    """Return `ImageSet.fingerprint` of pixels that come block by block.

    Parameters
    ----------
    shape : tuple of int
        Of all pixels.
    blocks : iterable of bytes
        The pixels, in order.
    labels : array of int64, shape (N,)
    """
    digest = hashlib.sha256(repr(shape).encode())
    for block in blocks:
        digest.update(block)
    digest.update(np.ascontiguousarray(labels).data)
    return digest.hexdigest()
