"""Training of the classifiers that bundles are built around."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch

from telltale.base.errors import DamagedBundleError, InputError
from telltale.base.files import load_arrays, load_metadata
from telltale.base.places import PRECOMPUTED, newest, writable
from telltale.base.progress import Progress, part
from telltale.data.duplicates import warn_of_shared
from telltale.data.image_set import ImageSet
from telltale.data.sources import load_image_set
from telltale.data.splits import SPLIT_NAMES, Splits
from telltale.models.classifier import Classifier, arrays_sha256
from telltale.models.spec import EARLY_RESNET, ClassifierSpec, early_resnet_spec, small_resnet_spec
from telltale.models.training_run import TrainingRun
from telltale.models.weights import save_weights, trained_on, write_whole
from telltale.recipes import Recipe, get_recipe

CHECKSUM_KEY = "sha256"
AT_ONCE = 2048
OF_NETWORK = 0.85  # of the progress of a training that goes on with a twin, which is smaller
AFTER_TRAINING = ("title", "attacks", "macro_attacks", "trained_on", "drawn", "story")


def train(name: str, *, data: str | None = None, out: Path | None = None, progress: Progress) -> Path:
    """Train a recipe's classifier and write its weights.

    A training that was killed goes on after its last finished epoch.

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
        If the recipe or the data set is not known, the file cannot be written, or the recipe's own weights were
        trained on other data and `out` is left out.
    """
    recipe = get_recipe(name)
    source = data or recipe.source
    file = out or writable(shipped_weights(name))
    _check_writable(file)
    progress(0.0, f"Reading {source}")
    image_set = load_image_set(source)
    if out is None:
        _check_own_data(name, file, image_set)
    splits = Splits.draw_within(image_set.labels, recipe.sizes, recipe.seed, *image_set.own_held_out)
    warn_of_shared(image_set, splits)
    checkpoint = Checkpoint.beside(file, recipe, image_set)
    classifier = train_classifier(recipe, image_set, splits.train, part(progress, 0.01, 0.95), checkpoint)
    progress(0.95, "Measuring the accuracy")
    found = accuracies(classifier, image_set, splits)
    save_weights(classifier, file, data=image_set.fingerprint)
    checkpoint.remove()
    progress(1.0, "Accuracy: " + ", ".join(f"{split} {value:.2%}" for split, value in found.items()))
    return file


def train_weights(
    recipe: Recipe, image_set: ImageSet, ids: npt.NDArray[np.int64], file: Path, progress: Progress
) -> Classifier:
    """Train as `train_classifier` does and write the weights; one that was killed goes on after its last epoch.

    Parameters
    ----------
    recipe : Recipe
    image_set : ImageSet
    ids : array of int64, shape (n,)
        Training images.
    file : Path
    progress : callable
    """
    checkpoint = Checkpoint.beside(file, recipe, image_set)
    classifier = train_classifier(recipe, image_set, ids, progress, checkpoint)
    save_weights(classifier, file, data=image_set.fingerprint)
    checkpoint.remove()
    return classifier


def train_classifier(
    recipe: Recipe,
    image_set: ImageSet,
    ids: npt.NDArray[np.int64],
    progress: Progress,
    checkpoint: Checkpoint | None = None,
) -> Classifier:
    """Train with SGD on cross-entropy, labels smoothed where the recipe says so, under a one-cycle learning rate.

    Parameters
    ----------
    recipe : Recipe
        Its twin, if it has one, is trained next. With `mixed_precision`, on CUDA or all cores, in bfloat16 where the
        processor has it; otherwise on one thread in float32, so that the same seed gives the same weights on every
        machine with the same kind of processor.
    image_set : ImageSet
    ids : array of int64, shape (n,)
        Training images.
    progress : callable
    checkpoint : Checkpoint, optional
        Where every epoch is kept, and from where training goes on.
    """
    second = recipe.of_twin()
    if second is None:
        return _train_network(recipe, image_set, ids, progress, checkpoint)
    classifier = _train_network(recipe, image_set, ids, part(progress, 0.0, OF_NETWORK), checkpoint)
    beside = None if checkpoint is None else Checkpoint.beside(checkpoint.weights, second, image_set)
    return classifier.take_twin(_train_network(second, image_set, ids, part(progress, OF_NETWORK, 1.0), beside))


def _train_network(
    recipe: Recipe,
    image_set: ImageSet,
    ids: npt.NDArray[np.int64],
    progress: Progress,
    checkpoint: Checkpoint | None,
) -> Classifier:
    run = TrainingRun(recipe, network_spec(recipe, image_set), image_set.pixels[ids], image_set.labels[ids])
    first = 0 if checkpoint is None else checkpoint.resume(run)
    tell = _pace(progress, recipe.epochs, len(ids), first)
    for epoch in range(first, recipe.epochs):
        run.epoch(partial(tell, epoch))
        if checkpoint is not None:
            checkpoint.keep(run, epoch + 1)
    return run.finished()


def _pace(progress: Progress, epochs: int, images: int, first: int) -> Callable[[int, int], None]:
    """Return what turns (epoch, images done in it) into progress, with the speed since now, the `first` epoch."""
    started = time.monotonic()

    def tell(epoch: int, done: int) -> None:
        words = f"Training, epoch {epoch + 1} of {epochs}"
        fresh = (epoch - first) * images + done
        if fresh:
            words += f", {fresh / (time.monotonic() - started):.0f} images/s"
        progress((epoch + done / images) / epochs, words)

    return tell


class Resumable(Protocol):
    """Work in steps whose state can be taken out and put back."""

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return everything that later steps depend on."""

    def restore(self, arrays: Mapping[str, npt.NDArray[Any]], epochs: int) -> None:
        """Go from the beginning to where `arrays` were taken, after some epochs."""


