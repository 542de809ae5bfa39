"""Every colour mode and depth: the right pixels, or one sentence. Many files are written here byte by byte."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
import tifffile
from PIL import Image

from telltale.base.errors import InputError
from telltale.data.uploads import decode_image


def decoded(data: bytes) -> list:
    return np.asarray(decode_image(data)).tolist()


def encode(image: Image.Image, file_format: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format=file_format, **options)
    return buffer.getvalue()


def png(depth: int, kind: int, rows: list[bytes], width: int, **chunks: bytes) -> bytes:
    """Write a PNG by hand; `rows` are packed samples."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = struct.pack(">IIBBBBB", width, len(rows), depth, kind, 0, 0, 0)
    more = b"".join(chunk(name.encode(), body) for name, body in chunks.items())
    packed = zlib.compress(b"".join(b"\0" + row for row in rows))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + more + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


def tiff(bits: int, body: bytes, width: int, photometric: int = 1, sample_format: int = 1, order: str = "<") -> bytes:
    """Write a grey TIFF of one row by hand."""
    tags = [(256, 4, width), (257, 4, 1), (258, 3, bits), (259, 3, 1), (262, 3, photometric), (273, 4, 0)]
    tags += [(277, 3, 1), (278, 4, 1), (279, 4, len(body)), (339, 3, sample_format)]
    start = 8 + 2 + 12 * len(tags) + 4
    out = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "IH", 8, len(tags))
    for tag, kind, stated in tags:
        value = start if tag == 273 else stated
        packed = struct.pack(order + "HH", value, 0) if kind == 3 else struct.pack(order + "I", value)
        out += struct.pack(order + "HHI", tag, kind, 1) + packed
    return out + struct.pack(order + "I", 0) + body


def twelve_bits(values: list[int]) -> bytes:
    pairs = zip(values[::2], values[1::2], strict=True)
    return b"".join(bytes([a >> 4, ((a & 15) << 4) | (b >> 8), b & 255]) for a, b in pairs)


THIRDS = [0, 85, 170, 255]


@pytest.mark.parametrize(
    ("data", "right"),
    [
        (tiff(8, bytes(THIRDS), 4), THIRDS),
        (tiff(8, bytes(THIRDS), 4, photometric=0), THIRDS[::-1]),
        (tiff(4, bytes([0x05, 0xAF]), 4), THIRDS),
        (tiff(4, bytes([0x05, 0xAF]), 4, photometric=0), THIRDS[::-1]),
        (tiff(1, bytes([0b01010000]), 4), [0, 255, 0, 255]),
        (tiff(1, bytes([0b01010000]), 4, photometric=0), [255, 0, 255, 0]),
        (tiff(12, twelve_bits([0, 1365, 2730, 4095]), 4), THIRDS),
        (tiff(16, struct.pack("<4H", 0, 21845, 43690, 65535), 4), THIRDS),
        (tiff(16, struct.pack(">4H", 0, 21845, 43690, 65535), 4, order=">"), THIRDS),
        (tiff(16, struct.pack("<4H", 0, 21845, 43690, 65535), 4, photometric=0), THIRDS[::-1]),
        (tiff(32, struct.pack("<4f", 0, 1 / 3, 2 / 3, 1), 4, sample_format=3), THIRDS),
        (tiff(32, struct.pack("<4f", 0, 1 / 3, 2 / 3, 1), 4, photometric=0, sample_format=3), THIRDS[::-1]),
        (tiff(32, struct.pack("<4f", 0, 85, 170, 255), 4, sample_format=3), THIRDS),
    ],
    ids=lambda value: "" if isinstance(value, bytes) else str(value),
)
def test_grey_tiffs_of_every_depth_and_polarity(data, right) -> None:
    assert decoded(data) == [right]


@pytest.mark.parametrize(
    "data",
    [
        tiff(12, twelve_bits([0, 1365, 2730, 4095]), 4, photometric=0),
        tiff(16, struct.pack("<2h", 5, 300), 2, sample_format=2),
        tiff(32, struct.pack("<2I", 5, 2**31 + 5), 2),
        tiff(32, struct.pack("<2i", 5, 2**20), 2, sample_format=2),
        tiff(32, struct.pack("<2f", 0.0, float("nan")), 2, sample_format=3),
        tiff(64, struct.pack("<2d", 0.0, 1.0), 2, sample_format=3),
    ],
    ids=["12-bit white is zero", "signed 16", "unsigned 32", "signed 32", "nan", "double"],
)
def test_what_cannot_be_told_for_sure_is_a_sentence(data) -> None:
    with pytest.raises(InputError, match=r"\.$"):
        decode_image(data)


