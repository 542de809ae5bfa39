"""Other networks trained on a bundle's data, each with its own I-defender: what gray-box attacks are shown to."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from telltale.base.images import to_floats
from telltale.models.classifier import Classifier
from telltale.models.trace import Trace
from telltale.recipes import get_recipe
from telltale.studies.tables.hidden_states import Judge, StateForm, fit_states
from telltale.studies.tables.lab import Lab
from telltale.studies.tables.training import learned_images, trained_network

AT_ONCE = 2000


@dataclass(frozen=True)
class SecondNetwork:
    """A network that the attacker has not seen.

    Attributes
    ----------
    classifier : Classifier
    judge : Judge
        Its I-defender.
    """

    classifier: Classifier
    judge: Judge


def second_network(
    lab: Lab, seed: int, epochs: int, base_width: int | None = None, depth: int | None = None
) -> SecondNetwork:
    """Train a network of the bundle's recipe and fit its I-defender; what is finished is read from the lab's folder.

    Parameters
    ----------
    lab : Lab
    seed : int
        Other than the bundle's, for other weights; the splits stay the bundle's.
    epochs : int
    base_width, depth : int, optional
        Other than the recipe's.
    """
    recipe = get_recipe(lab.recipe)
    recipe = replace(
        recipe, seed=seed, epochs=epochs, base_width=base_width or recipe.base_width, depth=depth or recipe.depth
    )
    images = len(learned_images(lab))
    name = f"{recipe.name}-w{recipe.base_width}-d{recipe.depth}-s{seed}-e{epochs}-n{images}"
    classifier = trained_network(lab, recipe, lab.folder / "networks" / f"{name}.safetensors")
    splits, labels = lab.loaded.bundle.splits, lab.image_set.labels
    assert classifier.head is not None
    width = classifier.head.weights.shape[1]
    model = fit_states(
        StateForm(classifier.layers[-1], False, width),
        lambda: (_trace(lab, classifier, splits.train), labels[splits.train]),
        lambda: (_trace(lab, classifier, splits.fit), labels[splits.fit]),
        classifier.classes,
        seed,
        lab.folder / "networks" / f"{name}-states.safetensors",
    )
    return SecondNetwork(classifier, Judge.of(model, _trace(lab, classifier, splits.calibration)))


def _trace(lab: Lab, classifier: Classifier, ids: npt.NDArray[np.int64]) -> Trace:
    parts = []
    for start in range(0, len(ids), AT_ONCE):  # as floats, all training images would take gigabytes
        lab.progress(start / len(ids), "Tracing images with the second network")
        trace = classifier.trace(to_floats(lab.image_set.pixels[ids[start : start + AT_ONCE]]))
        parts.append(Trace(trace.layers[-1:], trace.activations[-1:], trace.logits))
    return Trace.concatenate(parts)
