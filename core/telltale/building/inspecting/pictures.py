"""Pictures of any size to try a network on: a sample that takes every class in turn."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from telltale.base.errors import InputError
from telltale.data.decoding import number_labels
from telltale.data.image_set import NO_LABEL, LeftOut
from telltale.data.listing import Listed, Listing
from telltale.data.sizing import pixels_of
from telltale.data.sources import list_images
from telltale.data.split_names import TEST, VALIDATION, own_held_out
from telltale.data.uploads import decode_image

Pixels = npt.NDArray[np.uint8]
MOST_REASONS = 3
HELD_OUT = (TEST, VALIDATION)  # what the network has not learned from says more


@dataclass(frozen=True)
class Pictures:
    """Pictures, with labels or without.

    Attributes
    ----------
    pixels : tuple of array of uint8, shape (C, H, W)
        Of any sizes.
    labels : array of int64, shape (n,)
        `NO_LABEL` everywhere where the data have none.
    class_names : tuple of str
        Of the data, those without a picture included; empty where they have none.
    counts, references : tuple of int
        How many pictures of every class the data hold, damaged ones included; and how many of them are not the data's
        own test or validation split.
    damaged : tuple of str
        Files that cannot be read, which are left out.
    total : int
        How many pictures the data hold, damaged ones and those of other splits included.
    own_held_out : (int, int)
        How many of them are the data's own test and validation splits.
    decoding : float
        Seconds that decoding one of them has taken.
    split : str or None
        Of the data, from which these are; None where the data have none.
    """

    pixels: tuple[Pixels, ...]
    labels: npt.NDArray[np.int64]
    class_names: tuple[str, ...]
    counts: tuple[int, ...]
    references: tuple[int, ...] = ()
    damaged: tuple[str, ...] = ()
    total: int = 0
    own_held_out: tuple[int, int] = (0, 0)
    decoding: float = 0.0
    split: str | None = None

    def __len__(self) -> int:
        return len(self.pixels)

    @property
    def labelled(self) -> bool:
        """Whether they have labels."""
        return bool(self.class_names)

    @property
    def validated(self) -> bool:
        """Whether the data have a validation split of their own."""
        return self.own_held_out[1] > 0


NO_PICTURES = Pictures((), np.empty(0, dtype=np.int64), (), ())


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
        If nothing can be read.
    """
    listing = list_images(source, download=True)
    listed = [found for found in listing.images if not isinstance(found, LeftOut)]
    splits = Counter(found.split for found in listed)
    asked = next((split for split in HELD_OUT if split in splits), None)
    every_class, names = _classes(listed, listing)
    taken = np.array([asked is None or found.split == asked for found in listed], dtype=bool)
    kept, classes = [found for found, wanted in zip(listed, taken, strict=True) if wanted], every_class[taken]
    pixels: list[Pixels] = []
    labels, damaged, reasons = [], [], [f"'{left.name}': {left.reason}" for left in listing.left_out]
    begun = time.perf_counter()
    for place in _in_turn(classes, seed):
        if len(pixels) == most:
            break
        try:
            pixels.append(_decoded(kept[place]))
            labels.append(classes[place])
        except InputError as error:
            damaged.append(kept[place].name)
            reasons.append(f"'{kept[place].name}': {error}")
    seconds = time.perf_counter() - begun
    if not pixels:
        raise InputError(" ".join([f"No picture in '{source}' can be read.", *reasons[:MOST_REASONS]]))
    decoding = seconds / (len(pixels) + len(damaged))
    held_out = own_held_out(splits)
    own = [split for split, count in zip(HELD_OUT, held_out, strict=True) if count]
    referring = np.array([found.split not in own for found in listed], dtype=bool)
    return Pictures(
        tuple(pixels),
        np.array(labels, dtype=np.int64),
        names,
        _counted(every_class, len(names)),
        _counted(every_class[referring], len(names)),
        tuple(damaged),
        len(listed),
        held_out,
        decoding,
        asked,
    )


def _counted(classes: npt.NDArray[np.int64], count: int) -> tuple[int, ...]:
    return tuple(int((classes == label).sum()) for label in range(count))


def _classes(kept: Sequence[Listed], listing: Listing) -> tuple[npt.NDArray[np.int64], tuple[str, ...]]:
    """Return the class of every picture, and the names of all classes; none where there are no labels."""
    if not listing.labelled:
        return np.full(len(kept), NO_LABEL, dtype=np.int64), ()
    classes, known = number_labels([found.label for found in kept], listing)
    return classes, (*known, *(name for name in listing.class_folders if name not in known))


def _in_turn(classes: npt.NDArray[np.int64], seed: int) -> Iterator[int]:
    """Yield the place of a picture of every class, then of another of each, and so on."""
    order: Sequence[npt.NDArray[np.int64]] = [
        np.random.default_rng(seed).permutation(np.flatnonzero(classes == label)) for label in np.unique(classes)
    ]
    for round_ in range(max(map(len, order), default=0)):
        yield from (int(places[round_]) for places in order if round_ < len(places))


def _decoded(listed: Listed) -> Pixels:
    return pixels_of(decode_image(listed.read()))
