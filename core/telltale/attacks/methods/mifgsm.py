"""Momentum iterative FGSM (Dong et al. 2018)."""

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
    """Repeat small FGSM steps along an accumulated, L1-normalised gradient."""
    import torchattacks

    steps = int(parameters["steps"])
    problem.classifier.expect(steps)
    attack = torchattacks.MIFGSM(
        problem.classifier,
        eps=float(parameters["eps"]),
        alpha=float(parameters["step"]),
        steps=steps,
        decay=float(parameters["decay"]),
    )
    return run_torchattacks(attack, problem)


SPEC = AttackSpec(
    name="mifgsm",
    title="MI-FGSM",
    norm="linf",
    paper="Dong, Liao, Pang, Su, Zhu, Hu, Li: Boosting Adversarial Attacks with Momentum. CVPR 2018.",
    summary="Repeats small FGSM steps along a gradient that remembers the steps before.",
    parameters=(
        EPS_LINF,
        STEP_LINF,
        Parameter("steps", "int", 20, 1, 1000, help="Number of steps."),
        Parameter(
            "decay",
            "float",
            1.0,
            0.0,
            2.0,
            help="Share of the earlier gradients that is kept at each step.",
            title="Momentum",
        ),
    ),
    run=run,
    targeted=True,
    budget="eps",
    batched=True,
)
