"""HopSkipJump in L2 (Chen et al. 2020).

Foolbox's `HopSkipJumpAttack` is not used: it passes on probes one by one, holds all of them in memory, scales the
direction by the norm over the whole batch, and returns the last image instead of the nearest.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from telltale.attacks.base import AttackProblem, AttackSettings, AttackSpec
from telltale.attacks.gradients import lengths
from telltale.attacks.starting import START_ROUNDS, adversarial, starting_point
from telltale.base.settings import parameter

if TYPE_CHECKING:
    import torch

FIRST_RADIUS = 0.1
MOST_PROBES = 10_000
PROBES_AT_ONCE = 128
HALVINGS = 30
CALLS_PER_STEP = 30


@dataclass(frozen=True)
class HopSkipJumpSettings(AttackSettings):
    """Settings of the attack."""

    steps: int = parameter(20, low=1, high=1000, help="Number of steps; with 100 probes, 20 take about 7,000 queries.")
    probes: int = parameter(
        100, low=2, high=10000, help="Queries for the first direction; the step's square root times as many later."
    )


def run(problem: AttackProblem, settings: HopSkipJumpSettings) -> torch.Tensor:
    """Hop along the decision boundary: estimate its normal from class labels, jump off along it, and return to it.

    The paper's Algorithm 2 for the L2 norm. The first image beyond the boundary is the nearest of several blends with
    random images, where the paper takes the first that is misread; the nearest image of all steps is returned.
    """
    problem.classifier.expect(START_ROUNDS + CALLS_PER_STEP * settings.steps)
    start = starting_point(problem)
    if start is None:
        return problem.images
    images = nearest = _on_the_boundary(problem, start)
    for step in range(1, settings.steps + 1):
        distance = problem.distance(images)
        radius = FIRST_RADIUS if step == 1 else distance / images.numel()
        probes = min(int(settings.probes * math.sqrt(step)), MOST_PROBES)
        direction = boundary_normal(problem, images, radius, probes)
        images = _on_the_boundary(problem, _jumped(problem, images, direction, distance / math.sqrt(step)))
        if problem.distance(images) < problem.distance(nearest):
            nearest = images
    return nearest


def boundary_normal(problem: AttackProblem, images: torch.Tensor, radius: float, probes: int) -> torch.Tensor:
    """Estimate the direction (1, C, H, W), of length 1, in which the boundary is left for the adversarial side.

    Random directions are averaged, counted forward where a probe along them is adversarial and backward where it is
    not; the mean answer is subtracted first, which lowers the variance.
    """
    import torch

    weighted, plain, answered = torch.zeros_like(images), torch.zeros_like(images), 0.0
    for start in range(0, probes, PROBES_AT_ONCE):
        noise = torch.randn((min(PROBES_AT_ONCE, probes - start), *images.shape[1:]))
        probed = (images + radius * noise / lengths(noise)).clamp(0.0, 1.0)
        moves, answers = probed - images, adversarial(problem, probed).float() * 2.0 - 1.0
        weighted += (answers[:, None, None, None] * moves).sum(0)
        plain += moves.sum(0)
        answered += float(answers.sum())
    mean = answered / probes
    direction = weighted if abs(mean) == 1.0 else weighted - mean * plain
    return direction / lengths(direction)


def _on_the_boundary(problem: AttackProblem, images: torch.Tensor) -> torch.Tensor:
    """Return the adversarial image just beyond the boundary on the way from the natural image to an adversarial one."""
    threshold = images.numel() ** -1.5
    low, high = 0.0, 1.0
    while high - low > threshold:
        middle = (low + high) / 2.0
        blend = problem.images + middle * (images - problem.images)
        low, high = (low, middle) if bool(adversarial(problem, blend)) else (middle, high)
    return images if high == 1.0 else problem.images + high * (images - problem.images)


def _jumped(problem: AttackProblem, images: torch.Tensor, direction: torch.Tensor, length: float) -> torch.Tensor:
    """Jump along the direction, half as far each time until the image is adversarial; stay where it never is."""
    for _ in range(HALVINGS):
        moved = (images + length * direction).clamp(0.0, 1.0)
        if bool(adversarial(problem, moved)):
            return moved
        length /= 2.0
    return images


SPEC = AttackSpec(
    name="hopskipjump",
    title="HopSkipJump",
    norm="l2",
    paper="Chen, Jordan, Wainwright: HopSkipJumpAttack: A Query-Efficient Decision-Based Attack. IEEE S&P 2020.",
    summary="Estimates the normal of the decision boundary from predicted classes alone and hops along it toward the "
    "natural image.",
    settings=HopSkipJumpSettings,
    run=run,
    targeted=True,
    needs_gradients=False,
)
