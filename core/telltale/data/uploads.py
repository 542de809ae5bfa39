"""Image files from people: decoded with limits, brought to the classifier's shape, and written back exactly."""

from __future__ import annotations

import base64
import io
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

from telltale.base.errors import InputError
from telltale.base.images import FloatImages, to_bytes, to_floats
from telltale.data.opening import open_picture, read_bytes
from telltale.data.picture_modes import to_grey_or_colour

Shape: TypeAlias = tuple[int, int, int]
CropBox: TypeAlias = tuple[float, float, float, float]

SMALLEST_SQUARE = 8
USUAL_COMPRESSION, QUICK_COMPRESSION = 6, 1

_MODE_WORDS = {"L": "greyscale", "RGB": "RGB", "LA": "greyscale with transparency", "RGBA": "RGB with transparency"}
_MODE_WORDS |= {"1": "black and white", "P": "palette", "CMYK": "CMYK", "I;16": "16-bit greyscale"}


@dataclass(frozen=True)
class Square:
    """A square part of a picture, in whole pixels.

    Attributes
    ----------
    left, top : int
        Distance of its upper left corner from the picture's.
    side : int
    """

    left: int
    top: int
    side: int

    @property
    def box(self) -> CropBox:
        """Left, top, right and bottom, as `to_model_input` takes them."""
        return (self.left, self.top, self.left + self.side, self.top + self.side)

    @classmethod
    def centred(cls, size: tuple[int, int]) -> Square:
        """Return the largest centred square of a picture of this width and height."""
        side = min(size)
        return cls((size[0] - side) // 2, (size[1] - side) // 2, side)

    @classmethod
    def nearest(cls, box: CropBox, size: tuple[int, int]) -> Square:
        """Return the square around a box's centre with its shorter side, in a picture of this width and height."""
        left, top, right, bottom = box
        side = round(min(right - left, bottom - top))
        return cls(round((left + right - side) / 2), round((top + bottom - side) / 2), side).within(size)

    def resized(self, side: int) -> Square:
        """Return the square of another side around the same centre."""
        shift = (self.side - side) // 2
        return Square(self.left + shift, self.top + shift, side)

    def within(self, size: tuple[int, int]) -> Square:
        """Return the nearest square that lies inside a picture of this width and height."""
        side = min(max(self.side, min(SMALLEST_SQUARE, *size)), *size)
        left, top = min(max(self.left, 0), size[0] - side), min(max(self.top, 0), size[1] - side)
        return Square(left, top, side)


def decode_image(data: bytes) -> Image.Image:
    """Decode an untrusted image file.

    The first frame is taken, the EXIF orientation applied, transparency laid over white, and palettes, CMYK and
    deep grey levels brought to 8 bits; see `telltale.data.picture_modes`. Uploads and data sets are decoded by this.

    Parameters
    ----------
    data : bytes
        PNG, JPEG, WebP, BMP, GIF or TIFF within `telltale.data.limits.LIMITS`.

    Returns
    -------
    PIL.Image.Image
        Of mode ``"L"`` or ``"RGB"``.

    Raises
    ------
    InputError
        If it is beyond a limit, of another format, truncated or damaged, or its pixels cannot be told for sure.
    """
    return to_grey_or_colour(*open_picture(data))


def to_model_input(image: Image.Image, shape: Shape, invert: bool = False, crop: CropBox | None = None) -> FloatImages:
    """Fit an image to a classifier: crop, resize with anti-aliasing, reduce to grey where it has one channel.

    Parameters
    ----------
    image : PIL.Image.Image
        As returned by `decode_image`.
    shape : tuple of int
        (C, H, W) with C 1 or 3.
    invert : bool
        Exchange black and white, for dark ink on light paper where the classifier learned the opposite.
    crop : tuple of float, optional
        (left, top, right, bottom) in pixels; the whole image by default. The largest centred part of it with the
        aspect ratio of `shape`, to the pixel, is used, so nothing is stretched.

    Returns
    -------
    array of float32, shape (C, H, W)
        In [0, 1], on the 8-bit grid. An image that already has this size is kept exactly.

    Raises
    ------
    InputError
        If the crop box is empty or leaves the image.
    """
    channels, height, width = _check_shape(shape)
    box = fit_aspect(_check_crop(crop, image.size), width, height)
    # Cropped first: resizing within a box would let pixels from outside it bleed in.
    part = _in_mode(to_grey_or_colour(image).crop(box), "L" if channels == 1 else "RGB")
    small = part.resize((width, height), Image.Resampling.LANCZOS)
    pixels = _to_array(small)
    return to_floats(255 - pixels if invert else pixels)


def preview(image: Image.Image, longest_side: int) -> FloatImages:
    """Return a picture small enough to look at, shape (3, H, W), its proportions kept.

    Parameters
    ----------
    image : PIL.Image.Image
    longest_side : int
        Larger pictures are reduced to it; smaller ones stay as they are.
    """
    small = to_grey_or_colour(image)
    small = small.copy() if small is image else small
    small.thumbnail((longest_side, longest_side), Image.Resampling.LANCZOS)
    return to_floats(_to_array(_in_mode(small, "RGB")))


def mostly_light(image: FloatImages) -> bool:
    """Return whether an image, shape (C, H, W), values in [0, 1], is lighter than middle grey on average."""
    return float(image.mean()) > 0.5


def load_image_file(path: str | Path, shape: Shape, strict: bool = True) -> FloatImages:
    """Read an image file for a classifier.

    Parameters
    ----------
    path : str or Path
    shape : tuple of int
        (C, H, W) with C 1 or 3.
    strict : bool
        Accept only an image of exactly this size and mode, and use it bit for bit. Otherwise fit it with
        `to_model_input`.

    Returns
    -------
    array of float32, shape (C, H, W)
        In [0, 1], on the 8-bit grid.

    Raises
    ------
    InputError
        If the file is missing, too large, not an image, damaged, or, where strict, of another size or mode.
    """
    channels, height, width = _check_shape(shape)
    image, storage = open_picture(read_bytes(Path(path)))
    if not strict:
        return to_model_input(to_grey_or_colour(image, storage), shape)
    mode = "L" if channels == 1 else "RGB"
    if image.size != (width, height) or image.mode != mode or image.has_transparency_data:
        raise InputError(
            f"'{path}' has the wrong size or mode: expected {width}×{height} {_MODE_WORDS[mode]}, "
            f"got {image.width}×{image.height} {_describe_mode(image)}."
        )
    return to_floats(_to_array(image))


def png_address(png: bytes) -> str:
    """Return a PNG file as a data URI, which a page or figure carries in place of an address."""
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def png_bytes(image: FloatImages, scale: int = 1, compression: int = USUAL_COMPRESSION) -> bytes:
    """Encode an image as PNG without loss on the 8-bit grid.

    Parameters
    ----------
    image : array of float32, shape (C, H, W)
        In [0, 1], C 1 or 3.
    scale : int
        Every pixel becomes a square of this side.
    compression : int
        From 0 to 9, zlib's levels; `QUICK_COMPRESSION` takes a fifth of the usual time and a tenth more bytes.

    Raises
    ------
    InputError
        If the shape or a value is not an image's, or the scale is below 1.
    """
    if scale < 1:
        raise InputError(f"The scale must be an integer of at least 1; got {scale}.")
    return _file(_pixels(image).repeat(scale, axis=1).repeat(scale, axis=2), "PNG", compress_level=compression)


def jpeg_bytes(image: FloatImages, quality: int) -> bytes:
    """Encode an image as JPEG, which changes pixels; colours at half the resolution, as cameras do.

    Parameters
    ----------
    image : array of float32, shape (C, H, W)
        In [0, 1], C 1 or 3.
    quality : int
        From 1 to 95, in the scale of the Independent JPEG Group.

    Raises
    ------
    InputError
        If the shape or a value is not an image's, or the quality is not one.
    """
    if not 1 <= quality <= 95:
        raise InputError(f"The quality must be an integer from 1 to 95; got {quality}.")
    return _file(_pixels(image), "JPEG", quality=quality, subsampling="4:2:0")


def _pixels(image: FloatImages) -> npt.NDArray[np.uint8]:
    """Return the 8-bit pixels of an image, shape (C, H, W)."""
    if image.ndim != 3:
        raise InputError(f"An image has shape (C, H, W); got {image.shape}.")
    _check_shape(image.shape)
    return to_bytes(image)


def _file(pixels: npt.NDArray[np.uint8], kind: str, **options: object) -> bytes:
    picture = Image.fromarray(pixels[0] if len(pixels) == 1 else np.ascontiguousarray(pixels.transpose(1, 2, 0)))
    buffer = io.BytesIO()
    picture.save(buffer, format=kind, **options)
    return buffer.getvalue()


def _check_shape(shape: tuple[int, ...]) -> Shape:
    if len(shape) != 3 or shape[0] not in (1, 3) or min(shape) < 1:
        raise InputError(f"Images have shape (C, H, W) with 1 or 3 channels; got {tuple(shape)}.")
    return shape


def _check_crop(crop: CropBox | None, size: tuple[int, int]) -> CropBox:
    if crop is None:
        return (0.0, 0.0, float(size[0]), float(size[1]))
    left, top, right, bottom = crop
    if not (0 <= left < right <= size[0] and 0 <= top < bottom <= size[1]):
        raise InputError(f"The crop box {crop} must be non-empty and inside the {size[0]}×{size[1]} image.")
    return crop


def fit_aspect(box: CropBox, across: int, down: int) -> tuple[int, int, int, int]:
    """Return the largest centred part of a box with the aspect ratio across : down, in whole pixels."""
    left, top, right, bottom = box
    width, height = right - left, bottom - top
    if width * down > height * across:
        margin = (width - height * across / down) / 2
        left, right = left + margin, right - margin
    else:
        margin = (height - width * down / across) / 2
        top, bottom = top + margin, bottom - margin
    first_column, last_column = _whole_pixels(left, right)
    first_row, last_row = _whole_pixels(top, bottom)
    return (first_column, first_row, last_column, last_row)


def _whole_pixels(start: float, stop: float) -> tuple[int, int]:
    """Round an interval to whole pixels, at least one."""
    first = min(round(start), math.ceil(stop) - 1)
    return first, max(round(stop), first + 1)


def _in_mode(image: Image.Image, mode: str) -> Image.Image:
    """Return an image in a mode, and itself where it has it: `convert` would copy it."""
    return image if image.mode == mode else image.convert(mode)


def _to_array(image: Image.Image) -> npt.NDArray[np.uint8]:
    """Pixels of an ``"L"`` or ``"RGB"`` image, shape (C, H, W)."""
    pixels = np.asarray(image, dtype=np.uint8)
    return pixels[None] if pixels.ndim == 2 else np.ascontiguousarray(pixels.transpose(2, 0, 1))


def _describe_mode(image: Image.Image) -> str:
    words = _MODE_WORDS.get(image.mode, f"mode {image.mode}")
    return f"{words} with transparency" if image.has_transparency_data and "transparency" not in words else words
