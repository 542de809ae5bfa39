"""How many pieces a picture's file is made of, counted from its bytes before anything is decoded.

Counting stops where it is clear that a file has too many. What is malformed is left to the decoders, who refuse it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from PIL import Image

from telltale.data.tiff_directories import STARTS, count_directories, count_pieces

_NEXT_MARKER = re.compile(rb"\xff+([^\x00\x01\xff\xd0-\xd7])")  # not those that stand alone, or for a byte of 255
_START_OF_SCAN, _END_OF_IMAGE = 0xDA, 0xD9
_JPEG, _GIF = b"\xff\xd8", (b"GIF87a", b"GIF89a")
_GIF_FRAME, _GIF_EXTENSION = 0x2C, 0x21


@dataclass(frozen=True)
class Structure:
    """Numbers of pieces; 1 where a format has no such thing.

    Attributes
    ----------
    frames, strips, scans : int
        As `telltale.data.limits.Limits` has them.
    """

    frames: int = 1
    strips: int = 1
    scans: int = 1

    @classmethod
    def of(cls, data: bytes, most: int) -> Structure:
        """Count the pieces of a file.

        Parameters
        ----------
        data : bytes
            Of any format, or none.
        most : int
            Pieces beyond which nobody needs to know how many there are.
        """
        if data.startswith(_JPEG):
            return cls(scans=_jpeg_scans(data, most))
        if data.startswith(_GIF):
            return cls(frames=_gif_frames(data, most))
        if data.startswith(STARTS):
            return cls(frames=count_directories(data, most), strips=count_pieces(data))
        return cls()

    @classmethod
    def told(cls, image: Image.Image) -> Structure:
        """Return what the header of an opened file tells by itself: the frames of formats that state their number."""
        frames: Any = 1 if image.format in ("GIF", "TIFF") else getattr(image, "n_frames", 1)
        return cls(frames=int(frames))


def _jpeg_scans(data: bytes, most: int) -> int:
    scans, place = 0, 2
    while scans <= most and (found := _NEXT_MARKER.search(data, place)):
        marker, place = found[1][0], found.end()
        if marker == _END_OF_IMAGE:
            break
        scans += marker == _START_OF_SCAN
        place += int.from_bytes(data[place : place + 2], "big")  # the rest of a segment is none of the picture's
    return max(scans, 1)


def _gif_frames(data: bytes, most: int) -> int:
    frames, place = 0, 13 + _colours(data, 10)
    while frames <= most and place < len(data):
        if data[place] == _GIF_FRAME:
            frames += 1
            place += 11 + _colours(data, place + 9)  # its place and size, its colours, the width of its first code
        elif data[place] == _GIF_EXTENSION:
            place += 2
        else:
            break
        while place < len(data) and data[place]:
            place += 1 + data[place]
        place += 1
    return max(frames, 1)


def _colours(data: bytes, place: int) -> int:
    """Return the length of the colour table that a GIF's flags announce."""
    flags = data[place] if place < len(data) else 0
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0
