"""What is known about every held-out image, right or wrong, by which groups that fail more often can be described.

Nothing here may tell by itself whether an image is misread: a group that was an error by definition would say nothing.
So the departure layer is that from the runner-up among the classes, which every image has, and neighbours agree with
the class that was read, not with the label.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from telltale.base.errors import InputError
from telltale.kinds.trajectory import NO_LAYER
from telltale.model_errors.evaluated import Evaluated

Numbers: TypeAlias = npt.NDArray[np.float64]
Codes: TypeAlias = npt.NDArray[np.int64]
Place: TypeAlias = Literal["before", "class", "after"]

READ_AS, TRUE_CLASS, CONFIDENCE = "read as", "true class", "confidence"
DEPARTURE, AGREEMENT = "departure layer", "neighbour agreement"
BRIGHTNESS, SHARPNESS, SIZE = "brightness", "sharpness", "size"

# By what a feature can be left out.
SHORT_NAMES: Mapping[str, str] = {
    "read": READ_AS,
    "true": TRUE_CLASS,
    "confidence": CONFIDENCE,
    "agreement": AGREEMENT,
    "departure": DEPARTURE,
    "brightness": BRIGHTNESS,
    "sharpness": SHARPNESS,
}

# Whether the network is in doubt. Such groups hold most errors of any model, and say nothing of the images in them.
DOUBT = ("confidence", "agreement")

# What stands for few and for much of a number, and whether before or after the word "images".
ENDS: Mapping[str, tuple[str, str, Place]] = {
    CONFIDENCE: ("low confidence", "high confidence", "after"),
    AGREEMENT: ("low neighbour agreement", "high neighbour agreement", "after"),
    BRIGHTNESS: ("dark", "bright", "before"),
    SHARPNESS: ("blurred", "sharp", "before"),
    SIZE: ("small", "large", "before"),
}


@dataclass(frozen=True)
class NumberFeature:
    """A number of every image.

    Attributes
    ----------
    name : str
        A key of `ENDS`.
    values : array of float64, shape (n,)
        NaN where it is not known.
    """

    name: str
    values: Numbers


@dataclass(frozen=True)
class CodeFeature:
    """One of a few words about every image.

    Attributes
    ----------
    name : str
    codes : array of int64, shape (n,)
    words : mapping of int to str
        Of every code, as they stand in a group's name.
    place : {"before", "class", "after"}
        Where they stand: before "images", after it, or behind a comma.
    """

    name: str
    codes: Codes
    words: Mapping[int, str]
    place: Place


Feature: TypeAlias = NumberFeature | CodeFeature


def features_of_answers(images: Evaluated, class_names: Sequence[str]) -> list[Feature]:
    """Return what the stored scores alone tell: class read, true class and confidence.

    Parameters
    ----------
    images : Evaluated
    class_names : sequence of str
    """
    return [
        CodeFeature(READ_AS, images.predictions, {c: f"read as {name}" for c, name in enumerate(class_names)}, "class"),
        CodeFeature(TRUE_CLASS, images.labels, {c: f"of class {name}" for c, name in enumerate(class_names)}, "class"),
        NumberFeature(CONFIDENCE, images.confidences),
    ]


def leave_out(features: Sequence[Feature], without: Sequence[str]) -> list[Feature]:
    """Return features without some.

    Parameters
    ----------
    features : sequence of NumberFeature or CodeFeature
    without : sequence of str
        Keys of `SHORT_NAMES`.

    Raises
    ------
    InputError
        If a name is none of them.
    """
    for name in without:
        if name not in SHORT_NAMES:
            raise InputError(f"'{name}' cannot be left out; choose among {', '.join(SHORT_NAMES)}.")
    unwanted = {SHORT_NAMES[name] for name in without}
    return [feature for feature in features if feature.name not in unwanted]


def departure_feature(layers: Codes, names: Sequence[str]) -> CodeFeature:
    """Return from which layer on every image stays nearer to its class than to the runner-up.

    Parameters
    ----------
    layers : array of int64, shape (n,)
        Index of the layer, `NO_LAYER` where the path never ends so.
    names : sequence of str, length L
    """
    words = {index: f"departing at {name}" for index, name in enumerate(names)}
    return CodeFeature(DEPARTURE, layers, {**words, NO_LAYER: "never departing"}, "after")
