"""Files from strangers: exact where they are right, one sentence where they are not."""

from __future__ import annotations

import io
import struct
import zlib
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from PIL import Image

from telltale.base.errors import InputError
from telltale.base.images import to_bytes, to_floats
from telltale.data import photographs, uploads
from telltale.data.limits import LIMITS

# Pillow remarks on damaged metadata and on sizes that are refused here anyway.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::PIL.Image.DecompressionBombWarning")

LOSSLESS = ["PNG", "BMP", "TIFF", "GIF", "WEBP"]


def encode(image: Image.Image, file_format: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format=file_format, **({"lossless": True} if file_format == "WEBP" else {}), **options)
    return buffer.getvalue()


def noise(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


pixels = npst.arrays(np.uint8, st.tuples(st.sampled_from([1, 3]), st.integers(1, 12), st.integers(1, 12)))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pixels, st.integers(1, 3))
def test_png_round_trip_is_exact(tmp_path, image, scale) -> None:
    data = uploads.png_bytes(to_floats(image), scale)
    (tmp_path / "a.png").write_bytes(data)
    enlarged = np.kron(image, np.ones((1, scale, scale), dtype=np.uint8))
    loaded = uploads.load_image_file(tmp_path / "a.png", enlarged.shape)
    assert loaded.dtype == np.float32
    np.testing.assert_array_equal(loaded, to_floats(enlarged))
    np.testing.assert_array_equal(uploads.to_model_input(uploads.decode_image(data), enlarged.shape), loaded)


@pytest.mark.parametrize("file_format", LOSSLESS)
def test_every_lossless_format_gives_the_same_pixels(file_format) -> None:
    grey = noise((9, 7))
    decoded = uploads.decode_image(encode(Image.fromarray(grey), file_format))
    np.testing.assert_array_equal(uploads.to_model_input(decoded, (1, 9, 7)), to_floats(grey[None]))


def test_jpeg_is_close() -> None:
    smooth = np.add.outer(np.arange(32), np.arange(32)).astype(np.uint8) * 4
    decoded = uploads.to_model_input(uploads.decode_image(encode(Image.fromarray(smooth), "JPEG")), (1, 32, 32))
    assert np.abs(to_bytes(decoded)[0].astype(int) - smooth).max() < 12


