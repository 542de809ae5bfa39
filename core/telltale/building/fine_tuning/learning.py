"""Which images a network learns from, and which choose what it keeps: those that a build around it takes as well."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from telltale.base.errors import InputError
from telltale.building.planning import draw_own_splits
from telltale.data.duplicates import warn_of_shared
from telltale.data.image_set import ImageSet, LeftOut
from telltale.data.sources import list_images
from telltale.data.split_names import TEST, TRAIN, VALIDATION
from telltale.models.class_names import listed
from telltale.recipes import own_plan

Ids = npt.NDArray[np.int64]


@dataclass(frozen=True)
class LearningImages:
    """Images by what they are for.

    Attributes
    ----------
    training, validation, test : array of int64
        Ids. Validation are the data's own where they bring some, otherwise what a build fits detectors to and
        calibrates with; test is what a build reports.
    """

    training: Ids
    validation: Ids
    test: Ids


def check_training_folder(source: str) -> None:
    """Refuse splits among which none is for training.

    Raises
    ------
    InputError
        If there is no such source, or it has validation or test images and no others.
    """
    splits = {found.split for found in list_images(source, download=True).images if not isinstance(found, LeftOut)}
    if TRAIN not in splits and splits & {VALIDATION, TEST}:
        raise InputError(
            f"'{source}' has no training images: put them into a folder 'train' beside its others, or leave splits out."
        )


def learning_images(image_set: ImageSet, source: str) -> LearningImages:
    """Draw the splits that a build will draw, so that its references are the images that were learned from.

    Raises
    ------
    InputError
        If the images have no labels, only one class, a class without training images, or are too few.
    """
    if not image_set.labelled:
        raise InputError(f"'{source}' has no labels: to learn classes takes one folder of pictures for each.")
    if len(image_set.class_names) < 2:
        raise InputError(f"'{source}' has one class, '{image_set.class_names[0]}': there is nothing to tell apart.")
    splits = draw_own_splits(own_plan("learning", source), image_set)
    warn_of_shared(image_set, splits)
    own = np.fromiter(image_set.own_splits["validation"], dtype=np.int64)
    held_out = np.setdiff1d(own, splits.test) if len(own) else np.union1d(splits.fit, splits.calibration)
    if not (len(held_out) and len(splits.test)):
        raise InputError(
            f"The {len(image_set)} images of '{source}' are too few to learn from some and to judge by others."
        )
    counts = np.bincount(image_set.labels[splits.train], minlength=len(image_set.class_names))
    without = [name for name, count in zip(image_set.class_names, counts, strict=True) if not count]
    if without:
        raise InputError(f"'{source}' has no training image of {listed(without)}: every class needs some.")
    return LearningImages(splits.train, held_out, splits.test)
