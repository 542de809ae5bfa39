"""Projected gradient descent in the L∞ ball (Madry et al. 2018)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from telltale.attacks.base import AttackProblem, AttackSpec
from telltale.attacks.gradients import loss_gradients
from telltale.attacks.randomness import draw_for_each
from telltale.attacks.shared_parameters import EPS_LINF, STEP_LINF
from telltale.base.parameters import Parameter, ParameterValue

if TYPE_CHECKING:
    import torch


def run(problem: AttackProblem, parameters: Mapping[str, ParameterValue]) -> torch.Tensor:
    """Take signed gradient steps from a random point of the `eps` ball, projected back after each."""
    import torch

    eps, step, steps = float(parameters["eps"]), float(parameters["step"]), int(parameters["steps"])
    problem.classifier.expect(steps)
    low, high = (problem.images - eps).clamp(min=0.0), (problem.images + eps).clamp(max=1.0)

    def draw(generator: torch.Generator) -> torch.Tensor:
        return torch.empty(problem.images.shape[1:]).uniform_(-eps, eps, generator=generator)

    images = problem.images
    if parameters["random_start"]:
        images = (images + draw_for_each(problem, draw)).clamp(low, high)
    for _ in range(steps):
        images = (images + step * loss_gradients(problem, images).sign()).clamp(low, high)
    return images


SPEC = AttackSpec(
    name="pgd",
    title="PGD",
    norm="linf",
    paper="Madry, Makelov, Schmidt, Tsipras, Vladu: Towards Deep Learning Models Resistant to Adversarial Attacks. "
    "ICLR 2018.",
    summary="Repeats small FGSM steps from a random start and stays within the largest allowed change of a pixel.",
    parameters=(
        EPS_LINF,
        STEP_LINF,
        Parameter("steps", "int", 20, 1, 1000, help="Number of steps."),
        Parameter("random_start", "bool", True, help="Whether to start at a random point of the ball."),
    ),
    run=run,
    targeted=True,
    budget="eps",
    batched=True,
)
