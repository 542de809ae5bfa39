"""Other versions of images read in a pass of their own, for tests to compare with."""

from __future__ import annotations

import numpy as np

from telltale.evidence.squeezing import distances_to, squeezed
from telltale.evidence.stability import margins_of, transformed
from telltale.models.classifier import Classifier


def squeezed_distances(classifier: Classifier, images: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """L1 distances between the softmax outputs of images and of their squeezed versions, (n, S)."""
    return distances_to(_logits(classifier, squeezed(images)), probabilities)


def transformed_margins(classifier: Classifier, images: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Margins of classes after each transform of the images, (n, T)."""
    return margins_of(_logits(classifier, transformed(images)), classes)


def _logits(classifier: Classifier, versions: np.ndarray) -> np.ndarray:
    return np.stack([classifier.logits_of(version) for version in versions])
