"""How a picture of any size becomes a classifier's input: by its own preprocessing, or a square of the person's own."""

from __future__ import annotations

import contextlib

from PIL import Image

from telltale.base.errors import InputError
from telltale.base.images import FloatImages, to_floats
from telltale.data.uploads import Shape, Square, fit_aspect, to_model_input
from telltale.models.preprocess import Preprocess


def fit(
    picture: Image.Image,
    shape: Shape,
    preprocess: Preprocess | None = None,
    square: Square | None = None,
    invert: bool = False,
) -> FloatImages:
    """Bring a picture to a classifier's size.

    Parameters
    ----------
    picture : PIL.Image.Image
        As returned by `telltale.data.uploads.decode_image`. One of the classifier's size is used bit for bit.
    shape : tuple of int
        (C, H, W) of the classifier.
    preprocess : Preprocess, optional
        The classifier's own; left out where it takes images of one size.
    square : Square, optional
        Take this part instead of what `preprocess` keeps, resized as that resizes. Left out where there is none, the
        largest centred part is taken.
    invert : bool
        Exchange black and white of a grey classifier's input.

    Returns
    -------
    array of float32, shape (C, H, W)
        In [0, 1], on the 8-bit grid.

    Raises
    ------
    InputError
        If the preprocessing cannot bring it to size, or the square leaves the picture.
    """
    channels, height, width = shape
    if picture.size == (width, height):
        return to_model_input(picture, shape, invert=invert)
    if preprocess is None:
        return to_model_input(picture, shape, invert=invert, crop=None if square is None else square.box)
    if square is not None:
        if square.within(picture.size) != square:
            raise InputError(f"The square {square.box} leaves the picture of {picture.width}×{picture.height} pixels.")
        picture = picture.crop(fit_aspect(square.box, width, height))
        preprocess = Preprocess(resize=(height, width), interpolation=preprocess.interpolation)
    pixels = preprocess.sizing(channels).apply(picture)
    if pixels.shape != tuple(shape):
        raise InputError(
            f"The model's preprocessing brings the picture to {pixels.shape[2]}×{pixels.shape[1]} pixels; it takes "
            f"{width}×{height}."
        )
    return to_floats(255 - pixels if invert else pixels)


def first_part(
    picture: Image.Image,
    shape: Shape,
    preprocess: Preprocess | None = None,
    square: Square | None = None,
    invert: bool = False,
) -> tuple[Square | None, FloatImages]:
    """Return a part of a picture as `fit` brings it to size, and which part it is.

    Returns
    -------
    square : Square or None
        The one asked for, brought inside the picture. Where none is, None for what the preprocessing keeps, and the
        largest centred square where there is no preprocessing, or it cannot take this picture.
    image : array of float32, shape (C, H, W)
    """
    if square is None and preprocess is not None:
        with contextlib.suppress(InputError):  # too small for the crop, or of proportions that it cannot take
            return None, fit(picture, shape, preprocess, invert=invert)
    chosen = (square or Square.centred(picture.size)).within(picture.size)
    return chosen, fit(picture, shape, preprocess, chosen, invert)
