"""An attack on the classifier and on detectors at once, with a weight between the two or orthogonal steps."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from telltale.attacks.base import AttackProblem, AttackSettings, AttackSpec
from telltale.attacks.randomness import draw_for_each
from telltale.attacks.shared_parameters import eps_linf, step_linf
from telltale.base.settings import parameter

if TYPE_CHECKING:
    import torch

    from telltale.detectors.suspicions.suspicion import Suspicion

GREY_LEVELS = 255.0
TINY = 1e-30
WEIGHTED, ORTHOGONAL, BOTH = "weighted", "orthogonal", "each in turn"


def _aimed_at() -> tuple[str, ...]:
    """Name the detectors that can be aimed at; their registry is loaded when somebody asks, not with the attacks'."""
    from telltale.detectors.fusion import FUSED
    from telltale.detectors.registry import SUSPICIONS

    return (*SUSPICIONS, FUSED)


@dataclass(frozen=True)
class AdaptiveSettings(AttackSettings):
    """Settings of the attack."""

    detector: str = parameter("idefender", choices=_aimed_at, help="What the attack hides from.", joined=True)
    weight: float = parameter(
        0.5,
        low=0.0,
        high=1.0,
        help="0 ignores the detector; 1 does nothing but hide once the class has changed. Orthogonal steps have none.",
        step=0.05,
        title="Weight of hiding",
    )
    eps: float = eps_linf()
    step: float = step_linf()
    steps: int = parameter(40, low=1, high=1000, help="Number of steps.")
    aims: str = parameter(
        WEIGHTED,
        choices=(WEIGHTED, ORTHOGONAL, BOTH),
        help="Whether a step is a weighted sum of both aims, or serves one and leaves the other as it is; or every run "
        "is made once with each.",
        title="Both aims",
        late=True,
    )
    restarts: int = parameter(
        1,
        low=1,
        high=100,
        help="Runs: the first from the image itself, the others from random points of the ball.",
        title="Runs",
        late=True,
    )


def run(problem: AttackProblem, settings: AdaptiveSettings) -> torch.Tensor:
    """Take steps in the `eps` ball that raise the loss and lower the suspicion of what is aimed at.

    Until the label has changed there is nothing to hide, and steps follow the loss alone. From then on they follow
    (1 - weight) times the loss gradient less weight times the suspicion's, each scaled to the same mean size, so that
    a weight means the same for every detector. Orthogonal steps follow the loss until then, and lower the suspicion
    from then on, each less its part along the other gradient (see `orthogonal_direction`). Each in turn makes every run
    twice, from the same point. Every iterate is judged at its 8-bit version, where the gradients are taken too; the one
    kept, of all runs, has reached its class with the least suspicion. With weight 0 the detector is left out: projected
    gradient descent, of which the last success is kept.
    """
    problem.classifier.expect(passes(settings))
    return least_suspicious(problem, settings)


def passes(settings: AdaptiveSettings) -> int:
    """Return how many forward calls the attack takes."""
    runs = settings.restarts * len(_ways(settings))
    return runs * (settings.steps + 1) * (2 if settings.weight > 0.0 else 1)


def _ways(settings: AdaptiveSettings) -> tuple[str, ...]:
    """Return how the aims are joined, for every run from one point; without a second aim there is nothing to join."""
    if settings.weight == 0.0:
        return (WEIGHTED,)
    return (WEIGHTED, ORTHOGONAL) if settings.aims == BOTH else (settings.aims,)


def least_suspicious(problem: AttackProblem, settings: AdaptiveSettings) -> torch.Tensor:
    """Do what `run` does, as a part of an attack that says itself how many passes it takes."""
    steps, restarts = settings.steps, settings.restarts
    suspicion = problem.known_defence.suspicion(settings.detector)
    aimed = suspicion if settings.weight > 0.0 else None
    bound = float(np.floor(settings.eps * GREY_LEVELS)) / GREY_LEVELS
    low, high = (problem.images - bound).clamp(min=0.0), (problem.images + bound).clamp(max=1.0)
    best = _Best(problem.images)
    for start, way in product(_starts(problem, bound, restarts), _ways(settings)):
        images = start
        for _ in range(steps + 1):
            judged = _judge(problem, aimed, images)
            best.take(judged)
            images = (images + settings.step * _towards(judged, way, settings.weight)).clamp(low, high)
    return best.images


def _starts(problem: AttackProblem, bound: float, count: int) -> list[torch.Tensor]:
    """Return the images themselves and, for every further run, random points of the ball around them."""
    import torch

    def draw(generator: torch.Generator) -> torch.Tensor:
        return torch.empty(count - 1, *problem.images.shape[1:]).uniform_(-bound, bound, generator=generator)

    if count == 1:
        return [problem.images]
    moved = (problem.images[:, None] + draw_for_each(problem, draw)).clamp(0.0, 1.0)
    return [problem.images, *moved.unbind(1)]


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


def _towards(judged: _Judged, way: str, weight: float) -> torch.Tensor:
    """Return by how much to change every pixel for a step of 1, shape (n, C, H, W)."""
    if way == WEIGHTED:
        return _weighted_direction(judged, weight).sign()
    return orthogonal_direction(judged.loss_gradients, judged.suspicion_gradients, judged.reached)


def orthogonal_direction(
    loss_gradients: torch.Tensor, suspicion_gradients: torch.Tensor, reached: torch.Tensor
) -> torch.Tensor:
    """Serve one aim and leave the other as it is (Bryniarski et al. 2022, selective and orthogonal).

    Parameters
    ----------
    loss_gradients, suspicion_gradients : Tensor, shape (n, C, H, W)
    reached : Tensor of bool, shape (n,)
        Whether the class is already another.

    Returns
    -------
    Tensor, shape (n, C, H, W)
        The part of the loss gradient that is orthogonal to the suspicion's or, where the class is reached, the part of
        the suspicion's that is orthogonal to the loss gradient, downwards. Scaled to mean size 1 instead of to signs,
        which would not be orthogonal.
    """
    import torch

    loss, suspicion = _scaled(loss_gradients), _scaled(suspicion_gradients)
    change, hide = _without(loss, suspicion), -_without(suspicion, loss)
    return _scaled(torch.where(reached[:, None, None, None], hide, change))


def _without(gradients: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """Return what of gradients (n, C, H, W) is orthogonal to others, each image's to its own."""
    one, along = gradients.flatten(1).double(), other.flatten(1).double()
    share = (one * along).sum(1, keepdim=True) / along.square().sum(1, keepdim=True).clamp(min=TINY)
    return (one - share * along).view_as(gradients).to(gradients.dtype)


def _weighted_direction(judged: _Judged, weight: float) -> torch.Tensor:
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
    summary="Flips the class and hides from detectors that it knows; the weight moves it from one aim to the other.",
    settings=AdaptiveSettings,
    run=run,
    targeted=True,
    budget="eps",
    batched=True,
    needs_detectors=True,
    parameters_of="pgd",
)
