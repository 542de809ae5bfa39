"""Fast gradient sign method (Goodfellow et al. 2015)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from telltale.attacks.base import AttackProblem, AttackSpec
from telltale.attacks.libraries import run_torchattacks
from telltale.attacks.shared_parameters import EPS_LINF
from telltale.base.parameters import ParameterValue

if TYPE_CHECKING:
    import torch


def run(problem: AttackProblem, parameters: Mapping[str, ParameterValue]) -> torch.Tensor:
    """Move every pixel by `eps` along the sign of the loss gradient."""
    import torchattacks

    return run_torchattacks(torchattacks.FGSM(problem.classifier, eps=float(parameters["eps"])), problem)


SPEC = AttackSpec(
    name="fgsm",
    title="FGSM",
    norm="linf",
    paper="Goodfellow, Shlens, Szegedy: Explaining and Harnessing Adversarial Examples. ICLR 2015.",
    summary="Moves every pixel by the same amount along the sign of the loss gradient, once.",
    parameters=(EPS_LINF,),
    run=run,
    targeted=True,
    budget="eps",
    batched=True,
)
