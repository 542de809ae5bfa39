"""What a picture from a stranger may cost: one table, which every refusal quotes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from telltale.base.errors import InputError

if TYPE_CHECKING:
    from telltale.data.structure import Structure

MEGABYTE = 2**20
MILLION = 1_000_000


@dataclass(frozen=True)
class Limits:
    """Limits of one picture.

    Attributes
    ----------
    bytes : int
        Of the file.
    pixels, side : int
        Of the first frame: in all, and across or down. Rows of a pixel or two cost as much as rows of thousands.
    frames : int
        Of an animation, or pages; only the first is read.
    strips : int
        Pieces of a TIFF: strips or tiles. As many as a picture of the longest side has rows.
    scans : int
        Passes of a progressive JPEG, each of which goes over the whole picture; files usually have 10.
    processor_seconds, seconds : float
        What a limited process may take to decode it (`telltale.models.decoders`), of its processor and by the clock.
    memory : int
        Bytes that a limited process may take for it.
    """

    bytes: int = 10 * MEGABYTE
    pixels: int = 40 * MILLION
    side: int = 20_000
    frames: int = 1_000
    strips: int = 20_000
    scans: int = 64
    processor_seconds: float = 2.0
    seconds: float = 2.5
    memory: int = 768 * MEGABYTE

    def check_bytes(self, count: int) -> None:
        """Refuse a file that is too long.

        Raises
        ------
        InputError
        """
        if count > self.bytes:
            raise InputError(
                f"The file has {count / MEGABYTE:.1f} MB; at most {self.bytes // MEGABYTE} MB are accepted."
            )

    def check_size(self, width: int, height: int) -> None:
        """Refuse a picture of too many pixels.

        Raises
        ------
        InputError
        """
        if width * height > self.pixels:
            raise self.too_many_pixels(f"{width}×{height}")
        if max(width, height) > self.side:
            raise InputError(
                f"The image has {width}×{height} pixels; at most {self.side:,} are accepted across and down."
            )

    def check_structure(self, structure: Structure) -> None:
        """Refuse a file of too many pieces.

        Raises
        ------
        InputError
        """
        pieces = (
            ("frames", structure.frames, self.frames),
            ("strips or tiles", structure.strips, self.strips),
            ("scans", structure.scans, self.scans),
        )
        for name, count, most in pieces:
            if count > most:
                raise InputError(f"The file has more than {most:,} {name}, which is the most that is accepted.")

    def too_many_pixels(self, count: str) -> InputError:
        """Return the refusal of a picture of so many pixels."""
        return InputError(
            f"The image has {count} pixels; at most {self.pixels // MILLION} million are accepted, and "
            f"{self.side:,} across and down."
        )

    def took_too_long(self) -> InputError:
        """Return the refusal of a picture whose limited process ran out of time."""
        return InputError(
            f"Decoding the image takes more than {self.processor_seconds:g} seconds, which is the most that is "
            "accepted; save it smaller, or in a plainer format."
        )

    def took_too_much(self) -> InputError:
        """Return the refusal of a picture whose limited process ran out of memory."""
        return InputError(
            f"Decoding the image takes more than {self.memory // MEGABYTE} MB of memory, which is the most that is "
            "accepted; save it smaller, or in a plainer format."
        )


LIMITS = Limits()
