"""From any colour mode and depth to 8-bit grey or colour: the right pixels, or one sentence."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageChops

from telltale.base.errors import InputError
from telltale.data.bands import Convert, bands, in_bands
from telltale.data.limits import LIMITS

WHITE = 255
_COLOURS = 256  # of a palette
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PNG_GREY_WITH_ALPHA = 4
_TIFF_BITS, _TIFF_COMPRESSION, _TIFF_PHOTOMETRIC, _TIFF_PLANES, _TIFF_SUBSAMPLING = 258, 259, 262, 284, 530
_WHITE_IS_ZERO, _YCBCR, _UNCOMPRESSED, _APART = 0, 6, 1, 2
# Pillow spreads the levels of shallow grey PNGs over 8 bits, but not the level that is called transparent.
_SPREAD = {2: 85, 4: 17}


@dataclass(frozen=True)
class Storage:
    """How a file stores its pixels, as far as Pillow's mode does not tell.

    Attributes
    ----------
    bits : int
        Of a sample; 0 where it is not known.
    white_is_zero : bool
        Whether a TIFF counts grey levels from white. Pillow turns levels of at most 8 bits round by itself.
    grey : bool
        Whether the file is grey, whatever the mode.
    """

    bits: int = 0
    white_is_zero: bool = False
    grey: bool = False

    @classmethod
    def of(cls, image: Image.Image, data: bytes) -> Storage:
        """Return how a file that was opened but not yet decoded stores its pixels.

        Raises
        ------
        InputError
            If Pillow would take its samples apart wrongly.
        """
        if image.format == "PNG" and data.startswith(_PNG_SIGNATURE):
            return cls(bits=data[24], grey=data[25] == _PNG_GREY_WITH_ALPHA)  # the header comes first in every PNG
        tags = getattr(image, "tag_v2", None)
        if image.format != "TIFF" or tags is None:
            return cls()
        photometric = tags.get(_TIFF_PHOTOMETRIC)
        uncompressed = tags.get(_TIFF_COMPRESSION, _UNCOMPRESSED) == _UNCOMPRESSED
        if photometric == _YCBCR and uncompressed and tuple(tags.get(_TIFF_SUBSAMPLING, (2, 2))) != (1, 1):
            raise InputError("The TIFF file holds subsampled YCbCr without compression, which cannot be read.")
        bits = tuple(int(depth) for depth in tags.get(_TIFF_BITS, (1,)))
        if len(bits) > 1 and max(bits) > 8 and tags.get(_TIFF_PLANES) == _APART:
            raise InputError("The TIFF file holds deep colours channel by channel, which cannot be read; store 8 bits.")
        return cls(bits=bits[0], white_is_zero=photometric == _WHITE_IS_ZERO)


UNKNOWN = Storage()


def to_grey_or_colour(image: Image.Image, storage: Storage = UNKNOWN) -> Image.Image:
    """Bring an image of any mode to 8-bit grey (``"L"``) or colour (``"RGB"``).

    Transparency is laid over white. Palettes become grey where every colour in use is grey. Deep grey levels are
    scaled by the range that their depth allows, never by the range that they happen to use.

    Memory: the result, and a band of rows at a time.

    Parameters
    ----------
    image : PIL.Image.Image
    storage : Storage
        How its file stores it.

    Raises
    ------
    InputError
        If the mode cannot be converted, the range of its values is not known, or a floating-point image is outside
        [0, 255].
    """
    if image.mode in ("L", "RGB") and not image.has_transparency_data:
        return image
    if image.mode in ("1", "L") or image.mode.startswith("I;16"):
        return in_bands(image, "L", _grey_levels(image, storage))
    if image.mode == "I":
        raise InputError("The image holds signed or 32-bit grey levels, whose range is not known; store 8 or 16 bits.")
    if image.mode == "F":
        return in_bands(image, "L", _floats(image, storage))
    if image.mode == "RGB" and storage.bits > 8:
        raise InputError("The image has a transparent colour of 16 bits, which cannot be read; store 8 bits.")
    try:
        return _coloured(image, storage)
    except MemoryError as error:
        raise LIMITS.took_too_much() from error
    except Exception as error:
        raise InputError(f"The image's colour mode {image.mode} cannot be converted to RGB.") from error


def _grey_levels(image: Image.Image, storage: Storage) -> Convert:
    deep = image.mode.startswith("I;16")
    bits = storage.bits if deep and 8 < storage.bits < 16 else 16 if deep else 8
    table = _to_8_bits(bits)
    transparent = image.info.get("transparency")
    if transparent is not None and not isinstance(transparent, int):
        raise InputError("The image's transparent grey level cannot be read.")
    clear = None if transparent is None else transparent * (1 if deep else _SPREAD.get(storage.bits, 1))

    def convert(band: Image.Image) -> Image.Image:
        # Pillow 13 stores black and white as 0 and 255, also when it names the transparent one of them.
        values = np.asarray(band.convert("L") if band.mode == "1" else band)
        if deep and values.max(initial=0) >= len(table):
            raise InputError(f"The image holds grey levels beyond its {bits} bits.")
        found = _inverted(Image.fromarray(table[values]), storage) if deep else Image.fromarray(values)
        if clear is not None:
            found.paste(WHITE, mask=Image.fromarray(values == clear))
        return found

    return convert


def _to_8_bits(bits: int) -> npt.NDArray[np.uint8]:
    """Return the 8-bit level of every level of this depth."""
    return np.asarray(np.rint(np.arange(2**bits) / (2**bits - 1) * 255.0), dtype=np.uint8)


def _floats(image: Image.Image, storage: Storage) -> Convert:
    low, high = 0.0, 0.0
    for box in bands(image.size):
        values = np.asarray(image.crop(box), dtype=np.float32)
        if not np.isfinite(values).all():
            raise InputError("The image holds negative or undefined F pixels.")
        low, high = min(low, float(values.min())), max(high, float(values.max()))
    if low < 0.0:
        raise InputError("The image holds negative or undefined F pixels.")
    if high > 255.0:
        raise InputError("A floating-point image must hold values in [0, 1] or [0, 255].")
    scale = np.float32(255.0 if high <= 1.0 else 1.0)

    def convert(band: Image.Image) -> Image.Image:
        values = np.asarray(band, dtype=np.float32)
        return _inverted(Image.fromarray(np.rint(values * scale).astype(np.uint8)), storage)

    return convert


def _inverted(image: Image.Image, storage: Storage) -> Image.Image:
    return ImageChops.invert(image) if storage.white_is_zero else image


def _coloured(image: Image.Image, storage: Storage) -> Image.Image:
    if image.mode == "P":
        return _of_palette(image)
    if image.mode == "LA":
        return in_bands(image, "L", lambda band: _over_white(band).getchannel(0))
    clear = image.has_transparency_data
    colour = in_bands(image, "RGB", lambda band: (_over_white(band) if clear else band).convert("RGB"))
    may_be_grey = storage.grey or image.mode in ("PA", "La")
    return colour.getchannel(0) if may_be_grey and is_grey(colour) else colour


def _of_palette(image: Image.Image) -> Image.Image:
    """Convert the colours of the palette, and then the pixels at once."""
    every = image.crop((0, 0, _COLOURS, 1))
    every.frombytes(bytes(range(_COLOURS)))
    colours = np.asarray((_over_white(every) if every.has_transparency_data else every).convert("RGB"))[0]
    used = colours[np.flatnonzero(image.histogram())]
    if (used == used[:, :1]).all():
        return image.point(colours[:, 0].tolist(), "L")
    plain = image.copy()
    plain.info.pop("transparency", None)
    plain.putpalette(colours.tobytes())
    return plain.convert("RGB")


def _over_white(image: Image.Image) -> Image.Image:
    """Lay an image over white; the result still has an alpha channel, which is opaque."""
    mode = "LA" if image.mode == "LA" else "RGBA"
    return Image.alpha_composite(Image.new(mode, image.size, "white"), image.convert(mode))


def is_grey(colour: Image.Image) -> bool:
    """Return whether the three channels of an image of mode ``"RGB"`` are the same everywhere."""
    for box in bands(colour.size):
        red, green, blue = colour.crop(box).split()
        if any(ImageChops.difference(red, other).getbbox() is not None for other in (green, blue)):
            return False
    return True
