"""What kinds of evidence need, and the sentences that say what is missing."""

from __future__ import annotations

import numpy as np

from telltale.evidence.by_size import FACTORED_WEIGHTS
from telltale.evidence.density import FEWEST, enough
from telltale.kinds.kind import Fitting, Need

LEAST_CLASSES = 2
BYTES_OF_AN_ENTRY = 4
MOST_BYTES = 2 * 2**30  # of one block of curvature per class, which a bundle stores and an analysis maps

NO_IMAGES = "Images like those that the network will judge, labelled or not, would bring this: a build on them."
NO_TRAINING_IMAGES = (
    "The images that the network has learned from would bring this: a build on them, with trained_on = true."
)
NOT_TRAINED_ON = (
    "The references are not images that the network has learned from: a build on those, with trained_on = true, would "
    "bring this."
)
UNKNOWN_TRAINING = (
    "Whether the network has learned from the references is not known: if it has, a build with trained_on = true would "
    "bring this."
)


def _head(fitting: Fitting) -> str | None:
    return fitting.head_problem


def _any_images(fitting: Fitting) -> str | None:
    return None if len(fitting.labels) else NO_IMAGES


def _two_classes(fitting: Fitting) -> str | None:
    found = len(np.unique(fitting.labels))
    if found >= LEAST_CLASSES:
        return None
    return f"Labelled reference images of at least {LEAST_CLASSES} classes would bring it; there are those of {found}."


def _a_mixture(fitting: Fitting) -> str | None:
    if enough(fitting.labels, fitting.classes).any():
        return None
    return f"A class with at least {FEWEST} labelled reference images would bring it; none has as many."


def _training_images(fitting: Fitting) -> str | None:
    if fitting.trained_on:
        return None
    if not len(fitting.labels):
        return NO_TRAINING_IMAGES
    return UNKNOWN_TRAINING if fitting.trained_on is None else NOT_TRAINED_ON


def _room(fitting: Fitting) -> str | None:
    classes, width = fitting.classes, fitting.trace.hidden.shape[1]
    size = BYTES_OF_AN_ENTRY * classes * (width + 1) ** 2
    if classes * (width + 1) <= FACTORED_WEIGHTS or size <= MOST_BYTES:
        return None
    return (
        f"The curvature of a head of {classes:,} classes over {width:,} features would take {size / 2**30:.1f} GiB, of "
        f"which {MOST_BYTES / 2**30:.0f} are allowed: a narrower last layer, or fewer classes, would bring this."
    )


LINEAR_HEAD = Need(_head)
ROOM_FOR_CURVATURE = Need(_room)
ANY_REFERENCES = Need(_any_images)
TRAINING_IMAGES = Need(_training_images)
REFERENCES_OF_CLASSES = Need(_two_classes)
SEVERAL_OF_A_CLASS = Need(_a_mixture)
