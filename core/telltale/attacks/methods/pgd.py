"""Projected gradient descent in the L∞ ball (Madry et al. 2018)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from telltale.attacks.base import AttackProblem, AttackSettings, AttackSpec
from telltale.attacks.gradients import loss_gradients
from telltale.attacks.randomness import draw_for_each
from telltale.attacks.shared_parameters import eps_linf, step_linf
from telltale.base.settings import parameter

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class PgdSettings(AttackSettings):
    """Settings of the attack."""

    eps: float = eps_linf()
    step: float = step_linf()
    steps: int = parameter(20, low=1, high=1000, help="Number of steps.")
    random_start: bool = parameter(True, help="Whether to start at a random point of the ball.")


def run(problem: AttackProblem, settings: PgdSettings) -> torch.Tensor:
    """Take signed gradient steps from a random point of the `eps` ball, projected back after each."""
    import torch

    eps, step, steps = settings.eps, settings.step, settings.steps
    problem.classifier.expect(steps)
    low, high = (problem.images - eps).clamp(min=0.0), (problem.images + eps).clamp(max=1.0)

    def draw(generator: torch.Generator) -> torch.Tensor:
        return torch.empty(problem.images.shape[1:]).uniform_(-eps, eps, generator=generator)

    images = problem.images
    if settings.random_start:
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
    settings=PgdSettings,
    run=run,
    targeted=True,
    budget="eps",
    batched=True,
)
