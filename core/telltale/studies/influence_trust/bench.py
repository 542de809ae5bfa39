"""The images and networks of the study, as every process makes them again from its plan."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from telltale.base.errors import InputError
from telltale.data.image_set import ImageSet
from telltale.data.sources import load_image_set
from telltale.data.splits import Splits
from telltale.models.classifier import Classifier
from telltale.models.training import network_spec
from telltale.models.training_run import TrainingRun
from telltale.recipes import Recipe
from telltale.studies.influence_trust.datamodeling import draw_halves
from telltale.studies.influence_trust.plan import SEEDS_EACH, Plan

Ids = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Checkpoint:
    """A network at a moment of its training.

    Attributes
    ----------
    learning_rate : float
        Of the next step.
    classifier : Classifier
        A copy, in evaluation mode.
    """

    learning_rate: float
    classifier: Classifier


@dataclass(frozen=True)
class Bench:
    """What is trained on, and what is asked.

    Attributes
    ----------
    plan : Plan
    recipe : Recipe
        Of the small network.
    image_set : ImageSet
        Of small images.
    training, held_out, test : array of int64
        Ids: of the N training images, of those that choose the head's damping, and of the T test images.
    members : array of bool, shape (S, N)
        Which training images every subset holds.
    fingerprint : str
        Of the data set as it was read.
    """

    plan: Plan
    recipe: Recipe
    image_set: ImageSet
    training: Ids
    held_out: Ids
    test: Ids
    members: npt.NDArray[np.bool_]
    fingerprint: str

    @classmethod
    def of(cls, recipe: Recipe, source: str, plan: Plan) -> Bench:
        """Read the images, average them down, and draw everything that is random under the plan's seed.

        Raises
        ------
        InputError
            If the data set is not on this machine, or its images cannot be averaged down to the plan's side.
        """
        image_set = load_image_set(source)
        splits = Splits.draw_within(image_set.labels, recipe.sizes, recipe.seed, *image_set.own_held_out)
        rng = np.random.default_rng(plan.seed)
        training = np.sort(rng.permutation(splits.train)[: plan.training_images])
        test = np.sort(rng.permutation(splits.test)[: plan.images])
        small = averaged_down(np.asarray(image_set.pixels), plan.side)
        return cls(
            plan=plan,
            recipe=_small(recipe, plan),
            image_set=replace(image_set, pixels=small, known_fingerprint=None),
            training=training,
            held_out=splits.fit,
            test=test,
            members=draw_halves(len(training), plan.subsets, rng),
            fingerprint=image_set.fingerprint,
        )

    @property
    def labels(self) -> npt.NDArray[np.int64]:
        """Labels of the training images, shape (N,)."""
        return self.image_set.labels[self.training]

    def train_all(self, number: int) -> tuple[Checkpoint, ...]:
        """Train the network of a number, from 0, on all training images: its checkpoints, of which the last is its end.

        Each number starts elsewhere.
        """
        return self._train(self.training, self.plan.seed + number, self.plan.checkpoints)

    def retrain(self, subset: int, repeat: int) -> Classifier:
        """Train a network on one subset alone, from a start that no other network has."""
        seed = self.plan.seed + SEEDS_EACH * (subset + 1) + repeat
        return self._train(self.training[self.members[subset]], seed, 1)[-1].classifier

    def _train(self, ids: Ids, seed: int, count: int) -> tuple[Checkpoint, ...]:
        recipe = replace(self.recipe, seed=seed)
        spec = network_spec(recipe, self.image_set)
        run = TrainingRun(recipe, spec, self.image_set.pixels[ids], self.image_set.labels[ids])
        moments = {recipe.epochs * (k + 1) // count for k in range(count)}
        checkpoints = []
        for epoch in range(1, recipe.epochs + 1):
            run.epoch(_unheard)
            if epoch in moments:
                checkpoints.append(Checkpoint(run.learning_rate, deepcopy(run.finished())))
        return tuple(checkpoints)


def averaged_down(pixels: npt.NDArray[np.uint8], side: int) -> npt.NDArray[np.uint8]:
    """Average square blocks of pixels, shape (n, C, H, W), until `side` are left along either axis.

    Raises
    ------
    InputError
        If no whole blocks give that.
    """
    images, channels, height, width = pixels.shape
    if height % side or width % side:
        raise InputError(f"Images of {height}×{width} pixels cannot be averaged down to {side}×{side}.")
    blocks = pixels.reshape(images, channels, side, height // side, side, width // side)
    return np.asarray(np.rint(blocks.mean((3, 5))), dtype=np.uint8)


def _small(recipe: Recipe, plan: Plan) -> Recipe:
    return replace(
        recipe,
        base_width=plan.base_width,
        depth=plan.depth,
        epochs=plan.epochs,
        batch_size=plan.batch_size,
        mixed_precision=False,
        half_precision=False,
        twin=None,
    )


def _unheard(_done: int) -> None:
    """Be told of every batch, and tell nobody."""
