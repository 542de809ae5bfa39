"""The classifier and the photographs that every benchmark works on."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from telltale.base.errors import InputError
from telltale.base.images import FloatImages
from telltale.base.places import PRECOMPUTED
from telltale.data.image_set import ImageSet
from telltale.data.sources import DATA_VARIABLE, load_image_set
from telltale.data.splits import Splits
from telltale.models.classifier import Classifier
from telltale.models.training import recipe_spec
from telltale.models.weights import load_weights
from telltale.recipes import CIFAR10

WEIGHTS = PRECOMPUTED / "weights" / "cifar10.safetensors"
SHARED_DATA = Path(__file__).parents[3] / "shared" / "data"
IMAGES = 200


@dataclass(frozen=True)
class Photographs:
    """The shipped CIFAR-10 classifier, its data, and test images that it gets right.

    Attributes
    ----------
    classifier : Classifier
    image_set : ImageSet
    splits : Splits
    ids : array of int64, shape (200,)
        Correctly classified test images.
    """

    classifier: Classifier
    image_set: ImageSet
    splits: Splits
    ids: npt.NDArray[np.int64]

    @property
    def images(self) -> FloatImages:
        """The test images, shape (200, 3, 32, 32)."""
        return self.image_set.images(self.ids)

    @property
    def labels(self) -> npt.NDArray[np.int64]:
        """Their classes, shape (200,)."""
        return self.image_set.labels[self.ids]


@pytest.fixture(scope="session")
def photographs() -> Photographs:
    """Open the CIFAR-10 classifier and 200 test images that it gets right, or skip with the reason."""
    if not WEIGHTS.exists():
        pytest.skip(f"there are no weights in {WEIGHTS}: run `telltale train cifar10`")
    image_set = _load_images()
    classifier = load_weights(recipe_spec(CIFAR10, image_set), WEIGHTS)
    splits = Splits.draw(image_set.labels, CIFAR10.sizes, CIFAR10.seed, image_set.own_test)
    first = splits.test[: 2 * IMAGES]
    correct = classifier.predict(image_set.images(first)) == image_set.labels[first]
    return Photographs(classifier, image_set, splits, first[correct][:IMAGES])


def _load_images() -> ImageSet:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(DATA_VARIABLE, os.pathsep.join([os.environ.get(DATA_VARIABLE, ""), str(SHARED_DATA)]))
        try:
            return load_image_set("cifar10", download=False)
        except InputError as error:
            pytest.skip(f"{error} Looked in {SHARED_DATA} and in the folders of {DATA_VARIABLE}.")
