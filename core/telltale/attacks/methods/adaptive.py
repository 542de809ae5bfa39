"""An attack on the classifier and one detector at once, with a weight between the two."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from telltale.attacks.base import AttackProblem, AttackSettings, AttackSpec
from telltale.attacks.shared_parameters import eps_linf, step_linf
from telltale.base.settings import parameter

if TYPE_CHECKING:
    import torch

    from telltale.detectors.suspicions.suspicion import Suspicion

GREY_LEVELS = 255.0
TINY = 1e-30


def _aimed_at() -> tuple[str, ...]:
    """Name the detectors that can be aimed at; their registry is loaded when somebody asks, not with the attacks'."""
    from telltale.detectors.registry import SUSPICIONS

    return tuple(SUSPICIONS)


@dataclass(frozen=True)
class AdaptiveSettings(AttackSettings):
    """Settings of the attack."""

    detector: str = parameter("idefender", choices=_aimed_at, help="Detector that the attack hides from.")
    weight: float = parameter(
        0.5,
        low=0.0,
        high=1.0,
        help="0 ignores the detector; 1 does nothing but hide once the class has changed.",
        step=0.05,
        title="Weight of hiding",
    )
    eps: float = eps_linf()
    step: float = step_linf()
    steps: int = parameter(40, low=1, high=1000, help="Number of steps.")


def run(problem: AttackProblem, settings: AdaptiveSettings) -> torch.Tensor:
    """Take signed steps in the `eps` ball that raise the loss and lower one detector's suspicion.

    Until the label has changed there is nothing to hide, and steps follow the loss alone. From then on they follow
    (1 - weight) times the loss gradient less weight times the suspicion's, each scaled to the same mean size, so that
    a weight means the same for every detector. Every iterate is judged at its 8-bit version, where the gradients are
    taken too; the one kept has reached its class with the least suspicion. With weight 0 the detector is left out:
    projected gradient descent, of which the last success is kept.
    """
    weight, eps = settings.weight, settings.eps
    step, steps = settings.step, settings.steps
    suspicion = problem.known_defence.suspicion(settings.detector)
    aimed = suspicion if weight > 0.0 else None
    problem.classifier.expect((steps + 1) * (1 if aimed is None else 2))
    bound = float(np.floor(eps * GREY_LEVELS)) / GREY_LEVELS
    low, high = (problem.images - bound).clamp(min=0.0), (problem.images + bound).clamp(max=1.0)
    images, best = problem.images, _Best(problem.images)
    for _ in range(steps + 1):
        judged = _judge(problem, aimed, images)
        best.take(judged)
        images = (images + step * _direction(judged, weight).sign()).clamp(low, high)
    return best.images


@dataclass(frozen=True)
class _Judged:
    """What is known about 8-bit versions of the images: (n, C, H, W) pixels and gradients, (n,) everything else."""

    images: torch.Tensor
    reached: torch.Tensor
    suspicion: torch.Tensor
    loss_gradients: torch.Tensor
    suspicion_gradients: torch.Tensor


class _Best:
    """The least suspicious iterate of every image that has reached its class, or its latest where none has."""

    def __init__(self, images: torch.Tensor) -> None:
        import torch

        self.images = images.clone()
        self._suspicion = torch.full((len(images),), torch.inf, dtype=torch.float64)

    def take(self, judged: _Judged) -> None:
        """Take in another iterate."""
        import torch

        value = torch.where(judged.reached, judged.suspicion, torch.inf)
        better = value <= self._suspicion
        self.images[better] = judged.images[better]
        self._suspicion[better] = value[better]


def _judge(problem: AttackProblem, suspicion: Suspicion | None, images: torch.Tensor) -> _Judged:
    """Look at the 8-bit versions of images (n, C, H, W)."""
    import torch

    rounded = ((images * GREY_LEVELS).round() / GREY_LEVELS).requires_grad_()
    logits = problem.classifier(rounded)
    classes = problem.labels if problem.targets is None else problem.targets
    loss = torch.nn.functional.cross_entropy(logits, classes, reduction="sum")
    (gradients,) = torch.autograd.grad(loss if problem.targets is None else -loss, rounded)
    predictions = logits.argmax(1)
    reached = predictions != problem.labels if problem.targets is None else predictions == problem.targets
    values, slopes = torch.zeros(len(images), dtype=torch.float64), torch.zeros_like(gradients)
    if suspicion is not None:
        values = problem.classifier.measure(suspicion, rounded)
        (slopes,) = torch.autograd.grad(values.sum(), rounded)
    return _Judged(rounded.detach(), reached, values.detach().double(), gradients, slopes)


def _direction(judged: _Judged, weight: float) -> torch.Tensor:
    """Return where to go from every image, shape (n, C, H, W)."""
    import torch

    loss, suspicion = _scaled(judged.loss_gradients), _scaled(judged.suspicion_gradients)
    both = (1.0 - weight) * loss - weight * suspicion
    return torch.where(judged.reached[:, None, None, None], both, loss)


def _scaled(gradients: torch.Tensor) -> torch.Tensor:
    """Scale every gradient (n, C, H, W) to mean size 1; one that is zero or not finite says nothing."""
    usable = gradients.nan_to_num(nan=0.0, posinf=0.0, neginf=0.0).double()
    return (usable / usable.abs().mean((1, 2, 3), keepdim=True).clamp(min=TINY)).to(gradients.dtype)


SPEC = AttackSpec(
    name="adaptive",
    title="Adaptive PGD",
    norm="linf",
    paper="Carlini, Wagner: Adversarial Examples Are Not Easily Detected: Bypassing Ten Detection Methods. AISec 2017; "
    "Bryniarski, Hingun, Pachuca, Wang, Carlini: Evading Adversarial Example Detection Defenses with Orthogonal "
    "Projected Gradient Descent. ICLR 2022.",
    summary="Flips the class and hides from one detector that it knows; the weight moves it from one aim to the other.",
    settings=AdaptiveSettings,
    run=run,
    targeted=True,
    budget="eps",
    batched=True,
    needs_detectors=True,
    parameters_of="pgd",
)
