"""A training between two epochs: the network, its optimiser and everything random."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from telltale.models.augmentation import Augmentation
from telltale.models.classifier import Classifier
from telltale.models.compute import Compute
from telltale.models.early_resnet import EarlyResNet
from telltale.models.spec import ClassifierSpec
from telltale.models.weights import make_classifier, round_to_half
from telltale.recipes import Recipe

STEM_IMAGES = 5000  # whose patches whiten the first layer of an `EarlyResNet`


class TrainingRun:
    """Trains a new network epoch by epoch; its state can be taken out and put back.

    Parameters
    ----------
    recipe : Recipe
    spec : ClassifierSpec
    pixels : array of uint8, shape (n, C, H, W)
    labels : array of int64, shape (n,)
    """

    def __init__(
        self,
        recipe: Recipe,
        spec: ClassifierSpec,
        pixels: npt.NDArray[np.uint8],
        labels: npt.NDArray[np.int64],
    ) -> None:
        self._recipe = recipe
        self._compute = Compute.of(recipe)
        self._labels = torch.from_numpy(labels)
        self._augmentation = Augmentation.of(recipe, torch.from_numpy(pixels))
        self._draws = torch.Generator().manual_seed(recipe.seed)
        self._batches = -(-len(labels) // recipe.batch_size)
        with self._compute.limits():
            untrained = _untrained(recipe.seed, spec, torch.from_numpy(pixels))
        self._classifier = self._compute.place(untrained)
        self._epochs = 0
        self._trained = [parameter for parameter in self._classifier.parameters() if parameter.requires_grad]
        self._optimiser = torch.optim.SGD(
            self._trained,
            recipe.learning_rate,
            momentum=0.9,
            nesterov=True,
            weight_decay=recipe.weight_decay,
        )
        self._schedule = torch.optim.lr_scheduler.OneCycleLR(
            self._optimiser, recipe.learning_rate, total_steps=recipe.epochs * self._batches
        )

    @property
    def learning_rate(self) -> float:
        """Learning rate of the next step."""
        return float(self._schedule.get_last_lr()[0])

    def epoch(self, progress: Callable[[int], None]) -> None:
        """Go once over all images; `progress` is told how many of them are done before every batch."""
        self._classifier.train()
        order = torch.randperm(len(self._labels), generator=self._draws)
        with self._compute.limits():
            for done, rows in enumerate(torch.split(order, self._recipe.batch_size)):
                progress(done * self._recipe.batch_size)
                self._step(rows)
        self._epochs += 1

    def finished(self) -> Classifier:
        """Return the classifier, in evaluation mode, where it will be used."""
        classifier = self._compute.take_back(self._classifier).eval()
        if self._recipe.half_precision:
            round_to_half(classifier)
        return classifier

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return everything that later epochs depend on."""
        state = {f"model.{key}": value.cpu().numpy() for key, value in self._classifier.state_dict().items()}
        for index, parameter in enumerate(self._trained):
            state[f"momentum.{index}"] = self._optimiser.state[parameter]["momentum_buffer"].cpu().numpy()
        return state | {"draws": self._draws.get_state().numpy()}

    def restore(self, arrays: Mapping[str, npt.NDArray[Any]], epochs: int) -> None:
        """Go from a new run to where `arrays` were taken, after some epochs."""
        self._epochs = epochs
        model = {key.removeprefix("model."): value for key, value in arrays.items() if key.startswith("model.")}
        self._classifier.load_state_dict({key: torch.from_numpy(value.copy()) for key, value in model.items()})
        for index, parameter in enumerate(self._trained):
            momentum = torch.empty_like(parameter, requires_grad=False)  # of the same device and memory layout
            momentum.copy_(torch.from_numpy(arrays[f"momentum.{index}"].copy()))
            self._optimiser.state[parameter]["momentum_buffer"] = momentum
        self._draws.set_state(torch.from_numpy(arrays["draws"].copy()))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # the optimiser's own steps were taken by another process
            for _ in range(epochs * self._batches):
                self._schedule.step()

    def _step(self, rows: torch.Tensor) -> None:
        images = self._compute.move(self._augmentation.batch(rows, self._draws, self._epochs))
        labels = self._labels[rows].to(images.device)
        with self._compute.precision():
            logits = self._classifier(images)
        loss = nn.functional.cross_entropy(logits.float(), labels, label_smoothing=self._recipe.label_smoothing)
        self._optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self._optimiser.step()
        self._schedule.step()


def _untrained(seed: int, spec: ClassifierSpec, pixels: torch.Tensor) -> Classifier:
    images = pixels.float() / 255.0
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        classifier = make_classifier(spec, float(images.mean()), float(images.std()))
    if isinstance(classifier.network, EarlyResNet):
        some = images[torch.linspace(0, len(images) - 1, min(STEM_IMAGES, len(images))).long()]
        classifier.network.fit_stem((some - images.mean()) / images.std())
    return classifier
