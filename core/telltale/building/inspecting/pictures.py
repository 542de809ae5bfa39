"""Pictures of any size to try a network on: a sample that takes every class in turn."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from telltale.base.errors import InputError
from telltale.data.sources import load_image_set
from telltale.data.uploads import decode_image

Pixels = npt.NDArray[np.uint8]
SUFFIXES = frozenset(Image.registered_extensions())
HELD_OUT = ("test", "validation", "val", "valid")  # what the network has not learned from says more
SPLITS = frozenset({*HELD_OUT, "train", "training"})


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
        A folder with one folder of pictures per class, by itself or within folders of splits, of which the held-out
        one is taken; or what `load_image_set` takes.
    most : int
        Pictures to read.
    seed : int
        Decides which of a class.

    Raises
    ------
    InputError
        If nothing can be read.
    """
    folder = Path(source).expanduser()
    classes = _class_folders(folder)
    if not classes:
        return _of_image_set(source, most, seed)
    order = [_shuffled(_files(place), seed) for place in classes]
    pixels: list[Pixels] = []
    labels, damaged = [], []
    for label, file in _in_turn(order):
        if len(pixels) == most:
            break
        try:
            pixels.append(_decoded(file))
            labels.append(label)
        except (InputError, OSError):
            damaged.append(str(file.relative_to(folder)))
    if not pixels:
        raise InputError(f"No picture in '{source}' can be read.")
    names = tuple(place.name for place in classes)
    counts = tuple(map(len, order))
    return Pictures(tuple(pixels), np.array(labels, dtype=np.int64), names, counts, tuple(damaged))


def _class_folders(folder: Path) -> list[Path]:
    """Return the folders of the classes; none where this is no such folder."""
    inside = _folders(folder)
    named = {place.name.lower(): place for place in inside}
    if named and set(named) <= SPLITS:
        return _class_folders(next((named[name] for name in HELD_OUT if name in named), inside[0]))
    return inside if any(_files(place) for place in inside) else []


def _folders(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(place for place in folder.iterdir() if place.is_dir() and not place.name.startswith("."))


def _files(folder: Path) -> list[Path]:
    return sorted(file for file in folder.iterdir() if file.suffix.lower() in SUFFIXES and file.is_file())


def _shuffled(files: list[Path], seed: int) -> list[Path]:
    return [files[place] for place in np.random.default_rng(seed).permutation(len(files))]


def _in_turn(order: Sequence[Sequence[Path]]) -> Iterator[tuple[int, Path]]:
    """Yield the first file of every class, then the second, and so on."""
    for place in range(max(map(len, order))):
        yield from ((label, files[place]) for label, files in enumerate(order) if place < len(files))


def _decoded(file: Path) -> Pixels:
    picture = np.atleast_3d(np.asarray(decode_image(file.read_bytes()), dtype=np.uint8))
    return np.ascontiguousarray(picture.transpose(2, 0, 1))


def _of_image_set(source: str, most: int, seed: int) -> Pictures:
    image_set = load_image_set(source)
    held_out = np.arange(len(image_set) - image_set.own_test, len(image_set)) if image_set.own_test else None
    ids = np.arange(len(image_set)) if held_out is None else held_out
    chosen = np.sort(np.random.default_rng(seed).permutation(ids)[:most])
    counts = np.bincount(image_set.labels, minlength=len(image_set.class_names))
    return Pictures(
        tuple(image_set.pixels[chosen]), image_set.labels[chosen], image_set.class_names, tuple(map(int, counts))
    )
