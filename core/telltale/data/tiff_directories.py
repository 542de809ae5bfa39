"""Pages and pieces of a TIFF, counted from its directories alone."""

from __future__ import annotations

import struct
from dataclasses import dataclass

STARTS = (b"II*\0", b"MM\0*", b"II\0*", b"MM*\0", b"II+\0", b"MM\0+")  # the two in the middle are read as well
_WIDTH, _HEIGHT, _STRIPS, _SAMPLES, _ROWS_PER_STRIP = 256, 257, 273, 277, 278
_PLANES, _TILE_WIDTH, _TILE_LENGTH, _TILES = 284, 322, 323, 324
_APART = 2
_SHORT = 3


@dataclass(frozen=True)
class _Layout:
    """How the numbers of a file are written: byte order, and the codes and sizes of a classic TIFF or a large one."""

    order: str
    big: bool

    @classmethod
    def of(cls, data: bytes) -> _Layout:
        return cls("<" if data[:2] == b"II" else ">", b"+" in data[2:4])

    @property
    def count(self) -> str:
        return self.order + ("Q" if self.big else "H")

    @property
    def offset(self) -> str:
        return self.order + ("Q" if self.big else "I")

    @property
    def entry(self) -> int:
        return 20 if self.big else 12

    @property
    def first(self) -> int:
        return 8 if self.big else 4


def count_directories(data: bytes, most: int) -> int:
    """Return how many pages a TIFF has, following its directories; at most `most` + 1, also where they circle."""
    layout, pages = _Layout.of(data), 0
    place = _unpack(layout.offset, data, layout.first)
    while place and pages <= most:
        pages += 1
        entries = _unpack(layout.count, data, place)
        place = _unpack(layout.offset, data, place + struct.calcsize(layout.count) + entries * layout.entry)
    return max(pages, 1)


def count_pieces(data: bytes) -> int:
    """Return of how many strips or tiles a TIFF's first page consists: as it lists them, or as its sizes say."""
    return max(*pieces_listed_and_needed(data), 1)


def pieces_listed_and_needed(data: bytes) -> tuple[int, int]:
    """Return how many strips or tiles a TIFF's first page lists, and how many its sizes say that it takes."""
    found, listed = _first_page(data)
    width, height = found.get(_WIDTH, 1), found.get(_HEIGHT, 1)
    planes = max(found.get(_SAMPLES, 1), 1) if found.get(_PLANES) == _APART else 1
    if _TILE_WIDTH in found or _TILES in listed:
        across, down = found.get(_TILE_WIDTH, width), found.get(_TILE_LENGTH, height)
    else:
        across, down = width, found.get(_ROWS_PER_STRIP, height)
    needed = -(-width // max(across, 1)) * -(-height // max(down, 1)) * planes
    return max(listed.values(), default=0), needed


def _first_page(data: bytes) -> tuple[dict[int, int], dict[int, int]]:
    """Return the single numbers that its directory holds, and how many strips or tiles it lists."""
    layout = _Layout.of(data)
    start = _unpack(layout.offset, data, layout.first)
    entries = _unpack(layout.count, data, start)
    start += struct.calcsize(layout.count)
    found: dict[int, int] = {}
    listed = {_STRIPS: 0, _TILES: 0}
    for place in range(start, min(start + entries * layout.entry, len(data)), layout.entry):
        tag, kind = _unpack(layout.order + "H", data, place), _unpack(layout.order + "H", data, place + 2)
        count = _unpack(layout.offset, data, place + 4)
        if tag in listed:
            listed[tag] = max(listed[tag], count)
        elif count == 1:
            code = layout.order + ("H" if kind == _SHORT else "I")
            found[tag] = _unpack(code, data, place + layout.entry - (8 if layout.big else 4))
    return found, {tag: count for tag, count in listed.items() if count}


def _unpack(code: str, data: bytes, place: int) -> int:
    """Return a number of the file; 0 beyond its end."""
    if place + struct.calcsize(code) > len(data):
        return 0
    return int(struct.unpack_from(code, data, place)[0])
