"""Elastic-net attack (Chen et al. 2018), on whole batches."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

from telltale.attacks.base import AttackProblem, AttackSettings, AttackSpec
from telltale.attacks.minimising import Nearest, WeightSearch, logit_margins
from telltale.attacks.shared_parameters import confidence_margin, first_weight, search_steps
from telltale.base.settings import parameter

if TYPE_CHECKING:
    import torch

CHECKS = 10
PROGRESS = 1e-4


@dataclass(frozen=True)
class EadSettings(AttackSettings):
    """Settings of the attack."""

    beta: float = parameter(
        0.01, low=0.0, high=1.0, help="Weight of the L1 norm: higher changes fewer pixels.", title="L1 weight β"
    )
    confidence: float = confidence_margin()
    lr: float = parameter(
        0.05, low=1e-4, high=1.0, help="First step size; it decays with the square root.", title="Learning rate"
    )
    steps: int = parameter(100, low=1, high=10000, help="Iterations per search step.")
    binary_search_steps: int = search_steps()
    c0: float = first_weight()
    decision: str = parameter("EN", choices=("EN", "L1"), help="Distance by which the best is kept.", title="Best by")


def run(problem: AttackProblem, settings: EadSettings) -> torch.Tensor:
    """Minimise L1 and squared L2 distance plus weighted logit margin by accelerated shrinkage-thresholding.

    The paper's Algorithm 1 in its accelerated form: a gradient step on ‖δ‖² + c · max(margin + confidence, 0) from a
    point ahead, shrinkage by `beta` toward the natural image, projection onto [0, 1]; the step size falls with the
    square root of what is left. The weight c is searched by bisection, and of all images that succeed the one with the
    least distance is kept. An image whose objective a tenth of the steps has not lowered leaves the round.
    """
    rounds = settings.binary_search_steps
    problem.classifier.expect(2 * rounds * settings.steps)
    problem.classifier.check_range = False  # the point ahead is not projected
    search, nearest = WeightSearch(len(problem.images), settings.c0), Nearest(problem)
    for _ in range(rounds):
        search.narrow(search.open_rows(), _descend(problem, settings, search.weights, nearest))
    return nearest.images


@dataclass(frozen=True)
class _Descent:
    """Images on their way in one round.

    Attributes
    ----------
    rows : Tensor, int64, shape (n,)
        Which of the problem's images they are versions of.
    natural, images, ahead : Tensor, float32, shape (n, C, H, W)
        Where they started, where they are, and the point ahead of them at which the gradient is taken.
    weights : Tensor, float32, shape (n,)
        Weight of the margin.
    checked : Tensor, float32, shape (n,)
        Objective at the last check of progress.
    """

    rows: torch.Tensor
    natural: torch.Tensor
    images: torch.Tensor
    ahead: torch.Tensor
    weights: torch.Tensor
    checked: torch.Tensor

    @classmethod
    def start(cls, problem: AttackProblem, weights: torch.Tensor) -> _Descent:
        import torch

        natural, n = problem.images, len(problem.images)
        return cls(torch.arange(n), natural, natural, natural, weights, torch.full((n,), torch.inf))

    def only(self, kept: torch.Tensor) -> _Descent:
        """Drop images from the batch."""
        return _Descent(*(getattr(self, field.name)[kept] for field in fields(self)))


def _descend(problem: AttackProblem, settings: EadSettings, weights: torch.Tensor, nearest: Nearest) -> torch.Tensor:
    """Minimise the objective from the natural images and say which succeeded, bool (n,)."""
    import torch

    found = torch.zeros(len(weights), dtype=torch.bool)
    state = _Descent.start(problem, weights)
    for step in range(settings.steps):
        objectives, gradients = _objectives(problem, state, settings.confidence)
        if step % math.ceil(settings.steps / CHECKS) == 0:
            going = objectives <= (1.0 - PROGRESS) * state.checked
            if not going.any():
                break
            state, gradients = replace(state, checked=objectives).only(going), gradients[going]
        state = _stepped(state, gradients, settings, step)
        found[_successful_rows(problem, state, settings, found, nearest)] = True
    return found


def _objectives(problem: AttackProblem, state: _Descent, confidence: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the differentiable part of the objective at the points ahead, shape (n,), and its gradients."""
    import torch

    ahead = state.ahead.detach().requires_grad_()
    margins = logit_margins(problem, problem.classifier(ahead, state.rows), state.rows, confidence)
    distances = (ahead - state.natural).square().flatten(1).sum(1)
    objectives = distances + state.weights * margins.clamp(min=0.0)
    (gradients,) = torch.autograd.grad(objectives.sum(), ahead)
    return objectives.detach(), gradients


def _stepped(state: _Descent, gradients: torch.Tensor, settings: EadSettings, step: int) -> _Descent:
    """Step, shrink and project, and look ahead along the way come."""
    rate = settings.lr * math.sqrt(1.0 - step / settings.steps)
    images = _shrunk(state.ahead - rate * gradients - state.natural, settings.beta, state.natural)
    return replace(state, images=images, ahead=images + step / (step + 3.0) * (images - state.images))


def _shrunk(change: torch.Tensor, beta: float, natural: torch.Tensor) -> torch.Tensor:
    """Bring every pixel's change nearer to zero by `beta`, add it to the natural image and project onto [0, 1]."""
    return (natural + (change - change.clamp(-beta, beta))).clamp(0.0, 1.0)


def _successful_rows(
    problem: AttackProblem, state: _Descent, settings: EadSettings, found: torch.Tensor, nearest: Nearest
) -> torch.Tensor:
    """Offer the images that succeed to the nearest known and return their rows.

    Where the round has succeeded and the image is no nearer than what is known, it need not be looked at.
    """
    import torch

    distances = _distances(state, settings)
    unsettled = ~found[state.rows] | (distances < nearest.distances[state.rows])
    rows, images = state.rows[unsettled], state.images[unsettled]
    if len(rows) == 0:
        return rows
    with torch.no_grad():
        won = logit_margins(problem, problem.classifier(images, rows), rows, settings.confidence) < 0.0
    nearest.offer(rows[won], images[won], distances[unsettled][won])
    return rows[won]


def _distances(state: _Descent, settings: EadSettings) -> torch.Tensor:
    """Return the distances by which the nearest image is chosen, shape (n,): elastic-net or L1."""
    change = (state.images - state.natural).flatten(1)
    absolute = change.abs().sum(1)
    return absolute if settings.decision == "L1" else settings.beta * absolute + change.square().sum(1)


SPEC = AttackSpec(
    name="ead",
    title="EAD",
    norm="l1",
    paper="Chen, Sharma, Zhang, Yi, Hsieh: EAD: Elastic-Net Attacks to Deep Neural Networks via Adversarial Examples. "
    "AAAI 2018.",
    summary="Searches a small and sparse change that flips the class, by optimisation under an elastic-net penalty.",
    settings=EadSettings,
    run=run,
    targeted=True,
    batched=True,
)
