"""Auto-PGD with the cross-entropy (Croce and Hein 2020)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from telltale.attacks.auto_pgd import ascend
from telltale.attacks.base import AttackProblem, AttackSettings, AttackSpec
from telltale.attacks.shared_parameters import eps_linf
from telltale.base.settings import parameter

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class ApgdCeSettings(AttackSettings):
    """Settings of the attack."""

    eps: float = eps_linf()
    steps: int = parameter(100, low=1, high=1000, help="Number of steps of each run.")
    restarts: int = parameter(
        1, low=1, high=100, help="Most runs, each from another random start, until one succeeds.", title="Runs"
    )


def run(problem: AttackProblem, settings: ApgdCeSettings) -> torch.Tensor:
    """Climb the cross-entropy of the label, or descend that of the target."""
    import torch

    problem.classifier.expect(settings.restarts * (settings.steps + 1))

    def loss(logits: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        classes = problem.labels if problem.targets is None else problem.targets
        entropies = torch.nn.functional.cross_entropy(logits, classes[rows], reduction="none")
        return entropies if problem.targets is None else -entropies

    return ascend(problem, settings.eps, settings.steps, [loss] * settings.restarts)


SPEC = AttackSpec(
    name="apgd_ce",
    title="APGD-CE",
    norm="linf",
    paper="Croce, Hein: Reliable Evaluation of Adversarial Robustness with an Ensemble of Diverse Parameter-Free "
    "Attacks. ICML 2020.",
    summary="Follows the loss gradient with a step size that adapts itself and stays within the largest allowed change "
    "of a pixel.",
    settings=ApgdCeSettings,
    run=run,
    targeted=True,
    budget="eps",
    batched=True,
    parameters_of="fgsm",
)
