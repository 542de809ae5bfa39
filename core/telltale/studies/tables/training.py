"""Networks trained for a table on a bundle's data."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from telltale.data.splits import Splits
from telltale.models.classifier import Classifier
from telltale.models.training import recipe_spec, train_weights
from telltale.models.weights import load_weights
from telltale.recipes import Recipe, get_recipe
from telltale.studies.tables.lab import Lab


def learned_images(lab: Lab) -> npt.NDArray[np.int64]:
    """Return the ids of all images that the bundle's network has learned from; its references may be only some."""
    recipe, images = get_recipe(lab.recipe), lab.image_set
    return Splits.draw_within(images.labels, recipe.sizes, recipe.seed, *images.own_held_out).train


def trained_network(lab: Lab, recipe: Recipe, file: Path) -> Classifier:
    """Train a network on what the bundle's has learned from, or read the one that an earlier run has finished.

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
        train_weights(alone, lab.image_set, learned_images(lab), file, lab.progress)
    return load_weights(recipe_spec(alone, lab.image_set), file)
