"""What pages do with a stranger's picture, done in a limited process (`telltale.models.decoders`)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from telltale.base.errors import InputError
from telltale.base.images import ByteImages, FloatImages, to_floats
from telltale.data.messages import Message
from telltale.data.plain_png import Fault, FaultyPngError
from telltale.data.uploads import Shape, Square
from telltale.models.decoders import MOST_ANSWERED, decoders
from telltale.models.preprocess import Preprocess


@dataclass(frozen=True)
class Glance:
    """A picture as a person sees it first.

    Attributes
    ----------
    size : tuple of int
        Its width and height.
    small : array of float32, shape (3, h, w)
        A small copy, values in [0, 1].
    """

    size: tuple[int, int]
    small: FloatImages


def look(
    data: bytes,
    longest_side: int,
    shape: Shape,
    preprocess: Preprocess | None = None,
    square: Square | None = None,
    invert: bool = False,
) -> tuple[Glance, Square | None, FloatImages]:
    """Return a small copy of a picture and, from the same decoding, a part as `cut` returns it.

    Parameters
    ----------
    data : bytes
        Its file, never trusted.
    longest_side : int
        Of the copy, at most.
    shape, preprocess, square, invert
        As `cut` takes them.

    Raises
    ------
    InputError
        If it is no picture, or beyond `telltale.data.limits.LIMITS`.
    """
    most = 2 * MOST_ANSWERED + math.prod(shape)
    asked = _asked(shape, preprocess, square, invert)
    answer = decoders().ask("look", data, most, longest_side=longest_side, **asked)
    width, height = _whole_numbers(answer, "size", 2)
    length = math.prod(_whole_numbers(answer, "small", 3))
    small = _pixels(Message({"shape": answer.header["small"]}, answer.body[:length]))
    part = Message(answer.header, answer.body[length:])
    return Glance((width, height), to_floats(small)), *_part(part, shape)


def cut(
    data: bytes, shape: Shape, preprocess: Preprocess | None = None, square: Square | None = None, invert: bool = False
) -> tuple[Square | None, FloatImages]:
    """Return a part of a picture as a classifier's input, as `telltale.models.fitting.first_part` makes it.

    Parameters
    ----------
    data : bytes
        The picture's file, never trusted.
    shape : tuple of int
        (C, H, W) of the classifier.
    preprocess : Preprocess, optional
        Its own.
    square : Square, optional
        The part to take.
    invert : bool
        Exchange black and white.

    Returns
    -------
    square : Square or None
        The part that was taken; None for what `preprocess` keeps.
    image : array of float32, shape (C, H, W)

    Raises
    ------
    InputError
        If it is no picture, or beyond `telltale.data.limits.LIMITS`.
    """
    asked = _asked(shape, preprocess, square, invert)
    return _part(decoders().ask("cut", data, max(MOST_ANSWERED, math.prod(shape)), **asked), shape)


def _asked(shape: Shape, preprocess: Preprocess | None, square: Square | None, invert: bool) -> dict[str, object]:
    """Return which part is asked for, as JSON holds it."""
    return {
        "shape": shape,
        "preprocess": None if preprocess is None else _sizes(preprocess),
        "square": None if square is None else (square.left, square.top, square.side),
        "invert": invert,
    }


def _part(answer: Message, shape: Shape) -> tuple[Square | None, FloatImages]:
    taken = None if answer.header.get("square") is None else Square(*_whole_numbers(answer, "square", 3))
    image = to_floats(_pixels(answer))
    if image.shape != tuple(shape):
        raise InputError("The picture could not be read.")
    return taken, image


def _sizes(preprocess: Preprocess) -> dict[str, object]:
    """Return what a preprocessing does to sizes, as JSON holds it."""
    return {"resize": preprocess.resize, "crop": preprocess.crop, "interpolation": preprocess.interpolation}


def plain_png(data: bytes) -> ByteImages:
    """Return the pixels of a PNG that Telltale may have written; see `telltale.data.plain_png`.

    Raises
    ------
    FaultyPngError
        If it is none of those.
    InputError
        If the limited process cannot read it.
    """
    answer = decoders().ask("plain_png", data)
    if "fault" in answer.header:
        raise FaultyPngError(Fault(answer.header["fault"]))
    return _pixels(answer)


def _pixels(answer: Message) -> ByteImages:
    channels, height, width = _whole_numbers(answer, "shape", 3)
    if channels * height * width != len(answer.body):
        raise InputError("The picture could not be read.")
    return np.frombuffer(answer.body, np.uint8).reshape(channels, height, width)


def _whole_numbers(answer: Message, name: str, count: int) -> list[int]:
    """Return numbers of an answer, which a process that a picture has taken over may have written."""
    found = answer.header.get(name)
    if not isinstance(found, list) or len(found) != count or not all(type(n) is int and n >= 0 for n in found):
        raise InputError("The picture could not be read.")
    return found
