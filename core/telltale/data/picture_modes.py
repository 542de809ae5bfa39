"""From any colour mode and depth to 8-bit grey or colour: the right pixels, or one sentence."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageChops

from telltale.base.errors import InputError

WHITE = 255
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
        return _grey_levels(image, storage)
    if image.mode == "I":
        raise InputError("The image holds signed or 32-bit grey levels, whose range is not known; store 8 or 16 bits.")
    if image.mode == "F":
        return _inverted(_floats(np.asarray(image, dtype=np.float32)), storage)
    if image.mode == "RGB" and storage.bits > 8:
        raise InputError("The image has a transparent colour of 16 bits, which cannot be read; store 8 bits.")
    try:
        colour = _over_white(image) if image.has_transparency_data else image.convert("RGB")
    except Exception as error:
        raise InputError(f"The image's colour mode {image.mode} cannot be converted to RGB.") from error
    may_be_grey = storage.grey or image.mode in ("P", "PA", "LA", "La")
    return colour.getchannel(0) if may_be_grey and _is_grey(colour) else colour


def _grey_levels(image: Image.Image, storage: Storage) -> Image.Image:
    deep = image.mode.startswith("I;16")
    # Pillow 13 stores black and white as 0 and 255, also when it names the transparent one of them.
    values = np.asarray(image.convert("L") if image.mode == "1" else image)
    bits = storage.bits if deep and 8 < storage.bits < 16 else 16 if deep else 8
    if deep and values.max(initial=0) >= 2**bits:
        raise InputError(f"The image holds grey levels beyond its {bits} bits.")
    scaled = Image.fromarray(_to_8_bits(bits)[values]) if deep else Image.fromarray(values)
    found = _inverted(scaled, storage) if deep else scaled
    transparent = image.info.get("transparency")
    if transparent is None:
        return found
    if not isinstance(transparent, int):
        raise InputError("The image's transparent grey level cannot be read.")
    level = transparent if deep else transparent * _SPREAD.get(storage.bits, 1)
    found.paste(WHITE, mask=Image.fromarray(values == level))
    return found


def _to_8_bits(bits: int) -> npt.NDArray[np.uint8]:
    """Return the 8-bit level of every level of this depth."""
    return np.asarray(np.rint(np.arange(2**bits) / (2**bits - 1) * 255.0), dtype=np.uint8)


def _floats(values: npt.NDArray[np.float32]) -> Image.Image:
    low, high = float(values.min(initial=0.0)), float(values.max(initial=0.0))
    if not (low >= 0.0 and np.isfinite(high)):
        raise InputError("The image holds negative or undefined F pixels.")
    if high > 255.0:
        raise InputError("A floating-point image must hold values in [0, 1] or [0, 255].")
    return Image.fromarray(np.rint(values * np.float32(255.0 if high <= 1.0 else 1.0)).astype(np.uint8))


def _inverted(image: Image.Image, storage: Storage) -> Image.Image:
    return ImageChops.invert(image) if storage.white_is_zero else image


def _over_white(image: Image.Image) -> Image.Image:
    colour = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", colour.size, "white"), colour).convert("RGB")


def _is_grey(colour: Image.Image) -> bool:
    red, green, blue = colour.split()
    return all(ImageChops.difference(red, other).getbbox() is None for other in (green, blue))
