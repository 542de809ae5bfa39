"""Training a recipe's whole network anew on corrected training images, held-out images left as they are."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from telltale.base.progress import Progress, part
from telltale.data.image_set import ImageSet
from telltale.data.sources import load_image_set
from telltale.data.splits import SPLIT_NAMES, Splits
from telltale.model_errors.corrections import REMOVED, TrainingSet, as_arrays, require_corrections
from telltale.recipes import get_recipe

Ids = npt.NDArray[np.int64]


def retrain(name: str, file: Path, *, data: str | None, out: Path, progress: Progress) -> Path:
    """Train a recipe's network on its training images as a CSV of corrections leaves them, and write its weights.

    The splits are the recipe's own, so that its accuracy on test images can be compared with the uncorrected one's.
    A training that was killed goes on after its last finished epoch.

    Parameters
    ----------
    name : str
        Recipe.
    file : Path
        Corrections, as `telltale.model_errors.corrections.to_csv` writes them.
    data : str or None
        Data set instead of the recipe's own.
    out : Path
        Weights file; they never take the place of the recipe's own.
    progress : callable
        Told the done share and what is being done; may raise to stop.

    Returns
    -------
    Path
        The weights file.

    Raises
    ------
    InputError
        If the recipe or the data set is not known, or a row of the corrections is wrong.
    """
    # Here and not above: it brings torch, which reading corrections does not need.
    from telltale.models.training import accuracies, train_weights

    recipe = get_recipe(name)
    progress(0.0, f"Reading {data or recipe.source}")
    image_set = load_image_set(data or recipe.source)
    splits = Splits.draw_within(image_set.labels, recipe.sizes, recipe.seed, image_set.own_test)
    training = TrainingSet(splits.train, image_set.labels[splits.train], image_set.class_names)
    found = require_corrections(file.read_bytes(), training)
    corrected, kept = corrected_images(image_set, splits.train, *as_arrays(found))
    classifier = train_weights(recipe, corrected, kept, out, part(progress, 0.01, 0.95))
    progress(0.95, "Measuring the accuracy")
    measured = accuracies(classifier, image_set, replace(splits, train=kept))
    listed = ", ".join(f"{split} {measured[split]:.2%}" for split in SPLIT_NAMES if split != "train")
    progress(1.0, f"Accuracy on images that were not corrected: {listed}")
    return out


def corrected_images(image_set: ImageSet, train: Ids, ids: Ids, new_labels: Ids) -> tuple[ImageSet, Ids]:
    """Return the images with corrected labels, and which of the training images are left.

    Parameters
    ----------
    image_set : ImageSet
    train : array of int64, shape (n,)
        Training images.
    ids, new_labels : array of int64, shape (k,)
        As `telltale.model_errors.corrections.as_arrays` returns them.
    """
    kept = new_labels != REMOVED
    labels = image_set.labels.copy()
    labels[ids[kept]] = new_labels[kept]
    # A fingerprint of its own, also where images were only removed: neither an unfinished training nor weights of the
    # whole data may be taken for those of the corrected ones.
    digest = hashlib.sha256(image_set.fingerprint.encode())
    for array in (ids, new_labels):
        digest.update(np.ascontiguousarray(array).tobytes())
    return replace(image_set, labels=labels, known_fingerprint=digest.hexdigest()), np.setdiff1d(train, ids[~kept])
