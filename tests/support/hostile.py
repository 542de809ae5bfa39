"""Pictures that are made to cost: small files that claim, or truly hold, more than anybody should have to decode."""

from __future__ import annotations

import base64
import io
import re
import struct
import zlib
from collections.abc import Callable
from functools import cache

from PIL import Image

PNG_START, JPEG_SCAN = b"\x89PNG\r\n\x1a\n", b"\xff\xda"
GREY, COLOUR, PALETTE, GREY_ALPHA, COLOUR_ALPHA = 0, 2, 3, 4, 6
SAMPLES = {GREY: 1, COLOUR: 3, PALETTE: 1, GREY_ALPHA: 2, COLOUR_ALPHA: 4}


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_of(width: int, height: int, packed: bytes, colour: int = GREY, bits: int = 8, *before: bytes) -> bytes:
    """A PNG of this size, whatever its packed rows are."""
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0))
    return PNG_START + header + b"".join(before) + png_chunk(b"IDAT", packed) + png_chunk(b"IEND", b"")


@cache
def packed_zeros(count: int) -> bytes:
    """So many zeros, packed without ever holding them."""
    packer, block = zlib.compressobj(9), bytes(2**20)
    parts = [packer.compress(block) for _ in range(count // 2**20)]
    return b"".join([*parts, packer.compress(bytes(count % 2**20)), packer.flush()])


def flat_png(width: int, height: int, colour: int = GREY, bits: int = 8, *before: bytes) -> bytes:
    """A PNG that truly holds all of its pixels, all zero."""
    row = 1 + -(-width * SAMPLES[colour] * bits // 8)
    return png_of(width, height, packed_zeros(row * height), colour, bits, *before)


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


@cache
def jpeg_of_scans(side: int, scans: int) -> bytes:
    """A progressive JPEG whose last scan stands there again and again."""
    picture = Image.new("RGB", (side, side), (200, 30, 90))
    data = encoded(picture, "JPEG", progressive=True, quality=30)
    starts = [found.start() for found in re.finditer(JPEG_SCAN, data)]
    last = data[starts[-1] : -2]
    return data[:-2] + last * (scans - len(starts)) + b"\xff\xd9"


def tiff_of_strips(width: int, strips: int, compression: int = 1, data: bytes = b"", rows: int = 1) -> bytes:
    """A grey TIFF of this many strips that all lie at the same place."""
    data = data or bytes(width * rows)
    start = 8
    after = start + len(data) + len(data) % 2
    offsets, counts = after, after + 4 * strips
    tags = [
        (256, 4, 1, width), (257, 4, 1, strips * rows), (258, 3, 1, 8), (259, 3, 1, compression), (262, 3, 1, 1),
        (273, 4, strips, offsets if strips > 1 else start), (277, 3, 1, 1), (278, 4, 1, rows),
        (279, 4, strips, counts if strips > 1 else len(data)),
    ]  # fmt: skip
    table = struct.pack(f"<{strips}I", *[start] * strips) + struct.pack(f"<{strips}I", *[len(data)] * strips)
    directory = struct.pack("<H", len(tags)) + b"".join(
        struct.pack("<HHIHH", tag, kind, count, value, 0)
        if kind == 3
        else struct.pack("<HHII", tag, kind, count, value)
        for tag, kind, count, value in tags
    )
    head = b"II*\0" + struct.pack("<I", counts + 4 * strips)
    return head + data.ljust(after - start, b"\0") + table + directory + struct.pack("<I", 0)


def tiff_of_tags(tags: int, each: int) -> bytes:
    """A TIFF whose many unknown tags all claim the same large piece of the file."""
    entries = [(256, 4, 1, 1), (257, 4, 1, 1), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1), (273, 4, 1, 8)]
    entries += [(277, 3, 1, 1), (278, 4, 1, 1), (279, 4, 1, 1)]
    entries += [(40_000 + tag, 7, each, 8) for tag in range(tags)]
    directory = struct.pack("<H", len(entries)) + b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return b"II*\0" + struct.pack("<I", 8 + each) + bytes(each) + directory + struct.pack("<I", 0)


def gif_of_frames(frames: int) -> bytes:
    """An animation of one pixel."""
    frame = b"," + struct.pack("<4HB", 0, 0, 1, 1, 0) + b"\x02\x02\x4c\x01\x00"
    return b"GIF89a" + struct.pack("<2H3B", 1, 1, 0x80, 0, 0) + bytes(6) + frame * frames + b";"


def tiff_of_pages(pages: int) -> bytes:
    """A TIFF of so many pages of one pixel."""
    data, entries = b"II*\0" + struct.pack("<I", 10) + b"\x07\0", 9
    size = 2 + 12 * entries + 4
    for page in range(pages):
        tags = [(256, 4, 1), (257, 4, 1), (258, 3, 8), (259, 3, 1), (262, 3, 1)]
        tags += [(273, 4, 8), (277, 3, 1), (278, 4, 1), (279, 4, 1)]
        following = 0 if page == pages - 1 else len(data) + size
        data += struct.pack("<H", entries)
        data += b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in tags)
        data += struct.pack("<I", following)
    return data


def apng_of_frames(frames: int) -> bytes:
    """A PNG that says that it is an animation of so many frames."""
    return flat_png(1, 1, GREY, 8, png_chunk(b"acTL", struct.pack(">II", frames, 0)))


def link_of(png: bytes) -> str:
    """A picture as links carry it."""
    return "png-" + base64.urlsafe_b64encode(png).decode().rstrip("=")


SECOND_HEADER = png_chunk(b"IHDR", struct.pack(">IIBBBBB", 30_000, 30_000, 8, GREY, 0, 0, 0))
INFLATED = png_chunk(b"zTXt", b"a\0\0" + packed_zeros(2**26))

HOSTILE: dict[str, Callable[[], bytes]] = {
    "png header of 30000 x 30000": lambda: png_of(30_000, 30_000, zlib.compress(b"\0")),
    "png header of 2**31 - 1": lambda: png_of(2**31 - 1, 1, zlib.compress(b"\0")),
    "png of 1 x 40,000,000": lambda: flat_png(1, 40_000_000),
    "png of 40,000,000 x 1": lambda: flat_png(40_000_000, 1),
    "png of 41 megapixels": lambda: flat_png(6_400, 6_410),
    "png with a second, larger header": lambda: png_of(8, 8, packed_zeros(30_001 * 30_000), GREY, 8, SECOND_HEADER),
    "png of 16-bit transparency": lambda: flat_png(6_320, 6_320, COLOUR_ALPHA, 16),
    "png of a transparent palette": lambda: flat_png(
        6_320, 6_320, PALETTE, 8, png_chunk(b"PLTE", bytes(768)), png_chunk(b"tRNS", bytes(256))
    ),
    "png of a transparent grey": lambda: flat_png(6_320, 6_320, GREY_ALPHA),
    "png with inflated text": lambda: flat_png(8, 8, GREY, 8, *[INFLATED] * 99),
    "truncated png": lambda: flat_png(6_000, 6_000)[:9_000],
    "jpeg of 20,000 scans": lambda: jpeg_of_scans(500, 20_000),
    "jpeg of 64 scans of 36 megapixels": lambda: jpeg_of_scans(6_000, 64),
    "tiff of 1,000,000 strips": lambda: tiff_of_strips(1, 1_000_000),
    "tiff of 20,000 strips": lambda: tiff_of_strips(2_000, 20_000),
    "tiff of huge tags": lambda: tiff_of_tags(3_000, 2**20),
    "tiff of 5,000 pages": lambda: tiff_of_pages(5_000),
    "gif of 500,000 frames": lambda: gif_of_frames(500_000),
    "apng of 2,000,000,000 frames": lambda: apng_of_frames(2_000_000_000),
    "rubbish": lambda: bytes(range(256)) * 4_000,
}  # fmt: skip
