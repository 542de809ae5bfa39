"""What a picture may cost: limits that are looked up in the file before anything is decoded."""

from __future__ import annotations

import io
import itertools
import struct
import time

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageFile

from support import hostile
from telltale.base.errors import InputError
from telltale.data import bands
from telltale.data.limits import LIMITS
from telltale.data.structure import Structure
from telltale.data.uploads import decode_image

# Pillow remarks on sizes that are refused here anyway.
pytestmark = pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning", "ignore::UserWarning")


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (hostile.png_of(30_000, 30_000, b""), "at most 40 million are accepted, and 20,000 across and down"),
        (hostile.png_of(6_400, 6_400, b""), "The image has 6400×6400 pixels; at most 40 million"),
        (hostile.png_of(1, 40_000_000, b""), "1×40000000 pixels; at most 20,000 are accepted across and down"),
        (hostile.png_of(20_001, 1, b""), "20001×1 pixels; at most 20,000 are accepted across and down"),
        (hostile.jpeg_of_scans(16, 65), "more than 64 scans"),
        (hostile.tiff_of_strips(1, 20_001), "more than 20,000 strips or tiles"),
        (hostile.tiff_of_pages(1_001), "more than 1,000 frames"),
        (hostile.gif_of_frames(1_001), "more than 1,000 frames"),
        (hostile.apng_of_frames(1_001), "more than 1,000 frames"),
    ],
    ids=["bomb", "pixels", "high", "wide", "scans", "strips", "pages", "gif", "apng"],
)
def test_what_is_beyond_a_limit_is_refused_by_it_before_a_pixel_is_decoded(data, sentence, monkeypatch) -> None:
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda _: pytest.fail("decoded"))
    with pytest.raises(InputError, match=sentence):
        decode_image(data)


@pytest.mark.parametrize(
    ("data", "size"),
    [
        (hostile.flat_png(1, 20_000), (1, 20_000)),
        (hostile.flat_png(20_000, 1), (20_000, 1)),
        (hostile.jpeg_of_scans(16, 64), (16, 16)),
        (hostile.tiff_of_strips(1, 20_000), (1, 20_000)),
        (hostile.tiff_of_pages(1_000), (1, 1)),
        (hostile.gif_of_frames(1_000), (1, 1)),
        (hostile.apng_of_frames(999), (1, 1)),  # and the picture for readers that show no animations
    ],
    ids=["high", "wide", "scans", "strips", "pages", "gif", "apng"],
)
def test_what_is_just_within_a_limit_is_decoded(data, size) -> None:
    assert decode_image(data).size == size


def test_files_of_many_pieces_are_refused_before_they_are_opened(monkeypatch) -> None:
    """To open a TIFF of a million strips takes seconds: its list is gone through one by one."""
    data = [hostile.tiff_of_strips(1, 1_000_000), hostile.gif_of_frames(500_000), hostile.jpeg_of_scans(500, 20_000)]
    monkeypatch.setattr(Image, "open", lambda *_, **__: pytest.fail("opened"))
    start = time.process_time()
    for one in data:
        with pytest.raises(InputError, match="more than"):
            decode_image(one)
    assert time.process_time() - start < 1.0


def pages_of(file: io.BytesIO) -> list[tifffile.TiffPage]:
    """The pages of a TIFF as another library finds them."""
    file.seek(0)
    return list(tifffile.TiffFile(file).pages)


@pytest.mark.parametrize("count", [1, 2, 7])
def test_frames_are_those_that_pillow_counts(count) -> None:
    rng = np.random.default_rng(count)
    frames = [
        Image.fromarray(rng.integers(0, 256, (40, 30, 3), dtype=np.uint8)).quantize(1 + 30 * n) for n in range(count)
    ]
    gif = io.BytesIO()
    frames[0].save(gif, "GIF", save_all=True, append_images=frames[1:], loop=0, comment=b"a comment")
    assert Structure.of(gif.getvalue(), 1000).frames == Image.open(gif).n_frames
    assert Image.open(gif).n_frames == count
    for big in (False, True):
        for order in "<>":
            tiff = io.BytesIO()
            with tifffile.TiffWriter(tiff, bigtiff=big, byteorder=order) as writer:
                for _ in range(count):
                    writer.write(np.zeros((40, 30), np.uint8), rowsperstrip=7, contiguous=False)
            assert Structure.of(tiff.getvalue(), 1000).frames == len(pages_of(tiff)) == count
            assert Structure.of(tiff.getvalue(), 1000).strips == len(pages_of(tiff)[0].dataoffsets) == 6


def test_tiles_are_counted_as_they_are_listed_and_as_the_size_needs_them() -> None:
    tiff = io.BytesIO()
    tifffile.imwrite(tiff, np.zeros((100, 70, 3), np.uint8), tile=(16, 32), photometric="rgb")
    assert Structure.of(tiff.getvalue(), 10).strips == len(pages_of(tiff)[0].dataoffsets) == 7 * 3
    apart = io.BytesIO()
    tifffile.imwrite(apart, np.zeros((3, 100, 70), np.uint8), tile=(16, 32), photometric="rgb", planarconfig="separate")
    assert Structure.of(apart.getvalue(), 10).strips == len(pages_of(apart)[0].dataoffsets) == 7 * 3 * 3
    rows = io.BytesIO()
    tifffile.imwrite(rows, np.zeros((3, 40, 5), np.uint8), rowsperstrip=1, photometric="rgb", planarconfig="separate")
    data = rows.getvalue()
    for kind in (3, 4):  # however wide the numbers of the list are
        data = data.replace(struct.pack("<HHI", 273, kind, 120), struct.pack("<HHI", 273, kind, 1))
    assert data != rows.getvalue()
    assert Structure.of(data, 10).strips == 3 * 40  # of each plane, though only one strip is listed
    few = hostile.tiff_of_strips(4, 1).replace(
        struct.pack("<HHII", 257, 4, 1, 1), struct.pack("<HHII", 257, 4, 1, 5_000)
    )
    assert Structure.of(few, 10).strips == 5_000  # of one row each, though only one is listed


