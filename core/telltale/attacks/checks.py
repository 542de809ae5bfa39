"""What `attack_images` accepts: each argument is checked, or refused with one sentence, before anything is run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from telltale.attacks.base import RANDOM, UNTARGETED, AnyAttack, IntArray, Targets
from telltale.attacks.randomness import draw_targets
from telltale.base.errors import InputError
from telltale.base.images import FloatImages, round_to_8_bits

if TYPE_CHECKING:
    from telltale.detectors.defence import Defence
    from telltale.models.classifier import Classifier


def check_defence(spec: AnyAttack, defence: Defence | None) -> None:
    """Refuse an attack that aims at detectors where there are none."""
    if spec.needs_detectors and defence is None:
        raise InputError(f"Attack '{spec.name}' aims at detectors: it needs a bundle's, not a classifier alone.")


def check_classes(spec: AnyAttack, classifier: Classifier) -> None:
    """Refuse a classifier with too few classes for the attack's loss."""
    if classifier.classes < spec.fewest_classes:
        raise InputError(
            f"Attack '{spec.name}' needs at least {spec.fewest_classes} classes: the classifier has "
            f"{classifier.classes}."
        )


def checked_images(classifier: Classifier, images: FloatImages) -> FloatImages:
    """Return images (n, C, H, W) that fit the classifier, rounded to 8 bits."""
    if not isinstance(images, np.ndarray) or images.dtype.kind != "f":
        raise InputError("Images must be a float array with values in [0, 1].")
    classifier.check_images(images)
    return round_to_8_bits(images)


def checked_seed(seed: int) -> int:
    """Return the seed as Python's int."""
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer):
        raise InputError(f"The seed must be an integer. Got {seed!r} instead.")
    return int(seed)


def checked_batch_size(batch_size: int) -> int:
    """Return a batch size of at least 1."""
    if isinstance(batch_size, bool) or not isinstance(batch_size, int | np.integer) or batch_size < 1:
        raise InputError(f"The batch size must be a positive integer. Got {batch_size!r} instead.")
    return int(batch_size)


def checked_labels(classifier: Classifier, natural: FloatImages, labels: IntArray) -> IntArray:
    """Return one of the classifier's classes per image, int64 (n,)."""
    return _checked_classes("labels", labels, len(natural), classifier.classes)


def checked_targets(
    classifier: Classifier, spec: AnyAttack, natural: FloatImages, labels: IntArray, targets: Targets, seed: int
) -> IntArray:
    """Return one class other than the label per image, or -1 where the attack is to be untargeted, int64 (n,)."""
    classes = classifier.classes
    if targets is None and not spec.random_target:
        return np.full(len(natural), UNTARGETED, dtype=np.int64)
    if not spec.targeted:
        raise InputError(f"Attack '{spec.name}' cannot be aimed at a target class.")
    if targets is None or isinstance(targets, str):
        if targets not in (None, RANDOM):
            raise InputError(f"Targets must be an array of classes or '{RANDOM}'. Got {targets!r} instead.")
        return draw_targets(natural, labels, classes, seed)
    checked = _checked_classes("targets", targets, len(natural), classes)
    if (checked == labels).any():
        raise InputError("A target must be another class than the image's label.")
    return checked


def _checked_classes(name: str, values: IntArray, count: int, classes: int) -> IntArray:
    array = np.asarray(values)
    if array.shape != (count,) or array.dtype.kind not in "iu":
        raise InputError(f"Expected {name} to be {count} integers, got {array.dtype} of shape {array.shape}.")
    if array.min() < 0 or array.max() >= classes:
        raise InputError(f"Expected {name} in [0, {classes - 1}], got {array.min()} to {array.max()}.")
    return array.astype(np.int64)
