"""DeepFool in L2 (Moosavi-Dezfooli et al. 2016), on whole batches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from telltale.attacks.base import AttackProblem, AttackSettings, AttackSpec
from telltale.base.settings import parameter

if TYPE_CHECKING:
    import torch

EXPECTED_STEPS = 5
LATER_CANDIDATES = 3
SMALLEST_NORM = 1e-12
SMALLEST_GAP = 1e-4  # between two logits; closer ones change places from one batch size to the next


@dataclass(frozen=True)
class DeepFoolSettings(AttackSettings):
    """Settings of the attack."""

    overshoot: float = parameter(0.02, low=0.0, high=1.0, help="Share by which each step goes beyond the boundary.")
    steps: int = parameter(50, low=1, high=1000, help="Largest number of steps.")
    candidates: int = parameter(
        5, low=2, high=1000, help="How many of the likeliest classes are considered.", title="Classes considered"
    )


def run(problem: AttackProblem, settings: DeepFoolSettings) -> torch.Tensor:
    """Step to the nearest linearised decision boundary until the class changes.

    The paper's Algorithm 2: for every other class k the boundary of the linearised classifier is at distance
    |f_k| / ‖w_k‖, where f_k is the gap between the logits of k and of the label and w_k its gradient; the step
    |f_k| w_k / ‖w_k‖² to the nearest one is added to the perturbation. As in the authors' code the overshoot is
    applied before the class is looked at, so that no step falls short of the boundary it aims at.

    Three things make it fast. Images whose class has changed are dropped. Only the likeliest classes are compared:
    with 5 of 10, no distance on CIFAR-10 changed in its fourth digit. And after the first step an image stands beside
    a boundary, the gaps to most classes being many times larger than the nearest, so that the two likeliest others
    suffice from then on.
    """
    import torch

    overshoot, candidates = settings.overshoot, settings.candidates
    problem.classifier.expect(2 * EXPECTED_STEPS)
    images = problem.images.clone()
    perturbation = torch.zeros_like(images)
    rows = torch.arange(len(images))
    for step in range(settings.steps):
        rows = rows[_keeps_its_class(problem, images, rows)]
        if len(rows) == 0:
            break
        compared = candidates if step == 0 else min(candidates, LATER_CANDIDATES)
        perturbation[rows] += _step_to_nearest_boundary(problem, images[rows], rows, compared)
        images[rows] = (problem.images[rows] + (1.0 + overshoot) * perturbation[rows]).clamp(0.0, 1.0)
    return images


def _keeps_its_class(problem: AttackProblem, images: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    """Return whether no other class leads clearly, bool (n,): a lead in the last digits is none for another batch."""
    import torch

    own = problem.labels[rows, None]
    with torch.no_grad():
        logits = problem.classifier(images[rows], rows)
    leads: torch.Tensor = logits.scatter(1, own, -torch.inf).amax(1) - logits.gather(1, own)[:, 0]
    return leads < SMALLEST_GAP / 2


def _step_to_nearest_boundary(
    problem: AttackProblem, images: torch.Tensor, rows: torch.Tensor, candidates: int
) -> torch.Tensor:
    """Return the step (n, C, H, W) to the nearest boundary with one of the likeliest classes.

    Parameters
    ----------
    problem : AttackProblem
    images : Tensor, shape (n, C, H, W)
    rows : Tensor, int64, shape (n,)
        Which of the problem's images they are versions of.
    candidates : int
        How many of the likeliest classes are considered, the label included.
    """
    import torch

    images = images.detach().requires_grad_()
    logits = problem.classifier(images, rows)
    own = problem.labels[rows, None]
    others = logits.detach().scatter(1, own, -torch.inf).topk(min(candidates, logits.shape[1]) - 1).indices
    # A tie between two classes would end in no step at all.
    gaps = (logits.gather(1, own) - logits.gather(1, others)).detach().clamp(min=SMALLEST_GAP)
    of_class = torch.eye(logits.shape[1])
    normals = problem.classifier.class_gradients(logits, images, (of_class[others] - of_class[own]).transpose(0, 1))
    lengths = normals.flatten(2).norm(dim=2).T.clamp(min=SMALLEST_NORM)
    nearest = (gaps / lengths).argmin(1)
    every = torch.arange(len(images))
    factors = gaps[every, nearest] / lengths[every, nearest].square()
    step: torch.Tensor = factors[:, None, None, None] * normals[nearest, every]
    return step


SPEC = AttackSpec(
    name="deepfool",
    title="DeepFool",
    norm="l2",
    paper="Moosavi-Dezfooli, Fawzi, Frossard: DeepFool: A Simple and Accurate Method to Fool Deep Neural Networks. "
    "CVPR 2016.",
    summary="Steps to the nearest decision boundary of the linearised classifier until the class changes.",
    settings=DeepFoolSettings,
    run=run,
    batched=True,
)
