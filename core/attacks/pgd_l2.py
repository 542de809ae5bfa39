"""Projected gradient descent in the L2 ball (Madry et al. 2018)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from core.attacks.base import AttackProblem, AttackSpec
from core.attacks.libraries import run_torchattacks
from core.parameters import Parameter, ParameterValue

if TYPE_CHECKING:
    import torch


def run(problem: AttackProblem, parameters: Mapping[str, ParameterValue]) -> torch.Tensor:
    """Take gradient steps of fixed length from a random point of the `eps` ball, projected back after each."""
    import torchattacks

    steps = int(parameters["steps"])
    problem.classifier.expect(steps)
    attack = torchattacks.PGDL2(
        problem.classifier,
        eps=float(parameters["eps"]),
        alpha=float(parameters["step"]),
        steps=steps,
        random_start=bool(parameters["random_start"]),
    )
    return run_torchattacks(attack, problem)


SPEC = AttackSpec(
    name="pgd_l2",
    title="PGD-L2",
    norm="l2",
    paper="Madry, Makelov, Schmidt, Tsipras, Vladu: Towards Deep Learning Models Resistant to Adversarial Attacks. "
    "ICLR 2018.",
    summary="Follows the loss gradient from a random start and stays within the largest allowed Euclidean distance.",
    parameters=(
        Parameter("eps", "float", 2.5, 0.0, 20.0, help="Largest L2 norm of the change, in [0, 1] pixel units."),
        Parameter("step", "float", 0.3, 0.0, 20.0, help="L2 length of one step, in [0, 1] pixel units."),
        Parameter("steps", "int", 20, 1, 1000, help="Number of steps."),
        Parameter("random_start", "bool", True, help="Whether to start at a random point of the ball."),
    ),
    run=run,
    targeted=True,
    budget="eps",
)
