"""How well wrong labels are found: flip some on purpose, learn from them, and look for them in the list."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from telltale.base.errors import DamagedBundleError, InputError
from telltale.base.progress import Progress as Report
from telltale.base.progress import Share, stage
from telltale.data.image_set import ImageSet
from telltale.data.sources import load_image_set
from telltale.data.splits import Splits
from telltale.evidence.influence import fit_head
from telltale.model_errors.suspicious import SuspiciousImages, rank_labels
from telltale.models.classifier import Classifier
from telltale.models.training import recipe_spec, shipped_weights, train_classifier, train_weights
from telltale.models.weights import load_weights, trained_on
from telltale.recipes import Recipe, get_recipe

Ids = npt.NDArray[np.int64]

FIRST = (100, 200, 300, 500)
TRACED_AT_ONCE = 500
DAMPING = 1e-3
HEAD_TOLERANCE = 1e-8


@dataclass(frozen=True)
class PlantedErrors:
    """What became of labels that were flipped on purpose.

    Attributes
    ----------
    recipe : str
    protocol : str
        What learned from the flipped labels, in words.
    training_images, planted : int
    seed : int
        Of the choice of images and of their new labels.
    found : mapping of int to int
        Planted errors among the first n of the list, by n.
    ranks : tuple of int
        Places of all planted errors in the list, from 1, ascending.
    accuracy : float
        Of the network, on test images.
    ranking_seconds : float
        Processor time to rank all training images, the network and its head given.
    method : str
        How self-influence was computed.
    """

    recipe: str
    protocol: str
    training_images: int
    planted: int
    seed: int
    found: dict[int, int]
    ranks: tuple[int, ...]
    accuracy: float
    ranking_seconds: float
    method: str

    def to_json(self) -> dict[str, Any]:
        """Return it as what JSON can hold."""
        return asdict(self) | {"found": {str(n): count for n, count in self.found.items()}, "ranks": list(self.ranks)}


@dataclass(frozen=True)
class Plan:
    """What is tried.

    Attributes
    ----------
    recipe : Recipe
    count : int
        Labels to flip.
    seed : int
    head_only : bool
        Leave the recipe's own network, which learned from the right labels, as it is and let only its softmax head
        learn from the flipped ones. The list then has it easier: no feature was bent towards a wrong label.
    work : Path, optional
        Where the network is kept: training that was stopped goes on, and a finished network is used again.
    """

    recipe: Recipe
    count: int = 100
    seed: int = 0
    head_only: bool = False
    work: Path | None = None


def flip_labels(labels: Ids, ids: Ids, count: int, classes: int, seed: int) -> tuple[Ids, Ids]:
    """Give some images another label, drawn evenly from the other classes.

    Parameters
    ----------
    labels : array of int64, shape (N,)
        Of the whole data set.
    ids : array of int64, shape (n,)
        Images to choose from.
    count : int
        How many.
    classes, seed : int

    Returns
    -------
    array of int64, shape (N,)
        All labels afterwards.
    array of int64, shape (count,)
        The images whose label was flipped, ascending.

    Raises
    ------
    InputError
        If there are fewer images than labels to flip.
    """
    if not 1 <= count <= len(ids):
        raise InputError(f"The number of labels to flip must be an integer in [1, {len(ids)}], got {count}.")
    draws = np.random.default_rng(seed)
    chosen = np.sort(draws.choice(ids, count, replace=False))
    flipped = labels.copy()
    flipped[chosen] = (labels[chosen] + draws.integers(1, classes, count)) % classes
    return flipped, chosen


def plant_errors(
    name: str,
    report: Report,
    *,
    data: str | None = None,
    count: int = 100,
    seed: int = 0,
    head_only: bool = False,
    epochs: int | None = None,
    width: int | None = None,
    work: Path | None = None,
) -> PlantedErrors:
    """Flip labels of a recipe's training images, let a network learn from them, and look for them in the list.

    Parameters
    ----------
    name : str
        Recipe.
    report : callable
        Told the done share and what is being done.
    data : str, optional
        Data set instead of the recipe's own.
    count, seed, head_only, work
        See `Plan`.
    epochs, width : int, optional
        Train more briefly, or a narrower network, than the recipe does.

    Raises
    ------
    InputError
        If the recipe or the data are not known, or the recipe's own network is asked for but not on this machine or
        learned from other data.
    """
    recipe = replace(get_recipe(name), twin=None)
    shorter = replace(recipe, epochs=epochs or recipe.epochs, base_width=width or recipe.base_width)
    if head_only and shorter != recipe:
        raise InputError("Only a network that is trained can have its epochs or its width changed.")
    report(0.0, f"Reading {data or recipe.source}")
    return measure(Plan(shorter, count, seed, head_only, work), load_image_set(data or recipe.source), report)


def measure(plan: Plan, image_set: ImageSet, report: Report) -> PlantedErrors:
    """Carry out a plan on an image set; see `plant_errors`."""
    recipe, classes = plan.recipe, len(image_set.class_names)
    splits = Splits.draw_within(image_set.labels, recipe.sizes, recipe.seed, *image_set.own_held_out)
    labels, flipped = flip_labels(image_set.labels, splits.train, plan.count, classes, plan.seed)
    noisy = replace(image_set, labels=labels, known_fingerprint=None)
    if plan.head_only:
        classifier, protocol = _own_network(recipe, image_set), "the recipe's network, its head refitted"
    else:
        classifier = _trained(plan, noisy, splits.train, lambda f, m: report(0.8 * f, m))
        protocol = f"a network of width {recipe.base_width}, trained for {recipe.epochs} epochs"
    train = _hidden(classifier, noisy, splits.train, report, 0.8, 0.88)
    report(0.88, "Refitting the head")
    given = labels[splits.train]
    head = fit_head(train, given, classes, DAMPING, tolerance=HEAD_TOLERANCE)
    started = time.process_time()
    found = rank_labels(
        splits.train, train, given, classes, head, lambda f, m: report(0.94 + 0.03 * f, "Ranking, " + m)
    )
    seconds = time.process_time() - started
    accuracy = _accuracy(classifier, image_set, splits.test, stage(report, 0.97, 1.0, "Measuring the accuracy"))
    ranks = ranks_of(found, flipped)
    return PlantedErrors(
        recipe=recipe.name,
        protocol=protocol,
        training_images=len(splits.train),
        planted=plan.count,
        seed=plan.seed,
        found={first: sum(rank <= first for rank in ranks) for first in FIRST},
        ranks=ranks,
        accuracy=accuracy,
        ranking_seconds=seconds,
        method=found.method,
    )


def ranks_of(found: SuspiciousImages, ids: Ids | Sequence[int]) -> tuple[int, ...]:
    """Return the places of some images in the list, from 1, ascending."""
    return tuple(int(place) + 1 for place in np.flatnonzero(np.isin(found.ids, ids)))


def _own_network(recipe: Recipe, image_set: ImageSet) -> Classifier:
    file = shipped_weights(recipe.name)
    if not file.exists():
        raise InputError(f"The recipe '{recipe.name}' has no trained network here; leave --head-only out.")
    if trained_on(file) != image_set.fingerprint:
        raise InputError(f"The network of '{recipe.name}' learned from other data; leave --head-only out.")
    return load_weights(recipe_spec(recipe, image_set), file)


def _trained(plan: Plan, noisy: ImageSet, ids: Ids, report: Report) -> Classifier:
    recipe = plan.recipe
    if plan.work is None:
        return train_classifier(recipe, noisy, ids, report)
    plan.work.mkdir(parents=True, exist_ok=True)
    name = f"{recipe.name}-{recipe.base_width}x{recipe.epochs}-{plan.count}-{plan.seed}.safetensors"
    file = plan.work / name
    if _learned_from(file, noisy):
        return load_weights(recipe_spec(recipe, noisy), file)
    return train_weights(recipe, noisy, ids, file, report)


def _learned_from(file: Path, noisy: ImageSet) -> bool:
    try:
        return trained_on(file) == noisy.fingerprint
    except DamagedBundleError:
        return False


def _hidden(
    classifier: Classifier, image_set: ImageSet, ids: Ids, report: Report, start: float, end: float
) -> npt.NDArray[np.float32]:
    """Return the hidden states (n, d) of some images, with progress."""
    tell, parts = stage(report, start, end, "Tracing images"), []
    for first in range(0, len(ids), TRACED_AT_ONCE):
        tell(first / len(ids))
        parts.append(classifier.trace(image_set.images(ids[first : first + TRACED_AT_ONCE])).hidden)
    return np.concatenate(parts)


def _accuracy(classifier: Classifier, image_set: ImageSet, ids: Ids, tell: Share) -> float:
    correct = 0
    for first in range(0, len(ids), TRACED_AT_ONCE):
        tell(first / len(ids))
        part = ids[first : first + TRACED_AT_ONCE]
        correct += int((classifier.predict(image_set.images(part)) == image_set.labels[part]).sum())
    return correct / len(ids)
