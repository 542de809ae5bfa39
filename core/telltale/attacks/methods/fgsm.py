"""Fast gradient sign method (Goodfellow et al. 2015)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from telltale.attacks.base import AttackProblem, AttackSettings, AttackSpec
from telltale.attacks.libraries import run_torchattacks
from telltale.attacks.shared_parameters import eps_linf

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class FgsmSettings(AttackSettings):
    """Settings of the attack."""

    eps: float = eps_linf()


def run(problem: AttackProblem, settings: FgsmSettings) -> torch.Tensor:
    """Move every pixel by `eps` along the sign of the loss gradient."""
    import torchattacks

    return run_torchattacks(torchattacks.FGSM(problem.classifier, eps=settings.eps), problem)


SPEC = AttackSpec(
    name="fgsm",
    title="FGSM",
    norm="linf",
    paper="Goodfellow, Shlens, Szegedy: Explaining and Harnessing Adversarial Examples. ICLR 2015.",
    summary="Moves every pixel by the same amount along the sign of the loss gradient, once.",
    settings=FgsmSettings,
    run=run,
    targeted=True,
    budget="eps",
    batched=True,
)
