"""Training of the classifiers that bundles are built around."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from core.bundle.bundle import PRECOMPUTED
from core.bundle.store import load_arrays, save_arrays
from core.data.image_set import ImageSet
from core.data.sources import load_image_set
from core.data.splits import SPLIT_NAMES, Splits
from core.errors import DamagedBundleError, InputError
from core.models.classifier import Architecture, Classifier
from core.recipes import Recipe, get_recipe

Progress = Callable[[float, str], None]


def train(name: str, *, data: str | None = None, out: Path | None = None, progress: Progress) -> Path:
    """Train a recipe's classifier and write its weights.

    Parameters
    ----------
    name : str
        Recipe.
    data : str, optional
        Data set instead of the recipe's own.
    out : Path, optional
        Weights file; ``precomputed/weights/NAME.safetensors`` where left out.
    progress : callable
        Told the fraction done and what is being done.

    Returns
    -------
    Path
        The weights file.

    Raises
    ------
    InputError
        If the recipe or the data set is not known, or weights for other data would replace the recipe's own.
    """
    recipe = get_recipe(name)
    source = data or recipe.source
    if out is None and source != recipe.source:
        raise InputError(
            f"The weights of '{name}' belong to data '{recipe.source}'; name a file for others with --out."
        )
    image_set = load_image_set(source)
    splits = Splits.draw(image_set.labels, recipe.sizes, recipe.seed)
    classifier = train_classifier(recipe, image_set, splits.train, lambda f, m: progress(0.95 * f, m))
    found = accuracies(classifier, image_set, splits)
    file = out or PRECOMPUTED / "weights" / f"{name}.safetensors"
    save_weights(classifier, file)
    progress(1.0, "Accuracy: " + ", ".join(f"{split} {value:.2%}" for split, value in found.items()))
    return file


def train_classifier(recipe: Recipe, image_set: ImageSet, ids: npt.NDArray[np.int64], progress: Progress) -> Classifier:
    """Train with SGD on cross-entropy under a one-cycle learning rate; the same seed gives the same weights.

    Parameters
    ----------
    recipe : Recipe
    image_set : ImageSet
    ids : array of int64, shape (n,)
        Training images.
    progress : callable
    """
    torch.set_num_threads(1)  # the order of float additions, and so the result, must not depend on the machine
    images, labels = torch.from_numpy(image_set.images(ids)), torch.from_numpy(image_set.labels[ids])
    draws = torch.Generator().manual_seed(recipe.seed)
    with torch.random.fork_rng():
        torch.manual_seed(recipe.seed)
        classifier = Classifier(architecture_of(recipe, image_set), float(images.mean()), float(images.std()))
    classifier.train()
    optimiser = torch.optim.SGD(
        classifier.parameters(), recipe.learning_rate, momentum=0.9, nesterov=True, weight_decay=recipe.weight_decay
    )
    batches = -(-len(ids) // recipe.batch_size)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, recipe.learning_rate, total_steps=recipe.epochs * batches)
    for epoch in range(recipe.epochs):
        progress(epoch / recipe.epochs, f"Training, epoch {epoch + 1} of {recipe.epochs}")
        for batch in torch.split(torch.randperm(len(ids), generator=draws), recipe.batch_size):
            loss = nn.functional.cross_entropy(classifier(images[batch]), labels[batch])
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
    return classifier.eval()


def architecture_of(recipe: Recipe, image_set: ImageSet) -> Architecture:
    """Shape a recipe's network for a data set."""
    channels, height, width = image_set.pixels.shape[1:]
    return Architecture(channels, height, width, len(image_set.class_names), recipe.base_width, recipe.depth)


def accuracies(classifier: Classifier, image_set: ImageSet, splits: Splits) -> dict[str, float]:
    """Share of correct predictions on every split."""
    found = {}
    for split in SPLIT_NAMES:
        ids = getattr(splits, split)
        found[split] = float((classifier.predict(image_set.images(ids)) == image_set.labels[ids]).mean())
    return found


def save_weights(classifier: Classifier, file: Path) -> None:
    """Write all parameters and buffers, normalisation included; the file appears whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_name(f".{file.name}-{os.getpid()}.partial")
    try:
        save_arrays(partial, {key: value.numpy() for key, value in classifier.state_dict().items()})
        partial.replace(file)
    finally:
        partial.unlink(missing_ok=True)


def load_weights(architecture: Architecture, file: Path) -> Classifier:
    """Rebuild a classifier from its weights.

    Raises
    ------
    DamagedBundleError
        If the file does not fit the architecture.
    """
    classifier = Classifier(architecture)
    state = {key: torch.from_numpy(value.copy()) for key, value in load_arrays(file).items()}
    try:
        classifier.load_state_dict(state)
    except RuntimeError as error:
        raise DamagedBundleError(f"The weights in '{file.name}' do not fit the network of this bundle.") from error
    return classifier.eval()
