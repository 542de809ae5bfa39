"""The set of signs that comes with Telltale: no file of it is shipped, each picture is drawn when it is asked for."""

from __future__ import annotations

import contextlib
import os
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from telltale.signs.kinds import KINDS
from telltale.signs.picture import Split, render
from telltale.signs.rasters import SIDE
from telltale.signs.writing import USUAL_IMAGES, split_counts

SEED = 0
SHAPE = (3, SIDE, SIDE)
_BYTES = 3 * SIDE * SIDE
_CHECK = 4  # bytes of the checksum before every picture; 0 where nothing was kept yet
_COUNTS = split_counts(USUAL_IMAGES)

Pictures = npt.NDArray[np.uint8]


def labels() -> npt.NDArray[np.int64]:
    """Return the place in `KINDS` of every picture's sign, split after split, shape (N,)."""
    return np.concatenate([np.arange(count, dtype=np.int64) % len(KINDS) for count in _COUNTS.values()])


def count_of(split: Split) -> int:
    """Return how many pictures a split has."""
    return _COUNTS[split]


def place_of(number: int) -> tuple[Split, int]:
    """Return the split of a picture, and its number there; pictures follow one another split after split."""
    for split, count in _COUNTS.items():
        if number < count:
            return split, number
        number -= count
    raise IndexError(number)


class DrawnPictures:
    """All pictures of the set as rows of uint8, shape (N, 3, SIDE, SIDE); see `telltale.data.rows.Pixels`.

    A picture takes some ten milliseconds to draw, and is then kept in a file, with a checksum: one that was half
    written, or changed, is drawn again. Without a folder, or on a full disk, it is drawn whenever it is asked for,
    unless it was brought by `keep`: then it is held in memory.

    Parameters
    ----------
    folder : Path or None
        Where pictures are kept.
    """

    def __init__(self, folder: Path | None) -> None:
        self._file = None if folder is None else folder / f"signs-{SEED}-{len(self)}.pictures"
        self._held: dict[int, Pictures] = {}

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, 3, SIDE, SIDE)."""
        return (len(self), *SHAPE)

    def __len__(self) -> int:
        return sum(_COUNTS.values())

    def __getitem__(self, rows: Any, /) -> Any:
        """Return rows as an array of uint8, one picture for a number."""
        numbers = np.arange(len(self))[rows]
        found = np.empty((numbers.size, *SHAPE), dtype=np.uint8)
        with contextlib.ExitStack() as held:
            kept = self._opened(held)
            for place, number in enumerate(numbers.flat):
                found[place] = self._picture(int(number), kept)
        return found.reshape(*numbers.shape, *SHAPE)

    def __array__(self, dtype: Any = None, /) -> npt.NDArray[Any]:
        return np.asarray(self[:], dtype)

    def missing(self) -> list[int]:
        """Return the numbers of the pictures that were not kept yet."""
        with contextlib.ExitStack() as held:
            kept = self._opened(held)
            return [number for number in range(len(self)) if self._found(number, kept) is None]

    def keep(self, numbers: Iterable[int], pictures: Pictures) -> None:
        """Keep pictures that were drawn elsewhere."""
        with contextlib.ExitStack() as held:
            kept = self._opened(held)
            for number, picture in zip(numbers, pictures, strict=True):
                if kept is None or not _keep(number, picture, kept):
                    self._held[number] = picture

    def _found(self, number: int, kept: int | None) -> Pictures | None:
        found = self._held.get(number)
        return _kept(number, kept) if found is None and kept is not None else found

    def _picture(self, number: int, kept: int | None) -> Pictures:
        found = self._found(number, kept)
        if found is not None:
            return found
        drawn = render(SEED, *place_of(number))
        if kept is not None:
            _keep(number, drawn, kept)
        return drawn

    def _opened(self, held: contextlib.ExitStack) -> int | None:
        """Return the file in which pictures are kept, until `held` closes it; None where there can be none."""
        if self._file is None:
            return None
        opened = _open(self._file)
        if opened is None:
            return None
        held.callback(os.close, opened)
        return opened


def _open(file: Path) -> int | None:
    """Open a file to read and to write, or one that others have filled to read; None where neither can be done."""
    with contextlib.suppress(OSError):
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    with contextlib.suppress(OSError):
        return os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    return None


def _kept(number: int, file: int) -> Pictures | None:
    try:
        row = os.pread(file, _CHECK + _BYTES, number * (_CHECK + _BYTES))
    except OSError:
        return None
    pixels = row[_CHECK:]
    if len(pixels) != _BYTES or row[:_CHECK] != _checksum(number, pixels):
        return None
    return np.frombuffer(pixels, np.uint8).reshape(SHAPE)


def _keep(number: int, picture: Pictures, file: int) -> bool:
    """Keep a picture, and return whether that was possible: a disk may be full, or a file there to read only."""
    pixels = picture.tobytes()
    row = _checksum(number, pixels) + pixels
    try:
        return os.pwrite(file, row, number * (_CHECK + _BYTES)) == len(row)
    except OSError:
        return False


def _checksum(number: int, pixels: bytes) -> bytes:
    """Return what tells this picture from another's place and from a hole in the file, which is all zeros."""
    return zlib.crc32(pixels, number + 1).to_bytes(_CHECK, "little")
