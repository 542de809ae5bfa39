"""DeepFool in L2 (Moosavi-Dezfooli et al. 2016)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from core.attacks.base import AttackProblem, AttackSpec
from core.attacks.libraries import import_foolbox, run_foolbox
from core.parameters import Parameter, ParameterValue

if TYPE_CHECKING:
    import torch


def run(problem: AttackProblem, parameters: Mapping[str, ParameterValue]) -> torch.Tensor:
    """Step to the nearest linearised decision boundary until the class changes."""
    attack = import_foolbox().attacks.L2DeepFoolAttack(
        steps=int(parameters["steps"]),
        candidates=int(parameters["candidates"]),
        overshoot=float(parameters["overshoot"]),
    )
    return run_foolbox(attack, problem)


SPEC = AttackSpec(
    name="deepfool",
    title="DeepFool",
    norm="l2",
    paper="Moosavi-Dezfooli, Fawzi, Frossard: DeepFool: A Simple and Accurate Method to Fool Deep Neural Networks. "
    "CVPR 2016.",
    summary="Steps to the nearest decision boundary of the linearised classifier until the class changes.",
    parameters=(
        Parameter("overshoot", "float", 0.02, 0.0, 1.0, help="Share by which each step goes beyond the boundary."),
        Parameter("steps", "int", 50, 1, 1000, help="Largest number of steps."),
        Parameter("candidates", "int", 10, 2, 1000, help="How many of the likeliest classes are considered."),
    ),
    run=run,
)
