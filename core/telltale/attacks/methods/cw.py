"""Carlini and Wagner's L2 attack (2017), on whole batches, with steps in closed form."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

from telltale.attacks.base import AttackProblem, AttackSettings, AttackSpec
from telltale.attacks.gradients import lengths
from telltale.attacks.minimising import Nearest, WeightSearch, logit_margins
from telltale.attacks.shared_parameters import confidence_margin, first_weight, search_steps
from telltale.base.settings import parameter

if TYPE_CHECKING:
    import torch

EXPECTED_STEPS = 20
PROGRESS = 0.005
OVERSHOOT = 0.01
SMALLEST_OVERSHOOT = 0.001
LARGEST_OVERSHOOT = 0.2
SMALLEST_RATE = 1e-3
BOX_ROUNDS = 4
TINY = 1e-12


@dataclass(frozen=True)
class CwSettings(AttackSettings):
    """Settings of the attack."""

    confidence: float = confidence_margin()
    lr: float = parameter(
        1.0,
        low=1e-4,
        high=1.0,
        help="First learning rate on the distance; each image adapts its own.",
        title="Learning rate",
    )
    steps: int = parameter(100, low=1, high=10000, help="Largest number of steps per search step.")
    binary_search_steps: int = search_steps()
    c0: float = first_weight()
    patience: int = parameter(3, low=0, high=1000, help="Steps that bring nothing after which an image is done early.")


def run(problem: AttackProblem, settings: CwSettings) -> torch.Tensor:
    """Minimise squared distance plus weighted logit margin for each image, and search the weight by bisection.

    The objective is the paper's, ‖δ‖² + c · max(margin + confidence, 0) under x + δ in [0, 1], where the margin is
    the logit of the label less that of the likeliest other class (for a target: the likeliest other less the
    target's). What differs is the optimiser. Adam moves every pixel by about its learning rate, however little the
    pixel matters, and takes hundreds of steps to undo that. Here a step is proximal gradient descent: a gradient step
    on the distance, then the exact minimiser for the linearised margin, which is known in closed form, box included;
    so images keep to pixels and need no change of variables.

    Images that come no nearer leave the round, and those whose weight is settled leave the search.
    """
    problem.classifier.expect(EXPECTED_STEPS)
    search, nearest = WeightSearch(len(problem.images), settings.c0), Nearest(problem)
    for _ in range(settings.binary_search_steps):
        rows = search.open_rows()
        if len(rows) == 0:
            break
        found, limited = _descend(problem, settings, rows, search.weights[rows], nearest)
        # Where c shortened no step, every greater one would give the same steps, and a smaller one the same or steps
        # that stop short of the boundary.
        search.narrow(rows, found, worth=limited)
    return nearest.images


@dataclass(frozen=True)
class _Descent:
    """Images on their way in one round, with what each needs for its next step.

    Attributes
    ----------
    rows : Tensor, int64, shape (n,)
        Which of the problem's images they are versions of.
    slots : Tensor, int64, shape (n,)
        Their places among the images that began the round.
    images : Tensor, float32, shape (n, C, H, W)
    weights, rates, overshoots : Tensor, float32, shape (n,)
        Weight of the margin, learning rate on the distance, share by which a step goes beyond the boundary.
    least : Tensor, float32, shape (n,)
        Least objective so far.
    waited : Tensor, int64, shape (n,)
        Steps since it last fell.
    found, limited : Tensor, bool, shape (n,)
        Whether the image has succeeded in this round, and whether the weight has shortened a step.
    """

    rows: torch.Tensor
    slots: torch.Tensor
    images: torch.Tensor
    weights: torch.Tensor
    rates: torch.Tensor
    overshoots: torch.Tensor
    least: torch.Tensor
    waited: torch.Tensor
    found: torch.Tensor
    limited: torch.Tensor

    @classmethod
    def start(cls, problem: AttackProblem, rows: torch.Tensor, weights: torch.Tensor, rate: float) -> _Descent:
        import torch

        n = len(rows)
        return cls(
            rows=rows,
            slots=torch.arange(n),
            images=problem.images[rows],
            weights=weights,
            rates=torch.full((n,), rate),
            overshoots=torch.full((n,), OVERSHOOT),
            least=torch.full((n,), torch.inf),
            waited=torch.zeros(n, dtype=torch.int64),
            found=torch.zeros(n, dtype=torch.bool),
            limited=torch.zeros(n, dtype=torch.bool),
        )

    def only(self, kept: torch.Tensor) -> _Descent:
        """Drop images from the batch."""
        return _Descent(*(getattr(self, field.name)[kept] for field in fields(self)))


def _descend(
    problem: AttackProblem,
    settings: CwSettings,
    rows: torch.Tensor,
    weights: torch.Tensor,
    nearest: Nearest,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Minimise the objective from the natural images; say which succeeded and where the weight shortened a step."""
    import torch

    found, limited = torch.zeros(len(rows), dtype=torch.bool), torch.zeros(len(rows), dtype=torch.bool)
    state = _Descent.start(problem, rows, weights, settings.lr)
    for _ in range(settings.steps):
        margins, gradients = _margins(problem, state, settings.confidence)
        state = _adapted(problem, state, margins, nearest)
        found[state.slots], limited[state.slots] = state.found, state.limited
        going = (state.waited < settings.patience) | ~(state.found | state.limited)
        if not going.any():
            break
        state = _stepped(problem, state.only(going), margins[going], gradients[going])
    return found, limited


def _margins(problem: AttackProblem, state: _Descent, confidence: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Return how far the logits are from success, shape (n,), negative where they succeed; and the gradients."""
    import torch

    images = state.images.detach().requires_grad_()
    margins = logit_margins(problem, problem.classifier(images, state.rows), state.rows, confidence)
    (gradients,) = torch.autograd.grad(margins.sum(), images)
    return margins.detach(), gradients


def _adapted(problem: AttackProblem, state: _Descent, margins: torch.Tensor, nearest: Nearest) -> _Descent:
    """Judge where the last step led and set the pace of the next.

    An image on the wrong side of the boundary has to reach it before it can come nearer: its learning rate on the
    distance is halved, and until it has succeeded once it aims further beyond. One that succeeded may hurry; where
    that brought nothing, it aims closer to the boundary.
    """
    import torch

    distances = lengths(state.images - problem.images[state.rows])[:, 0, 0, 0]
    successful = margins < 0.0
    nearest.offer(state.rows[successful], state.images[successful], distances[successful])
    objective = distances.square() + state.weights * margins.clamp(min=0.0)
    fell = objective < (1.0 - PROGRESS) * state.least
    pace = torch.where(successful, torch.where(fell, 1.3, 0.8), torch.where(distances > TINY, 0.5, 1.0))
    found = state.found | successful
    close = torch.where(successful & ~fell, state.overshoots / 2.0, state.overshoots).clamp(max=OVERSHOOT)
    return replace(
        state,
        rates=(state.rates * pace).clamp(SMALLEST_RATE, 1.0),
        overshoots=torch.where(found, close, 1.5 * state.overshoots).clamp(SMALLEST_OVERSHOOT, LARGEST_OVERSHOOT),
        least=torch.minimum(state.least, objective),
        waited=torch.where(fell, 0, state.waited + 1),
        found=found,
    )


def _stepped(problem: AttackProblem, state: _Descent, margins: torch.Tensor, gradients: torch.Tensor) -> _Descent:
    """Take one step of proximal gradient descent.

    The gradient step on ‖δ‖² leads to (1 - rate) · δ. From there the linearised margin falls below zero after
    ``excess / ‖gradient‖²`` times the gradient; the proximal step goes as far, but not beyond ``weight · rate / 2``.
    """
    natural, rates = problem.images[state.rows], state.rates
    change = state.images - natural
    slopes = _inner(gradients, change)
    beyond = state.overshoots * (margins - slopes).abs()
    excess = (margins - rates * slopes + beyond).clamp(min=0.0)
    drawn = state.images - rates[:, None, None, None] * change
    factors = _factors(drawn, gradients, excess)
    largest = state.weights * rates / 2.0
    images = _moved(drawn, gradients, factors.minimum(largest))
    return replace(state, images=images, limited=state.limited | (factors > largest))


def _factors(images: torch.Tensor, gradients: torch.Tensor, excess: torch.Tensor) -> torch.Tensor:
    """Return how much of its gradient to take from each image, so that the linear margin falls by `excess` in the box.

    What a pixel at its bound cannot give the others must: Newton's method on a concave, piecewise linear function,
    which approaches the solution from below.
    """
    factors = excess / gradients.flatten(1).square().sum(1).clamp(min=TINY)
    for _ in range(BOX_ROUNDS):
        moved = _moved(images, gradients, factors)
        missing = (excess - _inner(gradients, images - moved)).clamp(min=0.0)
        free = gradients * ((moved > 0.0) & (moved < 1.0))
        factors = factors + missing / free.flatten(1).square().sum(1).clamp(min=TINY)
    return factors


def _moved(images: torch.Tensor, gradients: torch.Tensor, factors: torch.Tensor) -> torch.Tensor:
    return (images - factors[:, None, None, None] * gradients).clamp(0.0, 1.0)


def _inner(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    return (first * second).flatten(1).sum(1)


SPEC = AttackSpec(
    name="cw",
    title="C&W-L2",
    norm="l2",
    paper="Carlini, Wagner: Towards Evaluating the Robustness of Neural Networks. IEEE S&P 2017.",
    summary="Searches the smallest Euclidean change that flips the class, by optimisation.",
    settings=CwSettings,
    run=run,
    targeted=True,
    batched=True,
)
