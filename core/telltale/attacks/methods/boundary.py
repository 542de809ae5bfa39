"""Boundary attack (Brendel et al. 2018)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from telltale.attacks.base import AttackProblem, AttackSettings, AttackSpec
from telltale.attacks.libraries import import_foolbox, run_foolbox
from telltale.attacks.starting import START_ROUNDS, starting_point
from telltale.base.settings import parameter

if TYPE_CHECKING:
    import torch


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
    start = starting_point(problem)
    if start is None:
        return problem.images
    attack = import_foolbox().attacks.BoundaryAttack(
        steps=steps,
        spherical_step=settings.spherical_step,
        source_step=settings.source_step,
    )
    return run_foolbox(attack, problem, starting_points=start)


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
