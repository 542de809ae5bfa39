"""Momentum iterative FGSM (Dong et al. 2018)."""

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
class MiFgsmSettings(AttackSettings):
    """Settings of the attack."""

    eps: float = eps_linf()
    step: float = step_linf()
    steps: int = parameter(20, low=1, high=1000, help="Number of steps.")
    decay: float = parameter(
        1.0, low=0.0, high=2.0, help="Share of the earlier gradients that is kept at each step.", title="Momentum"
    )


def run(problem: AttackProblem, settings: MiFgsmSettings) -> torch.Tensor:
    """Repeat small FGSM steps along an accumulated, L1-normalised gradient."""
    import torchattacks

    steps = settings.steps
    problem.classifier.expect(steps)
    attack = torchattacks.MIFGSM(
        problem.classifier,
        eps=settings.eps,
        alpha=settings.step,
        steps=steps,
        decay=settings.decay,
    )
    return run_torchattacks(attack, problem)


SPEC = AttackSpec(
    name="mifgsm",
    title="MI-FGSM",
    norm="linf",
    paper="Dong, Liao, Pang, Su, Zhu, Hu, Li: Boosting Adversarial Attacks with Momentum. CVPR 2018.",
    summary="Repeats small FGSM steps along a gradient that remembers the steps before.",
    settings=MiFgsmSettings,
    run=run,
    targeted=True,
    budget="eps",
    batched=True,
)
