"""From what a source lists to an image set: every picture decoded once, one after the other, into a mapped file."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from PIL import Image

from telltale.base.errors import InputError
from telltale.base.places import CACHE_VARIABLE
from telltale.base.progress import Progress, silent
from telltale.data.bands import bands
from telltale.data.duplicates import same_content
from telltale.data.image_set import NO_LABEL, ImageSet, LeftOut, fingerprint_of
from telltale.data.listing import Listed, Listing
from telltale.data.picture_modes import is_grey
from telltale.data.pixel_file import PixelFile
from telltale.data.sizing import Sizing, pixels_of
from telltale.data.split_names import own_held_out
from telltale.data.uploads import decode_image

TOLD_EVERY = 64


@dataclass(frozen=True)
class Picture:
    """A picture that was decoded.

    Attributes
    ----------
    listed : Listed
    image : PIL.Image.Image
        Of mode ``"L"`` or ``"RGB"``, upright.
    """

    listed: Listed
    image: Image.Image

    def content(self) -> bytes:
        """Return what tells its pixels from any others', however their file stores them: grey as colour is grey."""
        colour = self.image.mode == "RGB" and not is_grey(self.image)
        pixels = self.image if colour or self.image.mode == "L" else self.image.getchannel(0)
        digest = hashlib.blake2b(f"{pixels.mode} {pixels.size}".encode(), digest_size=16)
        for box in bands(pixels.size):
            digest.update(pixels.crop(box).tobytes())
        return digest.digest()


def pictures(listing: Listing, progress: Progress = silent) -> Iterator[Picture | LeftOut]:
    """Decode what a source lists, one picture after the other; what cannot be decoded is left out by name."""
    for number, listed in enumerate(listing.images):
        if number % TOLD_EVERY == 0:
            progress(min(number / max(listing.count, 1), 1.0), f"Reading {listing.source}")
        if isinstance(listed, LeftOut):
            yield listed
            continue
        try:
            picture = Picture(listed, decode_image(listed.read()))
        except InputError as error:
            yield LeftOut(listed.name, str(error).rstrip("."))
            continue
        yield picture


def decode(listing: Listing, sizing: Sizing | None = None, progress: Progress = silent) -> ImageSet:
    """Decode every image that a source lists.

    Memory: one picture, whatever their number.

    Parameters
    ----------
    listing : Listing
    sizing : Sizing, optional
        Brings the pictures to one size. Left out, they must have one.
    progress : callable, optional
        Told the fraction done.

    Raises
    ------
    InputError
        If images differ in size, none can be read, or there is no room for them on the disk.
    """
    try:
        with PixelFile() as file:
            taken = _Taken()
            for found in pictures(listing, progress):
                taken.take(found, file, listing.source, sizing)
            if not taken.labels:
                raise _nothing(listing, taken.left_out)
            return taken.image_set(listing, file)
    except OSError as error:
        raise InputError(
            f"The decoded images of '{listing.source}' cannot be written ({error.strerror}); "
            f"{CACHE_VARIABLE} may name a folder with more room."
        ) from error


@dataclass
class _Taken:
    """What is known of the images so far."""

    labels: list[str | int | None] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    splits: Counter[str | None] = field(default_factory=Counter)
    contents: list[bytes] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)

    def take(self, found: Picture | LeftOut, file: PixelFile, source: str, sizing: Sizing | None) -> None:
        if isinstance(found, LeftOut):
            self.left_out.append(found)
            return
        try:
            pixels = pixels_of(found.image) if sizing is None else sizing.apply(found.image)
        except InputError as error:
            self.left_out.append(LeftOut(found.listed.name, str(error).rstrip(".")))
            return
        _check_size(file.size, pixels, source, sizing)
        self.contents.append(found.content())
        file.append(pixels)
        self.labels.append(found.listed.label)
        self.names.append(found.listed.name)
        self.splits[found.listed.split] += 1

    def image_set(self, listing: Listing, file: PixelFile) -> ImageSet:
        labels, class_names = number_labels(self.labels, listing)
        left_out = [*listing.left_out, *self.left_out, *left_over(listing.class_folders, self.labels)]
        own_test, own_validation = own_held_out(self.splits)
        pixels = file.mapped()
        return ImageSet(
            listing.name,
            pixels,
            labels,
            class_names,
            own_test=own_test,
            known_fingerprint=fingerprint_of(pixels.shape, file.blocks(), labels),
            own_validation=own_validation,
            names=tuple(self.names) if listing.named else (),
            left_out=tuple(left_out),
            duplicates=same_content(self.contents),
        )


def number_labels(
    labels: Sequence[str | int | None], listing: Listing
) -> tuple[npt.NDArray[np.int64], tuple[str, ...]]:
    """Return the class of every image as an index into the class names, and those.

    Classes are those that the source states, or else those of the images, in order: numbers by size, names by letters.
    """
    if not listing.labelled:
        return np.full(len(labels), NO_LABEL, dtype=np.int64), ()
    if listing.class_names is not None:
        names: tuple[str, ...] = listing.class_names
        values: Sequence[str | int | None] = names
    else:
        mixed = len({type(label) for label in labels}) > 1
        labels = [str(label) for label in labels] if mixed else labels
        values = sorted(set(labels), key=lambda value: (isinstance(value, str), value))
        names = tuple(str(value) for value in values)
    index = {value: i for i, value in enumerate(values)}
    return np.array([index[label] for label in labels], dtype=np.int64), names


def left_over(classes: Sequence[str], seen: Sequence[object]) -> list[LeftOut]:
    """Return the class folders of which no image could be read."""
    found = set(seen)
    return [LeftOut(name, "a class without an image that can be read") for name in classes if name not in found]


def _check_size(
    size: tuple[int, int] | None, pixels: npt.NDArray[np.uint8], source: str, sizing: Sizing | None
) -> None:
    if size is None or pixels.shape[1:] == size:
        return
    both = f"({size[1]}×{size[0]} and {pixels.shape[2]}×{pixels.shape[1]})"
    if sizing is not None:
        raise InputError(f"The classifier's preprocessing leaves the images of '{source}' at sizes that differ {both}.")
    raise InputError(
        f"The images of '{source}' differ in size {both}; load them through a classifier's preprocessing, or bring "
        "them to one size first."
    )


def _nothing(listing: Listing, left_out: Sequence[LeftOut]) -> InputError:
    known = [*left_out, *listing.left_out]
    if not known:
        return InputError(f"'{listing.source}' holds no images.")
    return InputError(
        f"No image of '{listing.source}' can be taken; {len(known)} were left out, "
        f"the first of them '{known[0].name}': {known[0].reason}."
    )
