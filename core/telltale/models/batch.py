"""One image as a classifier takes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from telltale.base.errors import InputError
from telltale.base.images import round_to_8_bits

if TYPE_CHECKING:
    from telltale.models.classifier import Classifier


def batch_of(classifier: Classifier, image: npt.ArrayLike) -> npt.NDArray[np.float32]:
    """Return one image (C, H, W) as a batch (1, C, H, W) on the 8-bit grid.

    Raises
    ------
    InputError
        If it is not an array of numbers in [0, 1] of the classifier's shape.
    """
    try:
        images = np.asarray(image, dtype=np.float32)[None]
    except (TypeError, ValueError) as error:
        raise InputError("An image must be an array of numbers in [0, 1].") from error
    classifier.check_images(images)
    return round_to_8_bits(images)
