"""The image of a case as a link writes it: an image of the data, one carried whole, or one kept on the server."""

from __future__ import annotations

import base64
import binascii
import re
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from telltale.base.errors import InputError
from telltale.base.images import ByteImages, FloatImages, image_sha256, to_floats
from telltale.cases.picture_store import GonePictureError, picture_store
from telltale.data.photographs import Photograph, find_photograph, photograph_for
from telltale.data.plain_png import Fault, FaultyPngError
from telltale.models.guarded import plain_png
from telltale_app import pictures

if TYPE_CHECKING:
    from telltale.bundle import Bundle

LONGEST_LINK_IMAGE = 12_000
DECODED_LINKS = 16  # whose pixels are kept at hand, each at most three megabytes
PNG_OVERHEAD = 200  # bytes; more than its frame and what cannot be compressed add at the sizes that fit into a link

_DAMAGED = "The image in the link is damaged."
_SET_IMAGE = re.compile(r"(train|fit|calibration|test)-(\d{1,9})")
_CARRIED_IMAGE = re.compile(r"(?:([a-z]{1,20})-)?png-([A-Za-z0-9_-]{20,})")
_KEPT_IMAGE = re.compile(r"(?:([a-z]{1,20})-)?sha256-([0-9a-f]{64})")


def carry(image: FloatImages, photograph: str = "") -> str:
    """Return the reference of one image: the image itself where it fits into a link, else its SHA-256.

    Parameters
    ----------
    image : array of float32, shape (C, H, W)
        Kept on the server where it does not fit.
    photograph : str
        Name of the photograph that it was cut from, if it was.

    Raises
    ------
    InputError
        If the image is too large to be kept.
    StorageError
        If it cannot be kept.
    """
    return _carried(image, photograph) or _named(picture_store().keep(image), photograph)


def cut_from(photograph: Photograph, shape: tuple[int, int, int]) -> str:
    """Return the reference of a photograph's usual square, which can be cut again and need not be kept."""
    image = photograph_for(photograph, shape)
    return _carried(image, photograph.name) or _named(image_sha256(image), photograph.name)


def fits_into_links(shape: tuple[int, int, int]) -> bool:
    """Return whether every image of a shape (C, H, W) travels in the link itself, whatever it shows."""
    return 4 * (int(np.prod(shape)) + shape[1] + PNG_OVERHEAD) <= 3 * LONGEST_LINK_IMAGE


def read_image(reference: str, bundle: Bundle) -> FloatImages:
    """Return the image, shape (C, H, W), that a reference names or carries.

    Raises
    ------
    GonePictureError
        If its pixels are no longer kept here.
    InputError
        If the reference is malformed, its image is not in the bundle's data, or has another shape.
    """
    if match := _SET_IMAGE.fullmatch(reference):
        return _read_from_set(match[1], int(match[2]), bundle)
    if match := _CARRIED_IMAGE.fullmatch(reference):
        return _read_carried(match[2], bundle.image_shape)
    if match := _KEPT_IMAGE.fullmatch(reference):
        return _read_kept(match[2], match[1], bundle.image_shape)
    raise InputError("The link's image is neither an image of the data set nor an image carried in the link.")


def is_gone(reference: str, bundle: Bundle) -> bool:
    """Return whether a reference names pixels that are no longer kept here."""
    if not _KEPT_IMAGE.fullmatch(reference):
        return False
    try:
        read_image(reference, bundle)
    except InputError as error:
        return isinstance(error, GonePictureError)
    return False


def image_words(reference: str) -> str:
    """Return a short name of the image for people."""
    if match := _SET_IMAGE.fullmatch(reference):
        kind = {"train": "Training", "fit": "Fitting", "calibration": "Calibration", "test": "Test"}[match[1]]
        return f"{kind} image {match[2]}"
    photograph = photograph_of(reference)
    return "Your image" if photograph is None else photograph.title


def photograph_of(reference: str) -> Photograph | None:
    """Return the photograph that an image was cut from, or None."""
    match = _CARRIED_IMAGE.fullmatch(reference) or _KEPT_IMAGE.fullmatch(reference)
    return None if match is None or match[1] is None else find_photograph(match[1])


def true_label(reference: str, bundle: Bundle) -> int | None:
    """Return the data set's own label of the image; None for an image of the person's own, or where it has none."""
    match = _SET_IMAGE.fullmatch(reference)
    if match is None or bundle.image_set is None or not bundle.labelled:
        return None
    return int(bundle.image_set.labels[int(match[2])])


def _carried(image: FloatImages, photograph: str) -> str:
    """Return the reference that carries an image; empty where it is too long for a link."""
    text = base64.urlsafe_b64encode(pictures.png(image)).decode().rstrip("=")
    if len(text) > LONGEST_LINK_IMAGE:
        return ""
    return f"{photograph}-png-{text}" if photograph else f"png-{text}"


def _named(digest: str, photograph: str) -> str:
    return f"{photograph}-sha256-{digest}" if photograph else f"sha256-{digest}"


def _read_from_set(split: str, image_id: int, bundle: Bundle) -> FloatImages:
    if bundle.image_set is None:
        raise InputError(str(bundle.data_problem))
    if image_id not in getattr(bundle.splits, split):
        raise InputError(f"The data set has no {split} image {image_id}.")
    image: FloatImages = bundle.image_set.images([image_id])[0]
    return image


def _read_carried(text: str, shape: tuple[int, int, int]) -> FloatImages:
    if len(text) > LONGEST_LINK_IMAGE:
        raise InputError("The image in the link is too long.")
    try:
        pixels = _decoded(text)
    except FaultyPngError as error:
        raise InputError(_shape_words(shape) if error.fault is Fault.NOT_PLAIN else _DAMAGED) from error
    if pixels.shape != tuple(shape):
        raise InputError(_shape_words(shape))
    return to_floats(pixels)


@lru_cache(maxsize=DECODED_LINKS)
def _decoded(text: str) -> ByteImages:
    """Return the pixels of a PNG in a link; every page reads those of its own several times."""
    try:
        data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except binascii.Error as error:
        raise InputError(_DAMAGED) from error
    return plain_png(data)


def _read_kept(digest: str, name: str | None, shape: tuple[int, int, int]) -> FloatImages:
    try:
        image = picture_store().read(digest)
    except GonePictureError:
        again = _cut_again(name, shape)
        if again is None or image_sha256(again) != digest:
            raise
        return again
    if image.shape != tuple(shape):
        raise InputError(_shape_words(shape))
    return image


def _cut_again(name: str | None, shape: tuple[int, int, int]) -> FloatImages | None:
    """Return the usual square of a photograph that comes along; None where there is none of that name."""
    photograph = None if name is None else find_photograph(name)
    if photograph is None:
        return None
    try:
        return photograph_for(photograph, shape)
    except InputError:
        return None


def _shape_words(shape: tuple[int, int, int]) -> str:
    return f"The image in the link must be {shape[2]} × {shape[1]} pixels for this model."
