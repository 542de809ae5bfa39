"""Whether an attacked image is still adversarial after it was saved as a file and opened again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from telltale.analysis.results import SavedReading
from telltale.attacks.base import UNTARGETED
from telltale.base.images import FloatImages
from telltale.data.uploads import decode_image, jpeg_bytes, png_bytes, to_model_input

if TYPE_CHECKING:
    from telltale.analysis.opened import LoadedBundle

JPEG_QUALITY = 90
FORMATS = ("PNG", f"JPEG {JPEG_QUALITY}")


def save(image: FloatImages, file: str) -> bytes:
    """Return the file that an image becomes.

    Parameters
    ----------
    image : array of float32, shape (C, H, W)
        In [0, 1], on the 8-bit grid.
    file : str
        One of `FORMATS`. PNG keeps every pixel; JPEG halves the resolution of colours, as cameras do.
    """
    return png_bytes(image) if file == "PNG" else jpeg_bytes(image, JPEG_QUALITY)


def survival(
    loaded: LoadedBundle, attacked: FloatImages, label: int, target: int = UNTARGETED
) -> tuple[SavedReading, ...]:
    """Save an attacked image in every format, open it again and read it.

    Parameters
    ----------
    loaded : LoadedBundle
    attacked : array of float32, shape (C, H, W)
        In [0, 1].
    label : int
        Class that the natural image is read as.
    target : int
        Class that the attack aimed at; -1 where any other than `label` will do.

    Returns
    -------
    tuple of SavedReading
        In the order of `FORMATS`.

    Raises
    ------
    InputError
        If the image is not one for this classifier.
    """
    from telltale.analysis.analyse import predict_image

    readings = []
    for file in FORMATS:
        data = save(attacked, file)
        opened = to_model_input(decode_image(data), (attacked.shape[0], attacked.shape[1], attacked.shape[2]))
        prediction = predict_image(loaded, opened)
        adversarial = prediction.label != label if target == UNTARGETED else prediction.label == target
        readings.append(
            SavedReading(file, len(data), float(np.abs(opened - attacked).max()), prediction, bool(adversarial))
        )
    return tuple(readings)