@settings(max_examples=300, deadline=None)
@given(
    st.binary(max_size=400), st.sampled_from([b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF89a", b"BM", b"II*\0"])
)
def test_random_bytes_give_an_image_or_one_sentence(data, magic) -> None:
    try:
        assert uploads.decode_image(magic + data).mode in ("L", "RGB")
    except InputError as error:
        assert "\n" not in str(error)


SEEDS = [
    encode(Image.fromarray(noise((6, 5, 3))), name, **options)
    for name, options in [("PNG", {}), ("JPEG", {}), ("WEBP", {}), ("BMP", {}), ("TIFF", {"compression": "tiff_lzw"})]
] + [encode(Image.fromarray(noise((6, 5))).convert("P"), "GIF")]


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(SEEDS), st.data())
def test_damaged_files_give_an_image_or_one_sentence(seed, data) -> None:
    changed = bytearray(seed)
    for _ in range(data.draw(st.integers(1, 4))):
        changed[data.draw(st.integers(0, len(seed) - 1))] = data.draw(st.integers(0, 255))
    end = data.draw(st.integers(0, len(seed)))
    try:
        assert uploads.decode_image(bytes(changed[:end])).mode in ("L", "RGB")
    except InputError as error:
        assert "\n" not in str(error)


@pytest.mark.parametrize("seed", SEEDS, ids=["png", "jpeg", "webp", "bmp", "tiff", "gif"])
def test_truncated_files_are_refused(seed) -> None:
    with pytest.raises(InputError, match=r"truncated or damaged|not a readable image"):
        uploads.decode_image(seed[: len(seed) // 2])


def png_header(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")


@pytest.mark.parametrize("side", [6_400, 12_000, 60_000])
def test_decompression_bombs_are_refused_before_a_pixel_is_decoded(side, monkeypatch) -> None:
    monkeypatch.setattr(Image.Image, "load", lambda _: pytest.fail("decoded"))
    with pytest.raises(InputError, match="at most 40 million"):
        uploads.decode_image(png_header(side, side))


def test_files_over_ten_megabytes_are_refused(tmp_path) -> None:
    with pytest.raises(InputError, match="at most 10 MB"):
        uploads.decode_image(bytes(LIMITS.bytes + 1))
    (tmp_path / "big.png").write_bytes(bytes(LIMITS.bytes + 1))
    with pytest.raises(InputError, match="at most 10 MB"):
        uploads.load_image_file(tmp_path / "big.png", (1, 8, 8))


def test_exif_orientation_is_applied() -> None:
    upright = noise((8, 16))
    rotated = Image.fromarray(np.rot90(upright))
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: show it rotated 90 degrees clockwise
    decoded = uploads.decode_image(encode(rotated, "PNG", exif=exif))
    np.testing.assert_array_equal(np.asarray(decoded), upright)


def test_transparency_is_laid_over_white() -> None:
    rgba = noise((5, 4, 4))
    decoded = np.asarray(uploads.decode_image(encode(Image.fromarray(rgba, "RGBA"))), dtype=float)
    alpha = rgba[..., 3:] / 255
    np.testing.assert_allclose(decoded, rgba[..., :3] * alpha + 255 * (1 - alpha), atol=1)
    grey = Image.merge("LA", [Image.new("L", (2, 2), 10), Image.new("L", (2, 2), 0)])
    assert uploads.decode_image(encode(grey)).mode == "L"
    assert np.asarray(uploads.decode_image(encode(grey))).min() == 255


def test_a_transparent_palette_entry_is_white() -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([200, 0, 0, 0, 0, 200])
    image.putpixel((1, 0), 1)
    decoded = np.asarray(uploads.decode_image(encode(image, transparency=0)))
    assert decoded.tolist() == [[[255, 255, 255], [0, 0, 200]]]


def test_sixteen_bit_grey_is_scaled_by_its_depth() -> None:
    deep = np.array([[0, 128, 257, 32_768, 65_535]], dtype=np.uint16)
    decoded = np.asarray(uploads.decode_image(encode(Image.fromarray(deep))))
    np.testing.assert_array_equal(decoded, np.rint(deep / 257).astype(np.uint8))
    dark = np.full((2, 2), 257 * 3, dtype=np.uint16)
    assert (np.asarray(uploads.decode_image(encode(Image.fromarray(dark), "TIFF"))) == 3).all()


def test_other_modes_become_grey_or_colour() -> None:
    red = Image.new("RGB", (3, 2), (255, 0, 0))
    cmyk = np.asarray(uploads.decode_image(encode(red.convert("CMYK"), "TIFF")))
    assert np.abs(cmyk.astype(int) - [255, 0, 0]).max() <= 2
    assert np.asarray(uploads.decode_image(encode(Image.new("1", (2, 2), 1)))).tolist() == [[255, 255]] * 2
    floats = Image.fromarray(np.array([[0.0, 0.5, 1.0]], dtype=np.float32))
    assert np.asarray(uploads.decode_image(encode(floats, "TIFF"))).tolist() == [[0, 128, 255]]
    for bad in (-1.0, float("nan"), 300.0):
        with pytest.raises(InputError, match=r"pixels|hold values"):
            uploads.to_grey_or_colour(Image.fromarray(np.array([[0.0, bad]], dtype=np.float32)))


def test_the_first_frame_of_an_animation_is_taken() -> None:
    frames = [Image.new("L", (3, 3), level) for level in (10, 200)]
    data = encode(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert (np.asarray(uploads.decode_image(data).convert("L")) == 10).all()


def test_nothing_is_stretched_and_the_centre_is_kept() -> None:
    wide = np.zeros((20, 60), dtype=np.uint8)
    wide[:, 20:40] = 200
    assert (to_bytes(uploads.to_model_input(Image.fromarray(wide), (1, 10, 10))) == 200).all()
    assert (to_bytes(uploads.to_model_input(Image.fromarray(wide.T.copy()), (1, 10, 10))) == 200).all()


def test_a_crop_box_is_taken_and_checked() -> None:
    image = noise((20, 30))
    cropped = uploads.to_model_input(Image.fromarray(image), (1, 8, 8), crop=(3, 5, 11, 13))
    np.testing.assert_array_equal(to_bytes(cropped)[0], image[5:13, 3:11])
    for bad in [(0, 0, 31, 5), (5, 5, 5, 9), (-1, 0, 4, 4), (0, 0, float("nan"), 4)]:
        with pytest.raises(InputError, match="crop box"):
            uploads.to_model_input(Image.fromarray(image), (1, 8, 8), crop=bad)


def interval(size: int) -> st.SearchStrategy[tuple[float, float]]:
    ends = st.tuples(st.floats(0, size), st.floats(0, size))
    return ends.filter(lambda t: t[0] != t[1]).map(lambda t: (min(t), max(t)))


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_any_crop_of_any_image_fits_any_shape(data) -> None:
    width, height, across, down = (data.draw(st.integers(1, 40)) for _ in range(4))
    left, right = data.draw(interval(width))
    top, bottom = data.draw(interval(height))
    flat = Image.new("L", (width, height), 77)
    fitted = uploads.to_model_input(flat, (1, down, across), crop=(left, top, right, bottom))
    assert fitted.shape == (1, down, across)
    assert (to_bytes(fitted) == 77).all()


def test_shrinking_averages_instead_of_skipping() -> None:
    stripes = np.tile(np.array([0, 255], dtype=np.uint8), (64, 32))
    small = to_bytes(uploads.to_model_input(Image.fromarray(stripes), (1, 8, 8)))[0, :, 1:-1]
    assert np.abs(small.astype(int) - 128).max() <= 4


def test_colour_becomes_luminance_grey_becomes_three_equal_channels_and_invert_inverts() -> None:
    rgb, grey = noise((4, 4, 3)), noise((4, 4))
    as_grey = to_bytes(uploads.to_model_input(Image.fromarray(rgb), (1, 4, 4)))[0]
    np.testing.assert_allclose(as_grey, rgb @ [0.299, 0.587, 0.114], atol=1)
    as_colour = to_bytes(uploads.to_model_input(Image.fromarray(grey), (3, 4, 4)))
    np.testing.assert_array_equal(as_colour, np.stack([grey] * 3))
    np.testing.assert_array_equal(
        to_bytes(uploads.to_model_input(Image.fromarray(grey), (1, 4, 4), invert=True))[0], 255 - grey
    )


@pytest.mark.parametrize(
    ("image", "got"),
    [
        (Image.new("L", (31, 32)), "31×32 greyscale"),
        (Image.new("RGB", (32, 32)), "32×32 RGB"),
        (Image.new("RGBA", (32, 32)), "32×32 RGB with transparency"),
        (Image.new("P", (32, 32)), "32×32 palette"),
        (Image.new("I;16", (32, 32)), "32×32 16-bit greyscale"),
        (Image.new("1", (32, 32)), "32×32 black and white"),
    ],
)
def test_the_wrong_size_or_mode_is_named_and_fitted_only_on_request(tmp_path, image, got) -> None:
    (tmp_path / "a.png").write_bytes(encode(image))
    with pytest.raises(InputError, match=f"expected 32×32 greyscale, got {got}\\."):
        uploads.load_image_file(tmp_path / "a.png", (1, 32, 32))
    assert uploads.load_image_file(tmp_path / "a.png", (1, 32, 32), strict=False).shape == (1, 32, 32)


def test_a_transparent_grey_level_is_not_taken_for_plain_grey(tmp_path) -> None:
    (tmp_path / "a.png").write_bytes(encode(Image.new("L", (32, 32)), transparency=0))
    with pytest.raises(InputError, match="got 32×32 greyscale with transparency"):
        uploads.load_image_file(tmp_path / "a.png", (1, 32, 32))


def test_paths_that_are_no_image_files_are_named(tmp_path) -> None:
    (tmp_path / "a.png").write_text("hello")
    for path, sentence in [
        (tmp_path / "none.png", "There is no file"),
        (tmp_path, "is a folder"),
        (tmp_path / "a.png", "not a readable image"),
        (tmp_path / ("a" * 300), "cannot be read: File name too long"),
    ]:
        with pytest.raises(InputError, match=sentence):
            uploads.load_image_file(path, (1, 8, 8))


def test_what_cannot_be_a_png_is_refused() -> None:
    for bad in (np.zeros((2, 4, 4)), np.zeros((4, 4)), np.full((1, 2, 2), 1.5), np.full((1, 2, 2), np.nan)):
        with pytest.raises(InputError):
            uploads.png_bytes(bad.astype(np.float32))
    with pytest.raises(InputError, match="scale"):
        uploads.png_bytes(np.zeros((1, 2, 2), dtype=np.float32), 0)


@settings(max_examples=200, deadline=None)
@given(
    st.tuples(st.integers(1, 60), st.integers(1, 60)), st.integers(-80, 80), st.integers(-80, 80), st.integers(-5, 90)
)
def test_a_square_is_brought_inside_and_left_alone_where_it_fits(size, left, top, side) -> None:
    square = uploads.Square(left, top, side).within(size)
    smallest = min(uploads.SMALLEST_SQUARE, *size)
    assert smallest <= square.side <= min(size)
    assert 0 <= square.left <= size[0] - square.side
    assert 0 <= square.top <= size[1] - square.side
    fits = smallest <= side <= min(size) and 0 <= left <= size[0] - side and 0 <= top <= size[1] - side
    assert (square == uploads.Square(left, top, side)) == fits
    assert square.within(size) == square


def test_a_square_keeps_its_centre_when_it_grows() -> None:
    square = uploads.Square(10, 20, 40)
    for side in (20, 40, 60):
        resized = square.resized(side)
        assert (resized.left + side / 2, resized.top + side / 2, resized.side) == (30, 40, side)
    assert uploads.Square.centred((30, 50)) == uploads.Square(0, 10, 30)


def test_only_the_pixels_of_the_square_reach_the_model() -> None:
    pixels = np.zeros((90, 120, 3), dtype=np.uint8)
    pixels[10:74, 30:94] = (200, 40, 90)
    image = uploads.to_model_input(Image.fromarray(pixels), (3, 32, 32), crop=uploads.Square(30, 10, 64).box)
    assert (to_bytes(image) == np.array([200, 40, 90])[:, None, None]).all()


def test_reducing_a_square_does_not_alias() -> None:
    """Stripes finer than the small image can hold must become their mean, as averaging over areas shows."""
    fine = np.tile(np.array([[0, 255]], dtype=np.uint8), (256, 128))
    image = uploads.to_model_input(Image.fromarray(fine), (1, 32, 32))
    assert abs(float(image.mean()) - 0.5) < 0.01
    assert float(image[:, 2:-2, 2:-2].std()) < 0.01


def test_a_preview_keeps_proportions_and_what_is_small() -> None:
    assert uploads.preview(Image.new("RGB", (400, 200), (200, 200, 200)), 100).shape == (3, 50, 100)
    assert uploads.preview(Image.new("L", (40, 20), 200), 100).shape == (3, 20, 40)


@pytest.mark.parametrize("photograph", photographs.PHOTOGRAPHS, ids=lambda photograph: photograph.name)
def test_the_photographs_come_along_and_their_squares_lie_inside(photograph) -> None:
    picture = photographs.open_photograph(photograph)
    assert photograph.square.within(picture.size) == photograph.square
    assert photographs.photograph_for(photograph, (3, 32, 32)).shape == (3, 32, 32)
    assert photograph.name.isalpha() and photograph.name.islower()
    assert photographs.find_photograph(photograph.name) == photograph


def test_chelsea_is_the_picture_that_scikit_image_shows() -> None:
    from skimage import data

    chelsea = photographs.find_photograph("chelsea")
    assert chelsea is not None
    np.testing.assert_array_equal(np.asarray(photographs.open_photograph(chelsea)), data.chelsea())


def test_a_photograph_that_is_not_there_is_not_offered(monkeypatch) -> None:
    lost = replace(photographs.PHOTOGRAPHS[0], file="lost.png")
    monkeypatch.setattr(photographs, "PHOTOGRAPHS", (lost, *photographs.PHOTOGRAPHS[1:]))
    assert photographs.photographs() == photographs.PHOTOGRAPHS[1:]
    with pytest.raises(InputError, match="not on this machine"):
        photographs.open_photograph(lost)
