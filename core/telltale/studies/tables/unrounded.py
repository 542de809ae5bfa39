"""Attacked images before they are rounded to 8 bits, as published sets held them: only to see what rounding changes."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from telltale.attacks.base import AttackProblem
from telltale.attacks.budget import metered
from telltale.attacks.randomness import draw_targets, isolated_randomness, stream_seed
from telltale.attacks.registry import get_attack
from telltale.models.classifier import Classifier
from telltale.recipes import AttackPlan

BATCH = 50

Images = npt.NDArray[np.float32]


def unrounded_attack(
    classifier: Classifier, images: Images, labels: npt.NDArray[np.int64], plan: AttackPlan, seed: int
) -> Images:
    """Run an attack and return what it hands over, floats clipped to [0, 1] and neither rounded nor extended.

    Parameters
    ----------
    classifier : Classifier
    images : array of float32, shape (n, C, H, W), on the 8-bit grid
    labels : array of int64, shape (n,)
        The classes to leave.
    plan : AttackPlan
        Of an attack that runs on batches.
    seed : int
        With the image it seeds targets and random starts, as in `telltale.attacks.attack_images`.

    Returns
    -------
    array of float32, shape (n, C, H, W)
    """
    spec = get_attack(plan.name)
    settings = spec.settings.read(plan.parameters, spec.name)
    aimed = plan.random_target or spec.random_target
    targets = draw_targets(images, labels, classifier.classes, seed) if aimed else None
    found = []
    with metered(classifier, len(images), None) as meter:
        for start in range(0, len(images), BATCH):
            part = slice(start, start + BATCH)
            meter.begin(start, len(images[part]))
            problem = AttackProblem(
                classifier=meter,
                images=torch.from_numpy(images[part].copy()),
                labels=torch.from_numpy(labels[part].copy()),
                targets=None if targets is None else torch.from_numpy(targets[part].copy()),
                seeds=tuple(stream_seed(seed, image, spec.name) for image in images[part]),
                defence=None,
            )
            with isolated_randomness(problem.seeds[0]):
                found.append(spec.run(problem, settings).detach().clamp(0.0, 1.0).numpy())
    return np.concatenate(found).astype(np.float32)
