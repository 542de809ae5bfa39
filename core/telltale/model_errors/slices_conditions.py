"""Conditions that images meet or not, and the name of a group of images that meet several."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from telltale.model_errors.slices_features import (
    ENDS,
    READ_AS,
    TRUE_CLASS,
    CodeFeature,
    Feature,
    NumberFeature,
    Place,
)

Mask = npt.NDArray[np.bool_]

QUARTER, HALF = 0.25, 0.5
MOST_CODES = 60  # of one feature, the most frequent; a thousand classes have too few images each to be a group


@dataclass(frozen=True)
class Condition:
    """One condition on one feature.

    Attributes
    ----------
    feature : str
    words : str
        As it stands in a group's name.
    detail : str
        Exactly, such as "brightness at most 0.213".
    place : {"before", "class", "after"}
    holds : array of bool, shape (n,)
        Which images meet it.
    """

    feature: str
    words: str
    detail: str
    place: Place
    holds: Mask


def conditions_on(features: Sequence[Feature], looked_at: Mask) -> list[Condition]:
    """Return all conditions on features: of numbers the lowest and highest quarter and half, of words each one.

    Parameters
    ----------
    features : sequence of NumberFeature or CodeFeature
    looked_at : array of bool, shape (n,)
        Images among which numbers are cut; no other value has a say in where.
    """
    found: list[Condition] = []
    for feature in features:
        found += _of_number(feature, looked_at) if isinstance(feature, NumberFeature) else _of_code(feature, looked_at)
    return found


def _of_number(feature: NumberFeature, looked_at: Mask) -> list[Condition]:
    values = feature.values
    known = values[looked_at & np.isfinite(values)]
    if not len(known):
        return []
    few, much, place = ENDS[feature.name]
    first, middle, third = (float(cut) for cut in np.quantile(known, [QUARTER, HALF, 1.0 - QUARTER]))
    return [
        Condition(feature.name, words, f"{feature.name} {bound} {cut:.3g}", place, holds)
        for words, bound, cut, holds in (
            (few, "at most", first, values <= first),
            (f"rather {few}", "at most", middle, values <= middle),
            (f"rather {much}", "above", middle, values > middle),
            (much, "above", third, values > third),
        )
    ]


def _of_code(feature: CodeFeature, looked_at: Mask) -> list[Condition]:
    codes, counts = np.unique(feature.codes[looked_at], return_counts=True)
    often = sorted(codes[np.argsort(-counts, kind="stable")][:MOST_CODES].tolist())
    return [
        Condition(feature.name, feature.words[code], feature.words[code], feature.place, feature.codes == code)
        for code in often
    ]


def together(first: Condition, second: Condition) -> bool:
    """Return whether a group may be described by both: two of one feature are one, and two classes are an error."""
    features = {first.feature, second.feature}
    return len(features) == 2 and features != {READ_AS, TRUE_CLASS}


def name_of(conditions: Sequence[Condition]) -> str:
    """Return a group's name, such as "Dark images read as cat, low neighbour agreement"."""
    before, of_class, after = (
        [condition.words for condition in conditions if condition.place == place]
        for place in ("before", "class", "after")
    )
    head = " ".join([", ".join(before), "images", *of_class]).strip()
    name = ", ".join([head, *after])
    return name[:1].upper() + name[1:]
