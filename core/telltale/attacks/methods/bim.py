"""Basic iterative method, also called iterative FGSM (Kurakin et al. 2017)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from telltale.attacks.base import AttackProblem, AttackSpec
from telltale.attacks.libraries import run_torchattacks
from telltale.attacks.shared_parameters import EPS_LINF, STEP_LINF
from telltale.base.parameters import Parameter, ParameterValue

if TYPE_CHECKING:
    import torch


def run(problem: AttackProblem, parameters: Mapping[str, ParameterValue]) -> torch.Tensor:
    """Repeat small FGSM steps, clipped to the `eps` ball after each."""
    import torchattacks

    steps = int(parameters["steps"])
    problem.classifier.expect(steps)
    attack = torchattacks.BIM(
        problem.classifier, eps=float(parameters["eps"]), alpha=float(parameters["step"]), steps=steps
    )
    return run_torchattacks(attack, problem)


SPEC = AttackSpec(
    name="bim",
    title="BIM",
    norm="linf",
    paper="Kurakin, Goodfellow, Bengio: Adversarial Examples in the Physical World. ICLR Workshop 2017.",
    summary="Repeats small FGSM steps and stays within the largest allowed change of a pixel.",
    parameters=(
        EPS_LINF,
        STEP_LINF,
        Parameter("steps", "int", 20, 1, 1000, help="Number of steps."),
    ),
    run=run,
    targeted=True,
    budget="eps",
    batched=True,
)
