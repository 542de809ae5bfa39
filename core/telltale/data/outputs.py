"""An image set as a network knows it: its classes are the network's outputs, of which the data may have only some."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from telltale.base.errors import InputError
from telltale.data.image_set import NO_LABEL, ImageSet
from telltale.data.splits import Splits, SplitSizes


def by_output(image_set: ImageSet, outputs: Mapping[str, int], class_names: Sequence[str]) -> ImageSet:
    """Give the classes of an image set the numbers of a network's outputs.

    Parameters
    ----------
    image_set : ImageSet
    outputs : mapping of str to int
        Output of each of its classes; images of a class that has none are left without a label.
    class_names : sequence of str
        Of all outputs.

    Returns
    -------
    ImageSet
        With the same images in the same order, and the fingerprint of the set as it came.
    """
    numbers = np.full(len(image_set.class_names) + 1, NO_LABEL, dtype=np.int64)  # the last for what had no label before
    for place, name in enumerate(image_set.class_names):
        numbers[place] = outputs.get(name, NO_LABEL)
    known = image_set.fingerprint
    return replace(image_set, labels=numbers[image_set.labels], class_names=tuple(class_names), known_fingerprint=known)


def draw_labelled(image_set: ImageSet, sizes: SplitSizes, seed: int) -> Splits:
    """Draw splits among the images that have a label; the others belong to none.

    Raises
    ------
    InputError
        If too few have one.
    """
    known = np.flatnonzero(image_set.labels != NO_LABEL)
    if len(known) == 0:
        raise InputError("No image has a label, without which nothing can be fitted or judged.")
    own = image_set.own_splits
    test, validation = (int(np.isin(known, own[name]).sum()) for name in ("test", "validation"))
    drawn = Splits.draw_within(image_set.labels[known], sizes, seed, test, validation)
    return Splits(**{name: known[ids] for name, ids in drawn.to_arrays().items()})
