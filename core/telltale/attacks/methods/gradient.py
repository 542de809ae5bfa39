"""Gradient attack: one L2-normalised gradient, followed as far as needed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from telltale.attacks.base import AttackProblem, AttackSpec
from telltale.attacks.gradients import lengths, loss_gradients
from telltale.base.parameters import Parameter, ParameterValue

if TYPE_CHECKING:
    import torch


def run(problem: AttackProblem, parameters: Mapping[str, ParameterValue]) -> torch.Tensor:
    """Follow the loss gradient at the natural image in growing steps and stop at the first that succeeds."""
    import torch

    steps = int(parameters["steps"])
    problem.classifier.expect(steps)
    gradients = loss_gradients(problem, problem.images)
    directions = gradients / lengths(gradients)
    images = problem.images.clone()
    rows = torch.arange(len(images))
    for length in np.linspace(0.0, float(parameters["max_length"]), steps + 1)[1:]:
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
    parameters=(
        Parameter("steps", "int", 100, 1, 1000, help="Number of lengths that are tried.", title="Lengths tried"),
        Parameter(
            "max_length",
            "float",
            10.0,
            0.1,
            100.0,
            help="Longest L2 length tried, in [0, 1] pixel units.",
            title="Longest length (L2)",
        ),
    ),
    run=run,
    batched=True,
)