@dataclass(frozen=True)
class Checkpoint:
    """A file that keeps an unfinished training, bound to its recipe, data and code.

    Attributes
    ----------
    weights : Path
        What the training will write; the checkpoint lies beside it.
    key : str
        Hexadecimal; a checkpoint with another key is passed over.
    """

    weights: Path
    key: str

    @classmethod
    def beside(cls, weights: Path, recipe: Recipe, image_set: ImageSet) -> Checkpoint:
        """Return the checkpoint of a training that will write `weights`."""
        chosen = {name: value for name, value in asdict(recipe).items() if name not in AFTER_TRAINING}
        data = [image_set.fingerprint, image_set.own_test, *filter(None, [image_set.own_validation])]
        choices = json.dumps([chosen, data, torch.__version__, _code_sha256()], sort_keys=True)
        return cls(weights, hashlib.sha256(choices.encode()).hexdigest()[:16])

    @property
    def file(self) -> Path:
        """Where it lies."""
        return self.weights.with_name(f".{self.weights.stem}-{self.key}.training")

    def resume(self, run: Resumable) -> int:
        """Take a new run to where it was left; returns the number of finished epochs, 0 without a sound checkpoint."""
        try:
            arrays, checksum = load_arrays(self.file), load_metadata(self.file).get(CHECKSUM_KEY)
        except DamagedBundleError:  # there is none, or a kill or a full disk spoilt it: training starts anew
            return 0
        if checksum != arrays_sha256(arrays):
            return 0
        epochs = int(arrays["epochs"])
        run.restore(arrays, epochs)
        return epochs

    def keep(self, run: Resumable, epochs: int) -> None:
        """Replace what is kept."""
        arrays = run.arrays() | {"epochs": np.array(epochs)}
        write_whole(self.file, arrays, {CHECKSUM_KEY: arrays_sha256(arrays)})

    def remove(self) -> None:
        """Forget the training, which is finished, and those into the same file that were given up."""
        for left in self.weights.parent.glob(f".{self.weights.stem}-{16 * '[0-9a-f]'}.training"):
            left.unlink(missing_ok=True)


def recipe_spec(recipe: Recipe, image_set: ImageSet) -> ClassifierSpec:
    """Return what a recipe's classifier is made from for a data set's images and classes, its twin included."""
    second = recipe.of_twin()
    twin = None if second is None else network_spec(second, image_set)
    return replace(network_spec(recipe, image_set), twin=twin)


def network_spec(recipe: Recipe, image_set: ImageSet) -> ClassifierSpec:
    """Return what the network of a recipe alone is made from."""
    channels, height, width = image_set.pixels.shape[1:]
    describe = early_resnet_spec if recipe.network == EARLY_RESNET else small_resnet_spec
    return describe(channels, height, width, len(image_set.class_names), recipe.base_width, recipe.depth)


def accuracies(classifier: Classifier, image_set: ImageSet, splits: Splits) -> dict[str, float]:
    """Share of correct predictions on every split."""
    return {split: _accuracy(classifier, image_set, getattr(splits, split)) for split in SPLIT_NAMES}


def _accuracy(classifier: Classifier, image_set: ImageSet, ids: npt.NDArray[np.int64]) -> float:
    correct = 0
    for start in range(0, len(ids), AT_ONCE):  # as floats, all images of a large set would fill the memory
        part = ids[start : start + AT_ONCE]
        correct += int((classifier.predict(image_set.images(part)) == image_set.labels[part]).sum())
    return correct / len(ids)


def shipped_weights(name: str) -> Path:
    """Return where the weights of a recipe lie that come with Telltale or were trained in their place, if any are."""
    return newest(PRECOMPUTED / "weights" / f"{name}.safetensors")


def _check_writable(file: Path) -> None:
    """Refuse a file that cannot be written before minutes are spent on it."""
    if file.is_dir():
        raise InputError(f"'{file}' is a folder; name a file for the weights with --out.")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"The weights cannot be written to '{file}': {error.strerror}.") from error
    if not os.access(file.parent, os.W_OK):
        raise InputError(f"The weights cannot be written to '{file}': its folder is read-only; name a file with --out.")


def _check_own_data(name: str, file: Path, image_set: ImageSet) -> None:
    """Keep weights for other data from replacing the recipe's own unnoticed."""
    try:
        own = trained_on(file) == image_set.fingerprint
    except DamagedBundleError:  # nothing is lost
        return
    if file.exists() and not own:
        raise InputError(f"The weights of '{name}' were trained on other data; name a file for these with --out.")


def _code_sha256() -> str:
    """SHA-256 of the code that trains."""
    return arrays_sha256(
        {file.name: np.frombuffer(file.read_bytes(), np.uint8) for file in Path(__file__).parent.glob("*.py")}
    )
