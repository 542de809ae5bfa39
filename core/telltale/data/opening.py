"""The gate that every picture passes: opened within the limits, decoded in its own mode, upright."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path

from PIL import Image, ImageOps

from telltale.base.errors import InputError
from telltale.data.limits import LIMITS
from telltale.data.picture_modes import Storage
from telltale.data.structure import Structure
from telltale.data.tiff_directories import pieces_listed_and_needed

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF")
ACCEPTED = "PNG, JPEG, WebP, BMP, GIF or TIFF"


def open_picture(data: bytes) -> tuple[Image.Image, Storage]:
    """Decode the first frame of an untrusted file in its own mode, upright.

    What it would cost is looked up in its headers and its structure first (`telltale.data.limits`).

    Parameters
    ----------
    data : bytes

    Raises
    ------
    InputError
        If it is beyond a limit, of another format, truncated or damaged, or Pillow would read it wrongly.
    """
    LIMITS.check_bytes(len(data))
    LIMITS.check_structure(Structure.of(data, max(LIMITS.frames, LIMITS.scans)))
    # Decoders of damaged files raise almost anything (struct.error, IndexError and more).
    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
    except Image.DecompressionBombError as error:
        raise LIMITS.too_many_pixels("far too many") from error
    except MemoryError as error:
        raise LIMITS.took_too_much() from error
    except Exception as error:
        raise InputError(f"The file is not a readable image; {ACCEPTED} are accepted.") from error
    LIMITS.check_size(*image.size)
    LIMITS.check_structure(Structure.told(image))
    if image.format == "TIFF":
        _check_whole(data)
    storage = Storage.of(image, data)
    try:
        image.load()
    except MemoryError as error:
        raise LIMITS.took_too_much() from error
    except Exception as error:
        raise InputError(f"The {image.format} file is truncated or damaged.") from error
    # A photograph with a broken EXIF block is still a photograph.
    with contextlib.suppress(Exception):
        ImageOps.exif_transpose(image, in_place=True)
    return image, storage


def _check_whole(tiff: bytes) -> None:
    """Refuse a TIFF that lists too few pieces: what they lack would be black without a word."""
    listed, needed = pieces_listed_and_needed(tiff)
    if listed < needed:
        raise InputError(
            f"The TIFF file is damaged: it lists {listed:,} of the {needed:,} strips or tiles that its size takes."
        )


def read_bytes(path: Path) -> bytes:
    """Read a file as far as one may be large, and one byte beyond.

    Raises
    ------
    InputError
        If it is no file or cannot be read.
    """
    try:
        if path.is_dir():
            raise InputError(f"'{path}' is a folder, not an image file.")
        if not path.is_file():
            raise InputError(f"There is no file '{path}'.")
        with path.open("rb") as file:
            return file.read(LIMITS.bytes + 1)
    except OSError as error:
        raise InputError(f"'{path}' cannot be read: {error.strerror}.") from error
