"""Auto-PGD with the targeted difference-of-logits-ratio loss (Croce and Hein 2020)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from telltale.attacks.auto_pgd import Loss, ascend
from telltale.attacks.base import AttackProblem, AttackSettings, AttackSpec
from telltale.attacks.shared_parameters import eps_linf
from telltale.base.settings import parameter

if TYPE_CHECKING:
    import torch

COMPARED = 4  # the loss divides by a difference among the four highest logits
SMALLEST_DIVISOR = 1e-12


@dataclass(frozen=True)
class ApgdDlrSettings(AttackSettings):
    """Settings of the attack."""

    eps: float = eps_linf()
    steps: int = parameter(100, low=1, high=1000, help="Number of steps toward each class.")
    candidates: int = parameter(
        9,
        low=1,
        high=1000,
        help="How many of the likeliest other classes are tried, one after the other.",
        title="Classes tried",
    )


def run(problem: AttackProblem, settings: ApgdDlrSettings) -> torch.Tensor:
    """Lead to one class after the other, the likeliest first, until the label is left; or to the target alone."""
    rivals = problem.classifier.classifier.classes - 1
    tried = 1 if problem.targets is not None else min(settings.candidates, rivals)
    problem.classifier.expect(tried * (settings.steps + 1))
    return ascend(problem, settings.eps, settings.steps, _losses(problem, tried))


def _losses(problem: AttackProblem, tried: int) -> Iterator[Loss]:
    """Give the loss toward the target, or toward the label's likeliest rivals on the natural image in turn."""
    import torch

    if problem.targets is not None:
        yield _loss_toward(problem, problem.targets)
        return
    with torch.no_grad():
        logits = problem.classifier(problem.images, torch.arange(len(problem.images)))
    others = logits.scatter(1, problem.labels[:, None], -torch.inf)
    rivals = others.topk(tried).indices
    for targets in rivals.T:
        yield _loss_toward(problem, targets)


def _loss_toward(problem: AttackProblem, targets: torch.Tensor) -> Loss:
    return lambda logits, rows: targeted_dlr(logits, problem.labels[rows], targets[rows])


def targeted_dlr(logits: torch.Tensor, labels: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Return how far the target's logit is above the label's, in units that do not depend on the logits' scale.

    (z_t - z_y) / (z_1 - (z_3 + z_4) / 2), with z_1 ≥ z_2 ≥ … the sorted logits: unlike the cross-entropy of a confident
    classifier, its gradient never vanishes. It needs four classes.

    Parameters
    ----------
    logits : Tensor, float32, shape (n, classes)
    labels, targets : Tensor, int64, shape (n,)

    Returns
    -------
    Tensor, float32, shape (n,)
    """
    of_target, of_label = (logits.gather(1, classes[:, None])[:, 0] for classes in (targets, labels))
    first, _, third, fourth = logits.topk(COMPARED).values.unbind(1)
    return (of_target - of_label) / (first - (third + fourth) / 2.0 + SMALLEST_DIVISOR)


SPEC = AttackSpec(
    name="apgd_dlr",
    title="APGD-DLR",
    norm="linf",
    paper="Croce, Hein: Reliable Evaluation of Adversarial Robustness with an Ensemble of Diverse Parameter-Free "
    "Attacks. ICML 2020 (APGD with the targeted DLR loss).",
    summary="Leads to the likeliest other classes in turn by a ratio of logits that confidence cannot hide.",
    settings=ApgdDlrSettings,
    run=run,
    targeted=True,
    budget="eps",
    batched=True,
    parameters_of="fgsm",
    fewest_classes=COMPARED,
)
