"""Boundary attack (Brendel et al. 2018)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from telltale.attacks.base import AttackProblem, AttackSettings, AttackSpec
from telltale.attacks.libraries import import_foolbox, run_foolbox
from telltale.base.settings import parameter

if TYPE_CHECKING:
    import torch

START_ROUNDS = 10
CELLS = (2, 3, 4, 6, 8, 16)
BLENDS = 32


@dataclass(frozen=True)
class BoundarySettings(AttackSettings):
    """Settings of the attack."""

    steps: int = parameter(1000, low=1, high=100000, help="Number of steps; the paper took many thousands.")
    spherical_step: float = parameter(
        0.2, low=1e-4, high=1.0, help="First length of a step along the boundary.", title="Step along the boundary"
    )
    source_step: float = parameter(
        0.02, low=1e-4, high=1.0, help="First length of a step toward the natural image.", title="Step toward the image"
    )


def run(problem: AttackProblem, settings: BoundarySettings) -> torch.Tensor:
    """Walk along the decision boundary toward the natural image, from a start found for each image."""
    steps = settings.steps
    problem.classifier.expect(int(1.1 * steps) + START_ROUNDS)
    start = _starting_point(problem)
    if start is None:
        return problem.images
    attack = import_foolbox().attacks.BoundaryAttack(
        steps=steps,
        spherical_step=settings.spherical_step,
        source_step=settings.source_step,
    )
    return run_foolbox(attack, problem, starting_points=start)


def _starting_point(problem: AttackProblem) -> torch.Tensor | None:
    """Return the adversarial image (1, C, H, W) nearest to the natural one among blends with random images."""
    import torch

    weights = torch.linspace(1.0 / BLENDS, 1.0, BLENDS)[:, None, None, None]
    best: torch.Tensor | None = None
    best_distance = float("inf")
    for _ in range(START_ROUNDS):
        candidates = _random_images(problem.images)
        for candidate in candidates[_adversarial(problem, candidates)]:
            blends = problem.images + weights * (candidate - problem.images)
            nearest: torch.Tensor = blends[int(_adversarial(problem, blends).to(torch.int64).argmax())]
            distance = float((nearest - problem.images).norm())
            if distance < best_distance:
                best, best_distance = nearest[None], distance
        if best is not None:
            return best
    return None


def _random_images(natural: torch.Tensor) -> torch.Tensor:
    """Return the inverse of the natural image, mirrored copies, and uniform noise of several grain sizes."""
    import torch

    _, channels, height, width = natural.shape
    derived = [1.0 - natural, natural.flip(2), natural.flip(3), natural.flip(2, 3), natural.roll(width // 2, 3)]
    noise = [torch.rand(1, channels, height, width)]
    for cells in CELLS:
        coarse = torch.rand(1, channels, cells, cells)
        noise.append(torch.nn.functional.interpolate(coarse, (height, width), mode="bilinear"))
    return torch.cat(derived + noise + [(image > 0.5).float() for image in noise])


def _adversarial(problem: AttackProblem, images: torch.Tensor) -> torch.Tensor:
    import torch

    with torch.no_grad():
        predictions: torch.Tensor = problem.classifier(images).argmax(1)
    if problem.targets is None:
        return predictions != problem.labels
    return predictions == problem.targets


SPEC = AttackSpec(
    name="boundary",
    title="Boundary",
    norm="l2",
    paper="Brendel, Rauber, Bethge: Decision-Based Adversarial Attacks: Reliable Attacks Against Black-Box Machine "
    "Learning Models. ICLR 2018.",
    summary="Walks along the decision boundary toward the natural image, knowing nothing but the predicted class.",
    settings=BoundarySettings,
    run=run,
    targeted=True,
    needs_gradients=False,
)
