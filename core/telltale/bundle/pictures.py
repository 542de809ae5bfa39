"""Pictures in files: one as a bundle's classifier takes it, and which files a bundle's images come from."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from telltale.base.images import FloatImages
from telltale.bundle.bundle import Bundle
from telltale.bundle.own_data import noted_preprocess
from telltale.data.opening import read_bytes
from telltale.data.uploads import CropBox, Square, decode_image, load_image_file
from telltale.models import guarded
from telltale.models.fitting import fit
from telltale.models.guarded import Glance


def load_picture(bundle: Bundle, path: Path) -> FloatImages:
    """Read an image file for a bundle.

    Parameters
    ----------
    bundle : Bundle
    path : Path

    Returns
    -------
    array of float32, shape (C, H, W)
        In [0, 1], on the 8-bit grid. Where the bundle was built from pictures of any size, this one is brought to the
        classifier's as they were; one that has its size is used bit for bit. Without that only such are accepted.

    Raises
    ------
    InputError
        If the file is missing, too large, not an image or damaged, or cannot be brought to size.
    """
    if noted_preprocess(bundle.notes) is None:
        return load_image_file(path, bundle.image_shape)
    return fit_picture(bundle, decode_image(read_bytes(path)))


def own_part(bundle: Bundle, size: tuple[int, int]) -> CropBox | None:
    """Return which part of a picture the bundle's own preprocessing keeps.

    Parameters
    ----------
    bundle : Bundle
    size : tuple of int
        Width and height of the picture.

    Returns
    -------
    tuple of float or None
        Left, top, right and bottom, in the picture's pixels; None where the bundle was built from images of one size.
    """
    preprocess = noted_preprocess(bundle.notes)
    return None if preprocess is None else preprocess.part_kept(size)


def fit_picture(
    bundle: Bundle, picture: Image.Image, square: Square | None = None, invert: bool = False
) -> FloatImages:
    """Bring a picture to a bundle's size, as the images that it was built from were brought there.

    Parameters
    ----------
    bundle : Bundle
    picture : PIL.Image.Image
        As returned by `telltale.data.uploads.decode_image`. One of the bundle's size is used bit for bit.
    square : Square, optional
        Take this part instead of what the bundle's preprocessing keeps, resized as that resizes. Left out where the
        bundle was built from images of one size, the largest centred part is taken.
    invert : bool
        Exchange black and white of a grey model's input.

    Returns
    -------
    array of float32, shape (C, H, W)
        In [0, 1], on the 8-bit grid.

    Raises
    ------
    InputError
        If the bundle's preprocessing cannot bring it to size, or the square leaves the picture.
    """
    return fit(picture, bundle.image_shape, noted_preprocess(bundle.notes), square, invert)


def look_at_strangers_picture(
    bundle: Bundle, data: bytes, longest_side: int, square: Square | None = None, invert: bool = False
) -> tuple[Glance, Square | None, FloatImages]:
    """Return a small copy of what somebody sends, and what `cut_strangers_picture` returns, from one decoding.

    Parameters
    ----------
    bundle : Bundle
    data : bytes
        The picture's file, never trusted.
    longest_side : int
        Of the copy, at most.
    square, invert
        As `cut_strangers_picture` takes them.

    Raises
    ------
    InputError
        If it is no picture, or beyond `telltale.data.limits.LIMITS`.
    """
    return guarded.look(data, longest_side, bundle.image_shape, noted_preprocess(bundle.notes), square, invert)


def cut_strangers_picture(
    bundle: Bundle, data: bytes, square: Square | None = None, invert: bool = False
) -> tuple[Square | None, FloatImages]:
    """Bring what somebody sends to a bundle's size, in a limited process (`telltale.models.guarded`).

    Parameters
    ----------
    bundle : Bundle
    data : bytes
        The picture's file, never trusted.
    square : Square, optional
        The part to take; left out, what the bundle's preprocessing keeps, or the largest centred square.
    invert : bool
        Exchange black and white of a grey model's input.

    Returns
    -------
    square : Square or None
        The part that was taken; None for what the bundle's preprocessing keeps.
    image : array of float32, shape (C, H, W)

    Raises
    ------
    InputError
        If it is no picture, or beyond `telltale.data.limits.LIMITS`.
    """
    return guarded.cut(data, bundle.image_shape, noted_preprocess(bundle.notes), square, invert)


def file_names(bundle: Bundle) -> tuple[str, ...]:
    """Return the file of every image, by id, relative to the bundle's data; nothing where they are none or not here."""
    image_set = bundle.image_set
    return () if image_set is None else image_set.names
