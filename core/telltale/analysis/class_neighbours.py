"""Scored test images as the network saw them, each beside the nearest training image of the class it was read as."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from telltale.base.errors import InputError
from telltale.base.images import FloatImages
from telltale.base.progress import Progress, part
from telltale.evidence.nearest_of_class import NONE, nearest_of_class

if TYPE_CHECKING:
    from telltale.analysis.opened import LoadedBundle

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class ClassNeighbours:
    """n images and the nearest reference of each one's predicted class.

    Attributes
    ----------
    layer : str
        The layer whose pooled activations are compared: the input of the softmax head.
    images : array of float32, shape (n, C, H, W)
        As the network saw them: attacked again where they had been attacked.
    predictions : array of int64, shape (n,)
    ids : array of int64, shape (n,)
        Data-set ids of the neighbours; `NONE` where the class has no reference.
    distances : array of float64, shape (n,)
        Euclidean; NaN where there is no neighbour.
    """

    layer: str
    images: FloatImages
    predictions: Rows
    ids: Rows
    distances: npt.NDArray[np.float64]


def class_neighbours(
    loaded: LoadedBundle, ids: Sequence[int], attacks: Sequence[str], checkpoint: Progress
) -> ClassNeighbours:
    """Attack test images as behind the stored scores, and find the nearest reference of the class each is read as.

    The last row of Carrara et al.'s (2017) Table 3: the distance is Euclidean, between average-pooled activations that
    nothing was done to, whatever the detector's own processing.

    Parameters
    ----------
    loaded : LoadedBundle
    ids : sequence of int, length n
        Data-set ids.
    attacks : sequence of str, length n
        "" for an image that is not attacked.
    checkpoint : callable
        Told the done share and what is being done; may raise to stop.

    Raises
    ------
    InputError
        If there are none, the lengths differ, the images are not on this machine, or an attack is unknown.
    """
    if not ids or len(ids) != len(attacks):
        raise InputError(f"Give at least one image and as many attacks; got {len(ids)} and {len(attacks)}.")
    natural = loaded.bundle.require_images().images(np.asarray(ids, dtype=np.int64))
    images = []
    for place, (image, attack) in enumerate(zip(natural, attacks, strict=True)):
        step = part(checkpoint, place / len(ids), (place + 1) / len(ids))
        step(0.0, f"image {place + 1} of {len(ids)}")
        images.append(image if not attack else _attacked(loaded, image, attack, step))
    seen = np.stack(images)
    trace, reference = loaded.classifier.trace(seen), loaded.reference
    layer = reference.layers[-1]
    predictions = trace.predictions
    rows, distances = nearest_of_class(
        trace.activations[trace.layers.index(layer)], predictions, reference.activations(layer), reference.labels
    )
    found = np.where(rows == NONE, NONE, reference.ids[rows])
    return ClassNeighbours(layer, seen, predictions, found, distances)


def _attacked(loaded: LoadedBundle, image: FloatImages, attack: str, step: Progress) -> FloatImages:
    from telltale.analysis.analyse import attack_image  # whoever reads a result imports this module, without torch

    result = attack_image(loaded, image, attack, seed=loaded.bundle.manifest.seed, checkpoint=step)
    return np.asarray(result.images[0])