def test_a_directory_that_leads_back_to_itself_is_not_followed_for_ever() -> None:
    data = hostile.tiff_of_pages(2)
    circling = data[:-4] + struct.pack("<I", 10)
    with pytest.raises(InputError, match="more than 1,000 frames"):
        decode_image(circling)


@pytest.mark.parametrize(("mode", "scans"), [("RGB", 10), ("L", 6)])
def test_scans_are_those_of_the_usual_progressive_script(mode, scans) -> None:
    """libjpeg's standard script has 10 scans in colour and 6 in grey (``jpeg_simple_progression``)."""
    noise = np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8)
    picture = Image.fromarray(noise).convert(mode)
    thumbnail = hostile.encoded(picture.resize((8, 8)), "JPEG")
    assert hostile.JPEG_SCAN in thumbnail
    exif = b"Exif\0\0a picture within a picture: " + thumbnail
    for options in ({}, {"exif": exif}):
        assert Structure.of(hostile.encoded(picture, "JPEG", progressive=True, **options), 100).scans == scans
        assert Structure.of(hostile.encoded(picture, "JPEG", **options), 100).scans == 1


def test_markers_that_stand_alone_hide_no_scans() -> None:
    data = hostile.jpeg_of_scans(16, 70)
    first = data.index(hostile.JPEG_SCAN)
    assert Structure.of(data[:first] + b"\xff\x01" + data[first:], 100).scans == 70


def large(channels: int, dtype: type = np.uint8) -> np.ndarray:
    """More pixels than a band has, in rows that no band ends with."""
    shape = (613, 601, channels) if channels > 1 else (613, 601)
    assert shape[0] * shape[1] > bands.PIXELS_AT_ONCE
    return np.random.default_rng(0).integers(0, np.iinfo(dtype).max + 1, shape, dtype=dtype)


def test_bands_are_the_whole_picture_once() -> None:
    for size in ((1, 1), (601, 613), (20_000, 3), (3, 20_000), (300_000, 2)):
        seen = list(bands.bands(size))
        assert seen[0][1] == 0 and seen[-1][3] == size[1]
        assert all(above[3] == below[1] for above, below in itertools.pairwise(seen))
        assert all((left, right) == (0, size[0]) for left, _, right, _ in seen)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "CMYK", "1", "I;16", "P", "PA-like"])
def test_pictures_of_many_bands_have_the_right_pixels(mode) -> None:
    if mode == "RGBA":
        rgba = large(4)
        found, alpha = decode_image(hostile.encoded(Image.fromarray(rgba), "PNG")), rgba[..., 3:] / 255
        right = rgba[..., :3] * alpha + 255 * (1 - alpha)
    elif mode == "LA":
        la = large(2)
        picture = Image.merge("LA", [Image.fromarray(la[..., n].copy()) for n in (0, 1)])
        found, alpha = decode_image(hostile.encoded(picture, "PNG")), la[..., 1] / 255
        right = la[..., 0] * alpha + 255 * (1 - alpha)
    elif mode == "CMYK":
        inks = large(4)
        found = decode_image(hostile.encoded(Image.fromarray(inks, "CMYK"), "TIFF"))
        right = (255 - inks[..., :3].astype(float)) * (255 - inks[..., 3:].astype(float)) / 255
    elif mode == "1":
        bits = large(1) > 127
        found, right = decode_image(hostile.encoded(Image.fromarray(bits), "PNG")), bits * 255.0
    elif mode == "I;16":
        deep = large(1, np.uint16)
        found, right = decode_image(hostile.encoded(Image.fromarray(deep), "PNG")), np.rint(deep / 257)
    else:
        indices, palette = large(1), np.random.default_rng(1).integers(0, 256, (256, 3), dtype=np.uint8)
        picture = Image.fromarray(indices, "P")
        picture.putpalette(palette.tobytes())
        alpha = np.arange(256)[:, None] / 255 if mode == "PA-like" else np.ones((256, 1))
        options = {"transparency": bytes(range(256))} if mode == "PA-like" else {}
        found = decode_image(hostile.encoded(picture, "PNG", **options))
        right = (palette * alpha + 255 * (1 - alpha))[indices]
    off = np.abs(np.asarray(found, dtype=float) - right)
    assert off.shape == right.shape
    assert off.max() <= 1.0


def test_the_table_is_what_the_documents_say() -> None:
    assert (LIMITS.bytes, LIMITS.pixels, LIMITS.side) == (10 * 2**20, 40_000_000, 20_000)
    assert (LIMITS.frames, LIMITS.strips, LIMITS.scans) == (1_000, 20_000, 64)
    assert (LIMITS.processor_seconds, LIMITS.seconds, LIMITS.memory) == (2.0, 2.5, 768 * 2**20)