@pytest.mark.parametrize(
    ("depth", "row", "levels", "transparent"),
    [
        (1, bytes([0b01000000]), [0, 255], 0),
        (1, bytes([0b01000000]), [0, 255], 1),
        (2, bytes([0b00011011]), THIRDS, 1),
        (2, bytes([0b00011011]), THIRDS, 3),
        (4, bytes([0x05, 0xAF]), THIRDS, 5),
        (8, bytes(THIRDS), THIRDS, 85),
        (16, struct.pack(">4H", 0, 21845, 43690, 65535), THIRDS, 21845),
        (16, struct.pack(">4H", 0, 21845, 43690, 65535), THIRDS, 0),
    ],
)
def test_a_transparent_grey_level_is_white_in_every_depth(depth, row, levels, transparent) -> None:
    top = 2**depth - 1
    right = [255 if round(level * top / 255) == transparent else level for level in levels]
    assert decoded(png(depth, 0, [row], len(levels))) == [levels]
    assert decoded(png(depth, 0, [row], len(levels), tRNS=struct.pack(">H", transparent))) == [right]


def test_a_transparent_colour_is_white_or_a_sentence() -> None:
    row = bytes([10, 20, 30, 40, 50, 60])
    assert decoded(png(8, 2, [row], 2, tRNS=struct.pack(">3H", 10, 20, 30))) == [[[255, 255, 255], [40, 50, 60]]]
    deep = b"".join(struct.pack(">H", level * 257) for level in row)
    assert decoded(png(16, 2, [deep], 2)) == [[[10, 20, 30], [40, 50, 60]]]
    with pytest.raises(InputError, match="transparent colour of 16 bits"):
        decode_image(png(16, 2, [deep], 2, tRNS=struct.pack(">3H", 2570, 5140, 7710)))


@pytest.mark.parametrize("depth", [8, 16])
def test_grey_with_alpha_stays_grey(depth) -> None:
    code, scale = (">4B", 1) if depth == 8 else (">4H", 257)
    row = struct.pack(code, 90 * scale, 255 * scale, 90 * scale, 0)
    assert decoded(png(depth, 4, [row], 2)) == [[90, 255]]


@pytest.mark.parametrize("depth", [8, 16])
def test_colour_with_alpha_is_laid_over_white(depth) -> None:
    code, scale = (">8B", 1) if depth == 8 else (">8H", 257)
    levels = [200, 100, 0, 255, 200, 100, 0, 0]
    row = struct.pack(code, *(level * scale for level in levels))
    assert decoded(png(depth, 6, [row], 2)) == [[[200, 100, 0], [255, 255, 255]]]


GREY_AND_RED = bytes([10, 10, 10, 200, 200, 200, 255, 0, 0])


def test_a_palette_is_grey_where_every_colour_in_use_is() -> None:
    unused = png(8, 3, [bytes([0, 1, 0])], 3, PLTE=GREY_AND_RED)
    assert decoded(unused) == [[10, 200, 10]]
    used = png(8, 3, [bytes([0, 1, 2])], 3, PLTE=GREY_AND_RED)
    assert decoded(used) == [[[10, 10, 10], [200, 200, 200], [255, 0, 0]]]
    hidden = png(8, 3, [bytes([0, 1, 2])], 3, PLTE=GREY_AND_RED, tRNS=bytes([255, 255, 0]))
    assert decoded(hidden) == [[10, 200, 255]], "what is red is transparent: white"
    half = png(8, 3, [bytes([0, 1, 1])], 3, PLTE=GREY_AND_RED, tRNS=bytes([51, 255]))
    assert decoded(half) == [[round(10 * 0.2 + 255 * 0.8), 200, 200]]
    few = png(2, 3, [bytes([0b00010000])], 3, PLTE=GREY_AND_RED)
    assert decoded(few) == [[10, 200, 10]]


def test_grey_gifs_stay_grey() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (8, 8), dtype=np.uint8)
    np.testing.assert_array_equal(decoded(encode(Image.fromarray(noise), "GIF")), noise)
    np.testing.assert_array_equal(decoded(encode(Image.fromarray(noise).convert("P"), "PNG")), noise)


def test_colour_that_happens_to_be_grey_stays_colour() -> None:
    grey = np.full((2, 2, 3), 77, dtype=np.uint8)
    assert np.asarray(decode_image(encode(Image.fromarray(grey)))).shape == (2, 2, 3)


@pytest.mark.parametrize(("dtype", "scale"), [(np.uint8, 1), (np.uint16, 257)])
@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_colour_tiffs_or_a_sentence(dtype, scale, planar) -> None:
    colour = np.random.default_rng(1).integers(0, 256, (4, 5, 3)).astype(dtype)
    stored = (colour * scale).astype(dtype)
    buffer = io.BytesIO()
    laid = stored if planar == "contig" else stored.transpose(2, 0, 1)
    tifffile.imwrite(buffer, laid, photometric="rgb", planarconfig=planar)
    try:
        found = decode_image(buffer.getvalue())
    except InputError:
        assert (dtype, planar) == (np.uint16, "separate")
        return
    np.testing.assert_array_equal(np.asarray(found), colour)


