"""A set of pictures as class folders within train, validation and test, drawn by all cores; whole or not there."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from telltale.base.errors import InputError
from telltale.base.files import whole_folder
from telltale.base.processes import Processes, Work
from telltale.base.progress import Progress, silent
from telltale.signs.kinds import KINDS, NAMES
from telltale.signs.picture import SPLITS, Split, kind_of, render

USUAL_IMAGES = 8000
TO_HELD_OUT = 4  # times as many training pictures as of either other split
LEAST_IMAGES = TO_HELD_OUT * len(KINDS)
AT_ONCE = 250  # pictures of one job: about two seconds


@dataclass(frozen=True)
class WrittenSet:
    """What was written.

    Attributes
    ----------
    folder : Path
    train, validation, test : int
        Pictures.
    pixels_sha256 : str
        SHA-256 (hex) of the pixels, 8-bit (3, SIDE, SIDE), of all pictures for training, then for validation, then for
        testing, in the order of their numbers; equal for equal seeds and counts, on any machine.
    """

    folder: Path
    train: int
    validation: int
    test: int
    pixels_sha256: str


@dataclass(frozen=True)
class Part:
    """Pictures of one split that are drawn by one process."""

    folder: Path
    seed: int
    split: Split
    start: int
    stop: int

    def files_read(self) -> tuple[Path, ...]:
        """Return no file: pictures are made of numbers alone, and those drawn before need not travel to a worker."""
        return ()


def write_set(folder: Path, seed: int, images: int, progress: Progress = silent) -> WrittenSet:
    """Draw a set and write it as ``SPLIT/CLASS/NUMBER.png``, in train, validation and test.

    Parameters
    ----------
    folder : Path
        It is not there yet, or empty.
    seed : int
        At least 0.
    images : int
        Training pictures; a quarter as many for validation and for testing come on top.
    progress : callable
        Told the done share and what is being done; may raise to stop.

    Raises
    ------
    InputError
        If the folder holds something or cannot be written, or a number is not accepted.
    """
    check_numbers(seed, images)
    folder = folder.resolve()  # "." has no name beside which another folder could lie
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise InputError(f"'{folder}' is there already; name a folder that is empty or not there.")
    counts = split_counts(images)
    try:
        with whole_folder(folder) as partial:
            _draw(partial, seed, counts, progress)
            found = _pixels_sha256(partial)
    except OSError as error:
        raise InputError(f"The folder '{folder}' cannot be written: {error.strerror}.") from error
    return WrittenSet(folder, **counts, pixels_sha256=found)


def split_counts(images: int) -> dict[Split, int]:
    """Return how many pictures each split of a set has that has so many for training."""
    held_out = images // TO_HELD_OUT
    return {"train": images, "validation": held_out, "test": held_out}


def check_numbers(seed: int, images: int) -> None:
    """Refuse a seed or a number of pictures.

    Raises
    ------
    InputError
        If the seed is negative, or so few pictures would leave a kind of sign without one for testing.
    """
    if seed < 0:
        raise InputError(f"The seed must be a whole number of at least 0. Got {seed} instead.")
    if images < LEAST_IMAGES:
        raise InputError(
            f"The number of images must be at least {LEAST_IMAGES}, so that each of the {len(KINDS)} kinds of sign is "
            f"in every split. Got {images} instead."
        )


def _draw(folder: Path, seed: int, counts: dict[Split, int], progress: Progress) -> None:
    for split in SPLITS:
        for name in NAMES:
            (folder / split / name).mkdir(parents=True)
    parts = [
        Part(folder, seed, split, start, min(start + AT_ONCE, counts[split]))
        for split in SPLITS
        for start in range(0, counts[split], AT_ONCE)
    ]
    total, drawn = sum(counts.values()), 0

    def done(_count: int, part: Part) -> None:
        nonlocal drawn
        drawn += part.stop - part.start
        progress(drawn / total, f"Drawing signs, {drawn:,} of {total:,} images")

    with Processes() as processes:
        processes.run(Work(draw_part, parts, done))


def draw_part(part: Part) -> None:
    """Draw the pictures of one part and write each into its class's folder."""
    for index in range(part.start, part.stop):
        pixels = np.moveaxis(render(part.seed, part.split, index), 0, -1)
        file = part.folder / part.split / NAMES[kind_of(index)] / f"{index:05d}.png"
        file.parent.mkdir(parents=True, exist_ok=True)  # on a worker elsewhere they are not there yet
        Image.fromarray(pixels).save(file)


def _pixels_sha256(folder: Path) -> str:
    digest = hashlib.sha256()
    for file in _in_order(folder):
        with Image.open(file) as picture:
            digest.update(np.moveaxis(np.asarray(picture), -1, 0).tobytes())
    return digest.hexdigest()


def _in_order(folder: Path) -> Iterator[Path]:
    for split in SPLITS:
        yield from sorted((folder / split).glob("*/*.png"), key=lambda file: int(file.stem))
