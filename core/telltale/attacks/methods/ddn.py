"""Decoupled direction and norm in L2 (Rony et al. 2019), on whole batches.

Foolbox's `DDNAttack` is not used: it leaves out the paper's rounding to 8 bits at every step, without which results
come out about 1.5 % farther here, draws the directions that replace vanished gradients for a whole batch at once, and
never looks at its last step.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from telltale.attacks.base import AttackProblem, AttackSettings, AttackSpec
from telltale.attacks.gradients import lengths
from telltale.attacks.minimising import Nearest, logit_margins
from telltale.attacks.perturbation import GREY_LEVELS
from telltale.base.settings import parameter

if TYPE_CHECKING:
    import torch

LAST_LENGTH = 0.01  # of a step, where the first has length 1


@dataclass(frozen=True)
class DdnSettings(AttackSettings):
    """Settings of the attack."""

    steps: int = parameter(100, low=1, high=10000, help="Number of steps.")
    radius: float = parameter(
        1.0, low=0.01, high=100.0, help="First L2 norm of the change, in [0, 1] pixel units.", title="First norm ε₀"
    )
    gamma: float = parameter(
        0.05,
        low=0.001,
        high=0.9,
        help="Share by which the norm shrinks after a success and grows after a failure.",
        title="Change of the norm γ",
    )


def run(problem: AttackProblem, settings: DdnSettings) -> torch.Tensor:
    """Step along the normalised gradient, then set the norm of the change by itself: smaller after every success.

    The paper's Algorithm 1: step lengths fall from 1 to 0.01 along a cosine, the changed image is rounded to 8 bits,
    and the nearest one that succeeded is returned; the natural image where none did.
    """
    import torch

    steps, gamma = settings.steps, settings.gamma
    problem.classifier.expect(steps + 1)
    natural, nearest = problem.images, Nearest(problem)
    rows = torch.arange(len(natural))
    furthest = lengths(torch.maximum(natural, 1.0 - natural))
    radii = torch.full_like(furthest, settings.radius)
    generators = [torch.Generator().manual_seed(seed) for seed in problem.seeds]
    change = torch.zeros_like(natural)
    gradients, succeeded = _evaluate(problem, natural)
    for step in range(steps):
        change = change + _step_length(step, steps) * _directions(gradients, generators)
        factors = torch.where(succeeded, 1.0 - gamma, 1.0 + gamma)
        radii = (radii * factors[:, None, None, None]).minimum(furthest)
        images = _rounded((natural + change * radii / lengths(change)).clamp(0.0, 1.0))
        change = images - natural
        gradients, succeeded = _evaluate(problem, images)
        nearest.offer(rows[succeeded], images[succeeded], change[succeeded].flatten(1).norm(dim=1))
    return nearest.images


def _step_length(step: int, steps: int) -> float:
    return LAST_LENGTH + (1.0 - LAST_LENGTH) * (1.0 + math.cos(math.pi * step / steps)) / 2.0


def _rounded(images: torch.Tensor) -> torch.Tensor:
    return (images * GREY_LEVELS).round() / GREY_LEVELS


def _directions(gradients: torch.Tensor, generators: list[torch.Generator]) -> torch.Tensor:
    """Return the gradients with length 1, however small; where one has vanished, a draw of the image's own."""
    import torch

    vanished = (gradients.flatten(1) == 0.0).all(1).nonzero()[:, 0].tolist()
    for row in vanished:
        gradients[row] = torch.randn(gradients.shape[1:], generator=generators[row])
    scaled = gradients / gradients.flatten(1).abs().amax(1)[:, None, None, None]
    return scaled / lengths(scaled)


def _evaluate(problem: AttackProblem, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return gradients (n, C, H, W) of a loss that grows toward success, and which images succeed, bool (n,)."""
    import torch

    images = images.detach().requires_grad_()
    logits = problem.classifier(images)
    classes = problem.labels if problem.targets is None else problem.targets
    loss = torch.nn.functional.cross_entropy(logits, classes, reduction="sum")
    (gradients,) = torch.autograd.grad(loss if problem.targets is None else -loss, images)
    return gradients, logit_margins(problem, logits.detach(), torch.arange(len(images)), 0.0) < 0.0


SPEC = AttackSpec(
    name="ddn",
    title="DDN",
    norm="l2",
    paper="Rony, Hafemann, Oliveira, Ben Ayed, Sabourin, Granger: Decoupling Direction and Norm for Efficient "
    "Gradient-Based L2 Adversarial Attacks and Defenses. CVPR 2019.",
    summary="Follows the loss gradient while the length of the change shrinks after each success and grows after each "
    "failure.",
    settings=DdnSettings,
    run=run,
    targeted=True,
    batched=True,
)
