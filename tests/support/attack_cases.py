"""What the attack tests share: quick settings, cached results and classifiers whose geometry is known."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

import telltale.attacks
from support.tiny import tiny_classifier, tiny_images
from support.tiny_defence import tiny_defence
from telltale.attacks import ATTACKS, AttackResult
from telltale.attacks.base import AttackProblem
from telltale.attacks.budget import metered
from telltale.attacks.randomness import isolated_randomness
from telltale.models.classifier import Classifier

QUICK: Mapping[str, Mapping[str, object]] = {
    "pgd": {"steps": 10, "step": 0.02},
    "pgd_l2": {"steps": 10},
    "cw": {"steps": 30, "binary_search_steps": 3},
    "onepixel": {"pixels": 12, "steps": 6, "popsize": 100},
    "gradient": {"steps": 40},
    "ead": {"steps": 30, "binary_search_steps": 3},
    "boundary": {"steps": 30},
    "lbfgs": {"steps": 15, "binary_search_steps": 2},
    "adaptive": {"steps": 10, "step": 0.02},
    "apgd_ce": {"steps": 10},
    "apgd_dlr": {"steps": 10},
    "square": {"queries": 200},
    "ddn": {"steps": 30},
    "hopskipjump": {"steps": 3, "probes": 30},
    "adaptive_square": {"queries": 100},
    "cw_opt": {"m": 1, "steps": 30, "binary_search_steps": 2, "lr": 0.2, "c0": 1.0},
}
IMAGES = 4


def attack_images(
    classifier: LinearClassifier, images: np.ndarray, attack: str, *rest: Any, **named: Any
) -> AttackResult:
    """Attack images; attacks that aim at detectors get those of the tiny classifier."""
    if ATTACKS[attack].needs_detectors:
        named = {"defence": tiny_defence(), **named}
    return telltale.attacks.attack_images(classifier, images, attack, *rest, **named)


@functools.cache
def quick_result(name: str, seed: int = 0) -> AttackResult:
    """Attack the same four digits with quick settings."""
    return attack_images(tiny_classifier(), tiny_images(IMAGES)[0], name, QUICK.get(name), seed=seed)


@functools.cache
def quick_targeted_result(name: str) -> AttackResult:
    """Aim at the class after the label's."""
    images, labels = tiny_images(IMAGES)
    return attack_images(tiny_classifier(), images, name, QUICK.get(name), targets=(labels + 1) % 10)


def raw_images(
    name: str,
    classifier: Classifier,
    images: np.ndarray,
    parameters: Mapping[str, object],
    targets: np.ndarray | None = None,
) -> np.ndarray:
    """Return what an attack makes of a batch of images before anything is rounded or judged."""
    spec = ATTACKS[name]
    with metered(classifier, len(images)) as meter, isolated_randomness(0):
        meter.begin(0, len(images))
        problem = AttackProblem(
            classifier=meter,
            images=torch.from_numpy(images.copy()),
            labels=torch.from_numpy(classifier.predict(images)),
            targets=None if targets is None else torch.from_numpy(targets),
            seeds=tuple(range(len(images))),
        )
        return spec.run(problem, spec.settings.read(parameters, name)).detach().numpy()


class Linear(nn.Module):
    """Logits are a linear function of the pixels, so that every distance to a boundary is known in closed form."""

    def __init__(self, weight: np.ndarray, bias: np.ndarray) -> None:
        super().__init__()
        self.linear = nn.Linear(weight.shape[1], len(bias))
        with torch.no_grad():
            self.linear.weight.copy_(torch.from_numpy(weight))
            self.linear.bias.copy_(torch.from_numpy(bias))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.linear(images.flatten(1))


class LinearClassifier(Classifier):
    """A `Linear` network as a classifier."""

    def __init__(self, weight: np.ndarray, bias: np.ndarray, side: int = 8) -> None:
        made = telltale.wrap(Linear(weight, bias), classes=len(bias), size=side, channels=1)
        super().__init__(made.network, made.plan, made.preprocess)

    @property
    def linear(self) -> nn.Linear:
        return self.network.linear


def linear_problem(scale: float = 1.0) -> tuple[LinearClassifier, np.ndarray]:
    """Return a random linear classifier of 5 classes and 6 grey images well inside [0, 1]."""
    generator = np.random.default_rng(3)
    classifier = LinearClassifier(scale * generator.normal(size=(5, 64)), np.zeros(5))
    images = np.rint(generator.uniform(0.4, 0.6, (6, 1, 8, 8)) * 255).astype(np.float32) / np.float32(255)
    return classifier, images


def boundary_distances(classifier: LinearClassifier, image: np.ndarray) -> np.ndarray:
    """L2 distance from one image to the boundary with every class; infinite for its own."""
    weight = classifier.linear.weight.detach().numpy().astype(np.float64)
    bias = classifier.linear.bias.detach().numpy().astype(np.float64)
    logits = weight @ image.ravel() + bias
    own = logits.argmax()
    distances = [
        np.inf if k == own else (logits[own] - logits[k]) / np.linalg.norm(weight[own] - weight[k])
        for k in range(len(bias))
    ]
    return np.array(distances)