def test_ycbcr_tiffs_without_compression() -> None:
    """Written by hand: luminance 128 and no colour difference is middle grey; the matrix is that of JPEG."""
    pixels = np.array([[[128, 128, 128], [76, 85, 255]]], dtype=np.uint8)
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, pixels, photometric="ycbcr", subsampling=(1, 1))
    found = np.asarray(decode_image(buffer.getvalue())).astype(int)
    np.testing.assert_allclose(found, [[[128, 128, 128], [254, 0, 0]]], atol=2)
    full = buffer.getvalue()
    with pytest.raises(InputError, match="subsampled YCbCr"):
        decode_image(full.replace(struct.pack("<HHIHH", 530, 3, 2, 1, 1), struct.pack("<HHIHH", 530, 3, 2, 2, 2)))


def test_lab_is_seen_as_its_colours() -> None:
    """The CIELAB coordinates of black, white, red, green and blue, with eight signed bits for a and b."""
    places = [(0, 0, 0), (255, 0, 0), (136, 80, 67), (224, -86, 83), (82, 79, -108)]
    body = b"".join(struct.pack("<Bbb", *place) for place in places)
    flat = tiff(8, body, 5, photometric=8)
    deep = flat.replace(struct.pack("<HHIHH", 277, 3, 1, 1, 0), struct.pack("<HHIHH", 277, 3, 1, 3, 0))
    three = deep.replace(struct.pack("<HHIHH", 258, 3, 1, 8, 0), struct.pack("<HHII", 258, 3, 3, len(deep)))
    three = three.replace(struct.pack("<HHIHH", 339, 3, 1, 1, 0), struct.pack("<HHII", 339, 3, 3, len(deep) + 6))
    found = np.asarray(decode_image(three + struct.pack("<6H", 8, 8, 8, 1, 1, 1))).astype(int)
    right = [[0, 0, 0], [255, 255, 255], [255, 0, 0], [0, 255, 0], [0, 0, 255]]
    assert np.abs(found[0, [0, 1, 2, 3]] - right[:4]).max() <= 12
    assert found[0, 4, 2] >= 240 and found[0, 4, 1] <= 12, "the primary lies outside the gamut of the white point"


@pytest.mark.parametrize("file_format", ["TIFF", "JPEG"])
def test_cmyk_is_seen_as_on_paper(file_format) -> None:
    inks = np.zeros((8, 8, 4), dtype=np.uint8)
    inks[..., 1] = inks[..., 2] = 255  # magenta and yellow make red
    found = np.asarray(decode_image(encode(Image.fromarray(inks, "CMYK"), file_format))).astype(int)
    assert np.abs(found - [255, 0, 0]).max() <= 4


@pytest.mark.parametrize("file_format", ["PNG", "TIFF", "JPEG", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_stands_upright(file_format, orientation) -> None:
    upright = np.zeros((16, 24), dtype=np.uint8)
    upright[:8, :8], upright[:8, 8:] = 250, 120
    stored = {
        1: lambda a: a,
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.T,
        6: lambda a: np.rot90(a),
        7: lambda a: a[::-1, ::-1].T,
        8: lambda a: np.rot90(a, -1),
    }[orientation](upright)
    exif = Image.Exif()
    exif[0x0112] = orientation
    lossless = {"lossless": True} if file_format == "WEBP" else {}
    data = encode(Image.fromarray(np.ascontiguousarray(stored)), file_format, exif=exif, **lossless)
    found = np.asarray(decode_image(data).convert("L")).astype(int)
    np.testing.assert_allclose(found, upright, atol=4)


@pytest.mark.parametrize("rows", [1, 2])
def test_a_tiff_that_lists_too_few_strips_is_refused_and_not_filled_with_black(rows: int) -> None:
    """Pillow writes one strip; a directory that says that it holds fewer rows leaves the others to nobody."""
    data = bytearray(encode(Image.fromarray(np.full((3, 4), 200, dtype=np.uint8)), "TIFF"))
    assert np.asarray(decode_image(bytes(data))).tolist() == [[200] * 4] * 3
    place = next(at for at in range(len(data)) if data[at : at + 2] == struct.pack("<H", 278))
    kind, count = struct.unpack_from("<HI", data, place + 2)
    assert count == 1
    struct.pack_into("<H" if kind == 3 else "<I", data, place + 8, rows)
    with pytest.raises(InputError, match=rf"damaged: it lists 1 of the {-(-3 // rows)} strips or tiles"):
        decode_image(bytes(data))
