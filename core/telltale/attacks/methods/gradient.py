"""Gradient attack: one L2-normalised gradient, followed as far as needed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from telltale.attacks.base import AttackProblem, AttackSettings, AttackSpec
from telltale.attacks.gradients import lengths, loss_gradients
from telltale.base.settings import parameter

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class GradientSettings(AttackSettings):
    """Settings of the attack."""

    steps: int = parameter(100, low=1, high=1000, help="Number of lengths that are tried.", title="Lengths tried")
    max_length: float = parameter(
        10.0, low=0.1, high=100.0, help="Longest L2 length tried, in [0, 1] pixel units.", title="Longest length (L2)"
    )


def run(problem: AttackProblem, settings: GradientSettings) -> torch.Tensor:
    """Follow the loss gradient at the natural image in growing steps and stop at the first that succeeds."""
    import torch

    steps = settings.steps
    problem.classifier.expect(steps)
    gradients = loss_gradients(problem, problem.images)
    directions = gradients / lengths(gradients)
    images = problem.images.clone()
    rows = torch.arange(len(images))
    for length in np.linspace(0.0, settings.max_length, steps + 1)[1:]:
        images[rows] = (problem.images[rows] + float(length) * directions[rows]).clamp(0.0, 1.0)
        with torch.no_grad():
            rows = rows[problem.classifier(images[rows], rows).argmax(1) == problem.labels[rows]]
        if len(rows) == 0:
            break
    return images


SPEC = AttackSpec(
    name="gradient",
    title="Gradient",
    norm="l2",
    paper="Rauber, Brendel, Bethge: Foolbox: A Python Toolbox to Benchmark the Robustness of Machine Learning Models. "
    "2017 (GradientAttack); used by Amirian et al. 2018.",
    summary="Follows the loss gradient at the natural image in a straight line and stops as soon as the class changes.",
    settings=GradientSettings,
    run=run,
    batched=True,
)
