"""Projected gradient descent in the L2 ball (Madry et al. 2018)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from telltale.attacks.base import AttackProblem, AttackSpec
from telltale.attacks.gradients import lengths, loss_gradients
from telltale.attacks.randomness import draw_for_each
from telltale.base.parameters import Parameter, ParameterValue

if TYPE_CHECKING:
    import torch


def run(problem: AttackProblem, parameters: Mapping[str, ParameterValue]) -> torch.Tensor:
    """Take gradient steps of fixed length from a random point of the `eps` ball, projected back after each."""
    import torch

    eps, step, steps = float(parameters["eps"]), float(parameters["step"]), int(parameters["steps"])
    problem.classifier.expect(steps)

    def draw(generator: torch.Generator) -> torch.Tensor:
        direction = torch.randn((1, *problem.images.shape[1:]), generator=generator)
        return (eps * torch.rand(1, generator=generator) * direction / lengths(direction))[0]

    images = problem.images
    if parameters["random_start"]:
        images = (images + draw_for_each(problem, draw)).clamp(0.0, 1.0)
    for _ in range(steps):
        gradients = loss_gradients(problem, images)
        moved = images + step * gradients / lengths(gradients)
        change = moved - problem.images
        images = (problem.images + change * (eps / lengths(change)).clamp(max=1.0)).clamp(0.0, 1.0)
    return images


SPEC = AttackSpec(
    name="pgd_l2",
    title="PGD-L2",
    norm="l2",
    paper="Madry, Makelov, Schmidt, Tsipras, Vladu: Towards Deep Learning Models Resistant to Adversarial Attacks. "
    "ICLR 2018.",
    summary="Follows the loss gradient from a random start and stays within the largest allowed Euclidean distance.",
    parameters=(
        Parameter(
            "eps",
            "float",
            2.5,
            0.0,
            20.0,
            help="Largest L2 norm of the change, in [0, 1] pixel units.",
            title="Budget ε (L2)",
        ),
        Parameter(
            "step", "float", 0.3, 0.0, 20.0, help="L2 length of one step, in [0, 1] pixel units.", title="Step size"
        ),
        Parameter("steps", "int", 20, 1, 1000, help="Number of steps."),
        Parameter("random_start", "bool", True, help="Whether to start at a random point of the ball."),
    ),
    run=run,
    targeted=True,
    budget="eps",
    batched=True,
)
