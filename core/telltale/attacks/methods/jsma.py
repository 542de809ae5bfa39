"""Jacobian-based saliency map attack (Papernot et al. 2016), on whole batches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from telltale.attacks.base import AttackProblem, AttackSettings, AttackSpec
from telltale.attacks.pairs import best_pairs
from telltale.base.settings import parameter

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class JsmaSettings(AttackSettings):
    """Settings of the attack."""

    theta: float = parameter(
        1.0, low=-1.0, high=1.0, help="Change of a pixel at a time, in [0, 1] pixel units.", title="Change of a pixel θ"
    )
    gamma: float = parameter(
        0.1, low=0.0, high=1.0, help="Share of the pixels, channels apart, that may change.", title="Share of pixels γ"
    )


def run(problem: AttackProblem, settings: JsmaSettings) -> torch.Tensor:
    """Change the two most salient features by `theta` at a time until the target's class is reached.

    The paper's Algorithms 2 and 3, with the derivatives of the logits, as in its experiments. A feature is one channel
    of one pixel; `gamma` is the share of them that may change, two at a step. A feature that can move no further leaves
    the search; so does an image that has reached its target or has no admissible pair left.
    """
    import torch

    theta, features = settings.theta, problem.images[0].numel()
    steps = int(settings.gamma * features / 2)
    problem.classifier.expect(steps)
    images = problem.images.clone()
    rows = torch.arange(len(images))
    for _ in range(steps):
        rows, pairs = _most_salient_pairs(problem, images[rows], rows, theta)
        if len(rows) == 0:
            break
        flat = images.flatten(1)[rows]
        chosen = flat.gather(1, pairs) + theta
        images[rows] = flat.scatter(1, pairs, chosen.clamp(0.0, 1.0)).reshape(-1, *images.shape[1:])
    return images


def _most_salient_pairs(
    problem: AttackProblem, images: torch.Tensor, rows: torch.Tensor, theta: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return which images go on, int64 (m,), and the features that each is to change, int64 (m, 2).

    The saliency of a pair is −α · β (Eq. 8), where α sums the derivatives of the target's logit and β those of all
    other logits; it is admissible where α > 0 > β, or for a negative `theta` where α < 0 < β.
    """
    toward_target, toward_others, missed = _derivatives(problem, images, rows)
    free = (images.flatten(1) + theta).clamp(0.0, 1.0) != images.flatten(1)
    sign = 1.0 if theta > 0.0 else -1.0
    pairs, found = best_pairs(sign * toward_target, -sign * toward_others, free)
    going = missed & found
    return rows[going], pairs[going]


def _derivatives(
    problem: AttackProblem, images: torch.Tensor, rows: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Differentiate the target's logit and the sum of the others, each (n, features); say which missed the target."""
    import torch

    assert problem.targets is not None
    targets = problem.targets[rows]
    images = images.detach().requires_grad_()
    logits = problem.classifier(images, rows)
    of_target = torch.nn.functional.one_hot(targets, logits.shape[1]).to(logits.dtype)
    combinations = torch.stack([of_target, 1.0 - of_target])
    toward_target, toward_others = problem.classifier.class_gradients(logits, images, combinations).flatten(2)
    return toward_target, toward_others, logits.argmax(1) != targets


SPEC = AttackSpec(
    name="jsma",
    title="JSMA",
    norm="l0",
    paper="Papernot, McDaniel, Jha, Fredrikson, Celik, Swami: The Limitations of Deep Learning in Adversarial Settings."
    " IEEE EuroS&P 2016.",
    summary="Changes two pixels at a time, those that most favour the target class over all others.",
    settings=JsmaSettings,
    run=run,
    targeted=True,
    random_target=True,
    batched=True,
)
