"""What a bundle around somebody's own classifier notes of its images: size, classes' outputs, what was cut."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from telltale.base.errors import DamagedBundleError, InputError
from telltale.data.image_set import NO_LABEL, ImageSet
from telltale.data.outputs import by_output
from telltale.data.sizing import Sizing
from telltale.models.preprocess import Preprocess, Side

SIZING, OUTPUTS, UNLABELLED = "sizing", "outputs", "unlabelled"  # notes of the manifest
TRAINED_ON = "trained_on"  # a note: whether the network has learned from the references; absent where nobody says
HELD_OUT_LEARNED = "held_out_learned"  # a note: whether it has learned from held-out images, too
LEARNED_FROM_ALL = (
    "The network has learned from the images by which p-values are set, too, as the data have no validation folder of "
    "their own: new images cause more false alarms than p-values say. A validation folder of others would change that."
)
CUT = "cut"  # a note too: a sentence on what its build left out to be done in time


def sizing_notes(preprocess: Preprocess, channels: int) -> dict[str, object]:
    """Return the note that `noted_sizing` reads; none where a classifier brings no picture to size."""
    if preprocess.resize is None and preprocess.crop is None:
        return {}
    sides = {name: _listed(getattr(preprocess, name)) for name in ("resize", "crop")}
    return {SIZING: {**sides, "interpolation": preprocess.interpolation, "channels": channels}}


def noted_sizing(notes: Mapping[str, Any]) -> Sizing | None:
    """Return what brings a bundle's images to their size; None where they are used as they are.

    Raises
    ------
    DamagedBundleError
        If the note cannot be read.
    """
    found = _noted(notes)
    return None if found is None else found[0].sizing(found[1])


def noted_preprocess(notes: Mapping[str, Any]) -> Preprocess | None:
    """Return how a bundle's images are resized and cropped; None where they are used as they are.

    Raises
    ------
    DamagedBundleError
        If the note cannot be read.
    """
    found = _noted(notes)
    return None if found is None else found[0]


def _noted(notes: Mapping[str, Any]) -> tuple[Preprocess, int] | None:
    """Return the noted preprocessing, and the number of channels."""
    note = notes.get(SIZING)
    if note is None:
        return None
    try:
        preprocess = Preprocess(_side(note["resize"]), _side(note["crop"]), interpolation=note["interpolation"])
        return preprocess, int(note["channels"])
    except (KeyError, TypeError, ValueError, InputError) as error:
        raise DamagedBundleError(f"The bundle does not say how its images are brought to size: {error}.") from error


def as_noted(image_set: ImageSet, notes: Mapping[str, Any], class_names: tuple[str, ...]) -> ImageSet:
    """Give a bundle's images the numbers of its classifier's outputs, where these are others.

    Raises
    ------
    DamagedBundleError
        If the note cannot be read.
    """
    outputs = noted_outputs(notes, len(class_names))
    return image_set if outputs is None else by_output(image_set, outputs, class_names)


def noted_outputs(notes: Mapping[str, Any], count: int) -> dict[str, int] | None:
    """Return the output of each of a bundle's classes, of so many outputs; None where they are numbered alike.

    Raises
    ------
    DamagedBundleError
        If the note cannot be read.
    """
    outputs = notes.get(OUTPUTS)
    if outputs is None:
        return None
    sound = isinstance(outputs, dict) and all(
        isinstance(place, int) and 0 <= place < count for place in outputs.values()
    )
    if not sound:
        raise DamagedBundleError("The bundle does not say which of its classes its images are of.")
    return dict(outputs)


def as_read(
    image_set: ImageSet, answers: Iterable[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]], names: tuple[str, ...]
) -> ImageSet:
    """Label images that have no labels by what the classifier has read them as.

    Parameters
    ----------
    image_set : ImageSet
    answers : iterable of (ids, labels)
        The others stay without a label.
    names : tuple of str
        Of all classes.
    """
    labels = np.full(len(image_set), NO_LABEL, dtype=np.int64)
    for ids, read in answers:
        labels[ids] = read
    return replace(image_set, labels=labels, class_names=names, known_fingerprint=image_set.fingerprint)


def _listed(side: Side | None) -> object:
    return list(side) if isinstance(side, tuple) else side


def _side(side: Any) -> Side | None:
    return (side[0], side[1]) if isinstance(side, list) else side
