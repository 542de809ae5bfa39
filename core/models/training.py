"""Training of the classifiers that bundles are built around."""

from __future__ import annotations

import hashlib
import json
import os
import warnings
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

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
from core.models.augmentation import Augmentation
from core.models.classifier import Architecture, Classifier
from core.models.compute import Compute
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
    progress(0.0, f"Reading {source}")
    image_set = load_image_set(source)
    splits = Splits.draw(image_set.labels, recipe.sizes, recipe.seed, image_set.own_test)
    file = out or PRECOMPUTED / "weights" / f"{name}.safetensors"
    checkpoint = Checkpoint.beside(file, recipe, image_set)
    classifier = train_classifier(
        recipe, image_set, splits.train, lambda f, m: progress(0.01 + 0.94 * f, m), checkpoint
    )
    found = accuracies(classifier, image_set, splits)
    save_weights(classifier, file)
    checkpoint.remove()
    progress(1.0, "Accuracy: " + ", ".join(f"{split} {value:.2%}" for split, value in found.items()))
    return file


def train_classifier(
    recipe: Recipe,
    image_set: ImageSet,
    ids: npt.NDArray[np.int64],
    progress: Progress,
    checkpoint: Checkpoint | None = None,
) -> Classifier:
    """Train with SGD on cross-entropy under a one-cycle learning rate.

    Parameters
    ----------
    recipe : Recipe
        With `mixed_precision`, on CUDA or all cores, in bfloat16 where the processor has it; otherwise on one thread
        in float32, so that the same seed gives the same weights everywhere.
    image_set : ImageSet
    ids : array of int64, shape (n,)
        Training images.
    progress : callable
    checkpoint : Checkpoint, optional
        Where every epoch is kept, and from where training goes on.
    """
    run = _TrainingRun(recipe, image_set, ids)
    done = 0 if checkpoint is None else checkpoint.resume(run)
    for epoch in range(done, recipe.epochs):
        run.epoch(
            lambda share, e=epoch: progress((e + share) / recipe.epochs, f"Training, epoch {e + 1} of {recipe.epochs}")
        )  # type: ignore[misc]
        if checkpoint is not None:
            checkpoint.keep(run, epoch + 1)
    return run.finished()


class _TrainingRun:
    """A network, its optimiser and everything random, between two epochs."""

    def __init__(self, recipe: Recipe, image_set: ImageSet, ids: npt.NDArray[np.int64]) -> None:
        self.recipe = recipe
        self.compute = Compute.of(recipe)
        pixels = torch.from_numpy(image_set.pixels[ids])
        self.augmentation = Augmentation(pixels, recipe.shift, recipe.flip)
        self.labels = torch.from_numpy(image_set.labels[ids])
        self.draws = torch.Generator().manual_seed(recipe.seed)
        images = pixels.float() / 255.0
        with torch.random.fork_rng():
            torch.manual_seed(recipe.seed)
            classifier = Classifier(architecture_of(recipe, image_set), float(images.mean()), float(images.std()))
        self.classifier = self.compute.place(classifier)
        self.optimiser = torch.optim.SGD(
            self.classifier.parameters(),
            recipe.learning_rate,
            momentum=0.9,
            nesterov=True,
            weight_decay=recipe.weight_decay,
        )
        batches = -(-len(ids) // recipe.batch_size)
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(
            self.optimiser, recipe.learning_rate, total_steps=recipe.epochs * batches
        )

    def epoch(self, progress: Callable[[float], None]) -> None:
        """Go once over all images."""
        self.classifier.train()
        order = torch.randperm(len(self.labels), generator=self.draws)
        batches = torch.split(order, self.recipe.batch_size)
        for done, rows in enumerate(batches):
            progress(done / len(batches))
            images = self.compute.move(self.augmentation.batch(rows, self.draws))
            labels = self.labels[rows].to(images.device)
            with self.compute.precision():
                logits = self.classifier(images)
            loss = nn.functional.cross_entropy(logits.float(), labels)
            self.optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            self.optimiser.step()
            self.schedule.step()

    def finished(self) -> Classifier:
        """Return the classifier, in evaluation mode, on the processor."""
        return self.classifier.to("cpu", memory_format=torch.contiguous_format).eval()

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return everything that later epochs depend on."""
        state = {f"model.{key}": value.cpu().numpy() for key, value in self.classifier.state_dict().items()}
        for index, parameter in enumerate(self.classifier.parameters()):
            state[f"momentum.{index}"] = self.optimiser.state[parameter]["momentum_buffer"].cpu().numpy()
        return state | {"draws": self.draws.get_state().numpy()}

    def restore(self, arrays: Mapping[str, npt.NDArray[Any]], epochs: int) -> None:
        """Go back to where `arrays` were taken, after some epochs."""
        model = {key.removeprefix("model."): value for key, value in arrays.items() if key.startswith("model.")}
        self.classifier.load_state_dict({key: torch.from_numpy(value.copy()) for key, value in model.items()})
        for index, parameter in enumerate(self.classifier.parameters()):
            buffer = torch.from_numpy(arrays[f"momentum.{index}"].copy())
            self.optimiser.state[parameter]["momentum_buffer"] = buffer.to(parameter.device).clone(
                memory_format=torch.preserve_format
            )
        self.draws.set_state(torch.from_numpy(arrays["draws"].copy()))
        steps = epochs * -(-len(self.labels) // self.recipe.batch_size)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # the optimiser's own steps were taken by another process
            for _ in range(steps):
                self.schedule.step()


@dataclass(frozen=True)
class Checkpoint:
    """A file that keeps an unfinished training, bound to its recipe and data.

    Attributes
    ----------
    file : Path
    key : str
        Hexadecimal; a checkpoint of another recipe or other data is passed over.
    """

    file: Path
    key: str

    @classmethod
    def beside(cls, weights: Path, recipe: Recipe, image_set: ImageSet) -> Checkpoint:
        """Return the checkpoint of a training that will write `weights`."""
        choices = json.dumps([asdict(recipe), image_set.fingerprint, torch.__version__], sort_keys=True)
        key = hashlib.sha256(choices.encode()).hexdigest()[:16]
        return cls(weights.with_name(f".{weights.stem}-{key}.training"), key)

    def resume(self, run: _TrainingRun) -> int:
        """Take a run to where it was left; returns the number of finished epochs."""
        if not self.file.exists():
            return 0
        arrays = load_arrays(self.file)
        epochs = int(arrays["epochs"])
        run.restore(arrays, epochs)
        return epochs

    def keep(self, run: _TrainingRun, epochs: int) -> None:
        """Replace what is kept."""
        _write_whole(self.file, run.arrays() | {"epochs": np.array(epochs)})

    def remove(self) -> None:
        """Forget the training: it is finished."""
        self.file.unlink(missing_ok=True)


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
    _write_whole(file, {key: value.numpy() for key, value in classifier.state_dict().items()})


def _write_whole(file: Path, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_name(f".{file.name}-{os.getpid()}.partial")
    try:
        save_arrays(partial, arrays)
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
