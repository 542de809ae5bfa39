"""Classes of a bundle's images that none of its references has: nothing can be compared with them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from telltale.bundle.own_data import noted_outputs
from telltale.models.class_names import listed

if TYPE_CHECKING:
    from telltale.bundle.bundle import Bundle


def absent_classes(bundle: Bundle) -> tuple[str, ...]:
    """Return the names of these classes, in the order of the outputs.

    Of a network with more outputs than the data have classes, only those that stand for a class of the data count.

    Parameters
    ----------
    bundle : Bundle
        With images that have labels; of others there are none.

    Raises
    ------
    DamagedBundleError
        If its labels, or the note of its classes, cannot be read.
    """
    if not bundle.labelled:
        return ()
    outputs = noted_outputs(bundle.notes, len(bundle.class_names))
    declared = range(len(bundle.class_names)) if outputs is None else outputs.values()
    return tuple(bundle.class_names[label] for label in np.setdiff1d(list(declared), bundle.training_labels))


def absent_words(bundle: Bundle) -> str | None:
    """Say which classes these are, in one sentence; None where every class has a reference."""
    absent = absent_classes(bundle)
    if not absent:
        return None
    several = len(absent) > 1
    return (
        f"It has no reference image of {listed(absent)}: {'these classes are' if several else 'this class is'} absent "
        "from neighbours, trajectories and densities."
    )
