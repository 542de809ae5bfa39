"""Basic iterative method, also called iterative FGSM (Kurakin et al. 2017)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from telltale.attacks.base import AttackProblem, AttackSettings, AttackSpec
from telltale.attacks.libraries import run_torchattacks
from telltale.attacks.shared_parameters import eps_linf, step_linf
from telltale.base.settings import parameter

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class BimSettings(AttackSettings):
    """Settings of the attack."""

    eps: float = eps_linf()
    step: float = step_linf()
    steps: int = parameter(20, low=1, high=1000, help="Number of steps.")


def run(problem: AttackProblem, settings: BimSettings) -> torch.Tensor:
    """Repeat small FGSM steps, clipped to the `eps` ball after each."""
    import torchattacks

    steps = settings.steps
    problem.classifier.expect(steps)
    attack = torchattacks.BIM(problem.classifier, eps=settings.eps, alpha=settings.step, steps=steps)
    return run_torchattacks(attack, problem)


SPEC = AttackSpec(
    name="bim",
    title="BIM",
    norm="linf",
    paper="Kurakin, Goodfellow, Bengio: Adversarial Examples in the Physical World. ICLR Workshop 2017.",
    summary="Repeats small FGSM steps and stays within the largest allowed change of a pixel.",
    settings=BimSettings,
    run=run,
    targeted=True,
    budget="eps",
    batched=True,
)
