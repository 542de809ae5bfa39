"""Projected gradient descent in the L2 ball (Madry et al. 2018)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from telltale.attacks.base import AttackProblem, AttackSettings, AttackSpec
from telltale.attacks.gradients import lengths, loss_gradients
from telltale.attacks.randomness import draw_for_each
from telltale.base.settings import parameter

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class PgdL2Settings(AttackSettings):
    """Settings of the attack."""

    eps: float = parameter(
        2.5, low=0.0, high=20.0, help="Largest L2 norm of the change, in [0, 1] pixel units.", title="Budget ε (L2)"
    )
    step: float = parameter(
        0.3, low=0.0, high=20.0, help="L2 length of one step, in [0, 1] pixel units.", title="Step size"
    )
    steps: int = parameter(20, low=1, high=1000, help="Number of steps.")
    random_start: bool = parameter(True, help="Whether to start at a random point of the ball.")


def run(problem: AttackProblem, settings: PgdL2Settings) -> torch.Tensor:
    """Take gradient steps of fixed length from a random point of the `eps` ball, projected back after each."""
    import torch

    eps, step, steps = settings.eps, settings.step, settings.steps
    problem.classifier.expect(steps)

    def draw(generator: torch.Generator) -> torch.Tensor:
        direction = torch.randn((1, *problem.images.shape[1:]), generator=generator)
        return (eps * torch.rand(1, generator=generator) * direction / lengths(direction))[0]

    images = problem.images
    if settings.random_start:
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
    settings=PgdL2Settings,
    run=run,
    targeted=True,
    budget="eps",
    batched=True,
)
