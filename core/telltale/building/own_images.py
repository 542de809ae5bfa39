"""Somebody's own images for their own classifier: brought to its size, their classes found among its outputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from telltale.base.errors import InputError
from telltale.base.progress import Progress
from telltale.bundle.own_data import OUTPUTS, UNLABELLED, as_read, sizing_notes
from telltale.data.image_set import ImageSet
from telltale.data.outputs import by_output
from telltale.data.sources import load_image_set
from telltale.models.class_names import ClassMap, match_classes
from telltale.models.classifier import Classifier

IMAGES_AT_ONCE = 64


@dataclass(frozen=True)
class ClassChoice:
    """How the data's classes are found among a classifier's outputs, beside their names.

    Attributes
    ----------
    given : mapping of str to str or int
        Outputs that the person has chosen for some of the data's classes, by name or index.
    synonyms : sequence of sequence of str
        Further names of every output.
    """

    given: Mapping[str, str | int] = field(default_factory=dict)
    synonyms: Sequence[Sequence[str]] = ()


@dataclass(frozen=True)
class OwnImages:
    """Images that a classifier can take.

    Attributes
    ----------
    image_set : ImageSet
        Labelled by the classifier's outputs.
    notes : dict of str to object
        What a bundle must know to find them again.
    """

    image_set: ImageSet
    notes: dict[str, object]


def read_own_images(classifier: Classifier, source: str, choice: ClassChoice, progress: Progress) -> OwnImages:
    """Load a source's images in a classifier's size, labelled by its outputs; by its answers where they have no labels.

    Raises
    ------
    InputError
        If the source cannot be read, its images have another size and the classifier does not say how to bring them
        to its own, or their classes are not the classifier's.
    """
    progress(0.0, f"Reading {source}")
    preprocess, channels = classifier.preprocess, classifier.input_shape[0]
    notes = sizing_notes(preprocess, channels)
    image_set = load_image_set(source, sizing=preprocess.sizing(channels) if notes else None, progress=progress)
    shape = tuple(int(side) for side in image_set.pixels.shape[1:])
    if shape != classifier.input_shape:
        raise InputError(f"The classifier takes images of shape {classifier.input_shape}; the data set's are {shape}.")
    if not image_set.labelled:
        return OwnImages(_as_read(classifier, image_set, progress), notes | {UNLABELLED: True})
    outputs = _outputs(classifier, image_set, choice)
    if outputs is None:
        return OwnImages(image_set, notes)
    assert classifier.class_names is not None
    return OwnImages(by_output(image_set, outputs, classifier.class_names), notes | {OUTPUTS: outputs})


def _as_read(classifier: Classifier, image_set: ImageSet, progress: Progress) -> ImageSet:
    """Label images without labels by what the classifier reads."""
    names = classifier.class_names or tuple(str(label) for label in range(classifier.classes))
    ids, parts = np.arange(len(image_set)), []
    for start in range(0, len(ids), IMAGES_AT_ONCE):
        progress(start / len(ids), "Reading what the images are taken for")
        part = ids[start : start + IMAGES_AT_ONCE]
        parts.append((part, classifier.predict(image_set.images(part))))
    return as_read(image_set, parts, names)


def check_count(classifier: Classifier, classes: int) -> None:
    """Refuse another number of classes than those of a classifier whose outputs have no names.

    Raises
    ------
    InputError
    """
    if classifier.classes != classes:
        raise InputError(f"The classifier tells {classifier.classes} classes apart; the data set names {classes}.")


def _outputs(classifier: Classifier, image_set: ImageSet, choice: ClassChoice) -> dict[str, int] | None:
    """Return the output of every class of the data that has one; None where they are the same in the same order."""
    names, here = classifier.class_names, tuple(image_set.class_names)
    if names is None:
        check_count(classifier, len(here))
        return None
    if names == here and not choice.given:
        return None
    found = match_classes(here, names, choice.synonyms, choice.given)
    _check_clear(found)
    return found.outputs


def _check_clear(found: ClassMap) -> None:
    """Refuse a class that may mean several outputs; one that has none is only left out."""
    if found.ambiguous:
        name, outputs = next(iter(found.ambiguous.items()))
        raise InputError(
            f"The class '{name}' fits several outputs, {', '.join(map(str, outputs))}: say which in [data.classes]."
        )
