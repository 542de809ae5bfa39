"""Networks trained for a table on a bundle's data."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from telltale.models.classifier import Classifier
from telltale.models.training import recipe_spec, train_weights
from telltale.models.weights import load_weights
from telltale.recipes import Recipe
from telltale.studies.tables.lab import Lab


def trained_network(lab: Lab, recipe: Recipe, file: Path) -> Classifier:
    """Train a network on the bundle's training images, or read the one that an earlier run has finished.

    Parameters
    ----------
    lab : Lab
    recipe : Recipe
        Of the bundle's data; its own splits are not used, nor is a twin trained.
    file : Path
        Where the weights are kept.
    """
    alone = replace(recipe, twin=None)
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        train_weights(alone, lab.image_set, lab.loaded.bundle.splits.train, file, lab.progress)
    return load_weights(recipe_spec(alone, lab.image_set), file)
