"""Fine-tuning on attacks: adversarial training with few steps from a random start (Madry et al. 2018)."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from telltale.base.progress import Progress
from telltale.models.augmentation import Augmentation
from telltale.models.classifier import Classifier
from telltale.models.compute import Compute
from telltale.recipes import Recipe

# One step of 1.25 budgets (Wong, Rice & Kolter 2020) is cheaper, and was tried: the twin learned to mislead that step,
# resisting it better than it read natural images, and no attack of ten small steps at all.
STEPS = 3
STEP = 0.5  # of the budget


class Hardening:
    """Trains a copy of a classifier further, every batch attacked anew within a budget before it is learned from.

    One thread computes, so that several can be trained side by side and a seed says all.

    Parameters
    ----------
    classifier : Classifier
        Left as it is.
    recipe : Recipe
        Epochs, learning rate (the peak of one cycle), batches, augmentation, precision and seed.
    pixels : array of uint8, shape (n, C, H, W)
    labels : array of int64, shape (n,)
    eps : float
        L∞ budget in pixel units; with 0 the training is on natural images.
    """

    def __init__(
        self,
        classifier: Classifier,
        recipe: Recipe,
        pixels: npt.NDArray[np.uint8],
        labels: npt.NDArray[np.int64],
        eps: float,
    ) -> None:
        self._recipe, self._eps = recipe, eps
        self._compute = replace(Compute.of(recipe), threads=1)
        self._network = self._compute.place(copy.deepcopy(classifier))
        self._labels = torch.from_numpy(labels)
        self._augmentation = Augmentation.of(recipe, torch.from_numpy(pixels))
        self._draws = torch.Generator().manual_seed(recipe.seed)
        trained = [parameter for parameter in self._network.parameters() if parameter.requires_grad]
        rate, decay = recipe.learning_rate, recipe.weight_decay
        self._optimiser = torch.optim.SGD(trained, rate, momentum=0.9, nesterov=True, weight_decay=decay)
        steps = recipe.epochs * -(-len(labels) // recipe.batch_size)
        self._schedule = torch.optim.lr_scheduler.OneCycleLR(self._optimiser, rate, total_steps=steps)

    def run(self, progress: Progress) -> Classifier:
        """Train, and return the classifier in evaluation mode."""
        recipe = self._recipe
        self._network.train()
        with self._compute.limits():
            for epoch in range(recipe.epochs):
                progress(epoch / recipe.epochs, f"Hardening, epoch {epoch + 1} of {recipe.epochs}")
                order = torch.randperm(len(self._labels), generator=self._draws)
                for rows in torch.split(order, recipe.batch_size):
                    self._step(rows, epoch)
        return self._compute.take_back(self._network).eval()

    def _step(self, rows: torch.Tensor, epoch: int) -> None:
        images = self._compute.move(self._augmentation.batch(rows, self._draws, epoch))
        labels = self._labels[rows].to(images.device)
        if self._eps > 0.0:
            start = torch.empty(images.shape).uniform_(-self._eps, self._eps, generator=self._draws)
            images = attacked(lambda moved: self._loss(moved, labels), images, self._compute.move(start), self._eps)
        self._optimiser.zero_grad()
        self._loss(images, labels, self._recipe.label_smoothing).backward()  # type: ignore[no-untyped-call]
        self._optimiser.step()
        self._schedule.step()

    def _loss(self, images: torch.Tensor, labels: torch.Tensor, smoothing: float = 0.0) -> torch.Tensor:
        with self._compute.precision():
            logits = self._network(images)
        return nn.functional.cross_entropy(logits.float(), labels, label_smoothing=smoothing)


def attacked(
    loss: Callable[[torch.Tensor], torch.Tensor], images: torch.Tensor, start: torch.Tensor, eps: float
) -> torch.Tensor:
    """Take `STEPS` steps along the sign of the loss's slope, from a start within the ball, and stay in it.

    Parameters
    ----------
    loss : callable
        From images to one number.
    images, start : Tensor, shape (n, C, H, W)
        Images in [0, 1], and what is added to them first, in [-eps, eps].
    eps : float

    Returns
    -------
    Tensor, shape (n, C, H, W)
    """
    moved = (images + start).clamp(0.0, 1.0)
    for _ in range(STEPS):
        moved.requires_grad_()
        (slope,) = torch.autograd.grad(loss(moved), moved)
        change = (moved.detach() + STEP * eps * slope.sign() - images).clamp(-eps, eps)
        moved = (images + change).clamp(0.0, 1.0)
    return moved
