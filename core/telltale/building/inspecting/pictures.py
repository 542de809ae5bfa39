"""Pictures of any size to try a network on: a sample that takes every class in turn."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from telltale.base.errors import InputError
from telltale.data.decoding import number_labels
from telltale.data.image_set import LeftOut
from telltale.data.listing import Listed
from telltale.data.sizing import pixels_of
from telltale.data.sources import list_images
from telltale.data.split_names import TEST, VALIDATION
from telltale.data.uploads import decode_image

Pixels = npt.NDArray[np.uint8]
HELD_OUT = (TEST, VALIDATION)  # what the network has not learned from says more


@dataclass(frozen=True)
class Pictures:
    """Labelled pictures.

    Attributes
    ----------
    pixels : tuple of array of uint8, shape (C, H, W)
        Of any sizes.
    labels : array of int64, shape (n,)
    class_names : tuple of str
        Of the data, those without a picture included.
    counts : tuple of int
        How many pictures the data hold of every class, damaged ones included.
    damaged : tuple of str
        Files that cannot be read, which are left out.
    """

    pixels: tuple[Pixels, ...]
    labels: npt.NDArray[np.int64]
    class_names: tuple[str, ...]
    counts: tuple[int, ...]
    damaged: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.pixels)


def read_pictures(source: str, most: int, seed: int = 0) -> Pictures:
    """Read a sample of a source's pictures.

    Parameters
    ----------
    source : str
        What `telltale.data.sources.load_image_set` takes; of splits, the held-out one is read.
    most : int
        Pictures to read.
    seed : int
        Decides which of a class.

    Raises
    ------
    InputError
        If nothing can be read, or there are no labels.
    """
    listing = list_images(source, download=True)
    if not listing.labelled:
        raise InputError(f"'{source}' holds images without labels; inspect needs some with, in one folder per class.")
    listed = [found for found in listing.images if not isinstance(found, LeftOut)]
    splits = {found.split for found in listed}
    asked = next((split for split in HELD_OUT if split in splits), None)
    kept = [found for found in listed if asked is None or found.split == asked]
    classes, known = number_labels([found.label for found in kept], listing)
    names = (*known, *(name for name in listing.class_folders if name not in known))
    pixels: list[Pixels] = []
    labels, damaged = [], []
    for place in _in_turn(classes, len(names), seed):
        if len(pixels) == most:
            break
        try:
            pixels.append(_decoded(kept[place]))
            labels.append(classes[place])
        except InputError:
            damaged.append(kept[place].name)
    if not pixels:
        raise InputError(f"No picture in '{source}' can be read.")
    counts = tuple(int(count) for count in np.bincount(classes, minlength=len(names)))
    return Pictures(tuple(pixels), np.array(labels, dtype=np.int64), names, counts, tuple(damaged))


def _in_turn(classes: npt.NDArray[np.int64], count: int, seed: int) -> Iterator[int]:
    """Yield the place of a picture of every class, then of another of each, and so on."""
    order: Sequence[npt.NDArray[np.int64]] = [
        np.random.default_rng(seed).permutation(np.flatnonzero(classes == label)) for label in range(count)
    ]
    for round_ in range(max(map(len, order), default=0)):
        yield from (int(places[round_]) for places in order if round_ < len(places))


def _decoded(listed: Listed) -> Pixels:
    return pixels_of(decode_image(listed.read()))
