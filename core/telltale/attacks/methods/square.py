"""Square attack in the L∞ ball (Andriushchenko et al. 2020), on whole batches.

Torchattacks' `Square` is not used: it seeds the global generator itself, puts the same square on all images of a batch,
never lets a square touch the last row or column, and returns failed images untouched.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from telltale.attacks.base import AttackProblem, AttackSettings, AttackSpec
from telltale.attacks.minimising import logit_margins
from telltale.attacks.perturbation import GREY_LEVELS
from telltale.attacks.randomness import draw_for_each
from telltale.attacks.shared_parameters import eps_linf
from telltale.base.settings import parameter

if TYPE_CHECKING:
    import torch

SCHEDULE_LENGTH = 10_000
HALVINGS = (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)  # of the covered share, in a schedule of 10,000 queries


@dataclass(frozen=True)
class SquareSettings(AttackSettings):
    """Settings of the attack."""

    eps: float = eps_linf()
    queries: int = parameter(5000, low=1, high=20000, help="Most versions of an image that are tried.")
    first_share: float = parameter(
        0.8, low=0.0, high=1.0, help="Share of the image that the first squares cover.", title="First square p"
    )


def run(problem: AttackProblem, settings: SquareSettings) -> torch.Tensor:
    """Put squares of ±eps at random places and keep each that brings success nearer, until it is there.

    The paper's Algorithms 1 and 2: stripes of one column first, then squares that shrink by a fixed schedule. Every
    pixel stands at a bound of the ball or of [0, 1]; the ball is that of whole grey levels, so that rounding changes
    nothing. As in the authors' code the schedule is stretched to the number of queries, and a square that would change
    nothing is turned over.
    """
    eps, queries = math.floor(settings.eps * GREY_LEVELS) / GREY_LEVELS, settings.queries
    if eps == 0.0:
        return problem.images
    problem.classifier.expect(queries)
    search = _Search(problem, eps)
    stripes, squares = _draws(problem, queries)
    search.offer(search.open_rows(), striped(search.low, search.high, stripes))
    for query in range(1, queries):
        rows = search.open_rows()
        if len(rows) == 0:
            break
        side = square_side(settings.first_share, query, queries, *problem.images.shape[2:])
        bounds = search.low[rows], search.high[rows]
        search.offer(rows, painted(search.images[rows], *bounds, squares[rows, query - 1], side))
    return search.images


def _draws(problem: AttackProblem, queries: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return draws from [0, 1) for the stripes (n, C, 1, W) and for all later squares (n, queries - 1, 2 + C)."""
    import torch

    channels, _, width = problem.images.shape[1:]
    count = channels * width + (queries - 1) * (2 + channels)
    draws = draw_for_each(problem, lambda generator: torch.rand(count, generator=generator))
    stripes, squares = draws.tensor_split([channels * width], dim=1)
    return stripes.reshape(-1, channels, 1, width), squares.reshape(len(draws), queries - 1, 2 + channels)


def square_side(first_share: float, query: int, queries: int, height: int, width: int) -> int:
    """Return the side of the squares at a query: the root of the covered share of the pixels, at least 1."""
    reached = query * SCHEDULE_LENGTH // queries
    share = first_share / 2 ** sum(reached > halving for halving in HALVINGS)
    return min(max(round(math.sqrt(share * height * width)), 1), height, width)


class _Search:
    """The best version so far of every image, and the bounds of its pixels."""

    def __init__(self, problem: AttackProblem, eps: float) -> None:
        import torch

        self._problem = problem
        self.low, self.high = (problem.images - eps).clamp(min=0.0), (problem.images + eps).clamp(max=1.0)
        self.images = problem.images.clone()
        self._losses = torch.full((len(self.images),), torch.inf)
        self._open = torch.ones(len(self.images), dtype=torch.bool)

    def open_rows(self) -> torch.Tensor:
        """Return the positions of the images that have not succeeded, int64."""
        return self._open.nonzero()[:, 0]

    def offer(self, rows: torch.Tensor, images: torch.Tensor) -> None:
        """Keep the versions (n, C, H, W) that lower the loss or succeed."""
        import torch

        with torch.no_grad():
            logits = self._problem.classifier(images, rows)
        succeeded = logit_margins(self._problem, logits, rows, 0.0) < 0.0
        losses = _losses(self._problem, logits, rows)
        better = succeeded | (losses < self._losses[rows])
        self.images[rows[better]], self._losses[rows[better]] = images[better], losses[better]
        self._open[rows[succeeded]] = False


def _losses(problem: AttackProblem, logits: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    """Return the logit margin of the label or, as in the paper, the cross-entropy of the target; shape (n,)."""
    import torch

    if problem.targets is None:
        return logit_margins(problem, logits, rows, 0.0)
    return torch.nn.functional.cross_entropy(logits, problem.targets[rows], reduction="none")


def striped(low: torch.Tensor, high: torch.Tensor, draws: torch.Tensor) -> torch.Tensor:
    """Return images (n, C, H, W) at the upper bounds where draws (n, C, 1, W) exceed a half, else at the lower."""
    import torch

    return torch.where(draws > 0.5, high, low)


def painted(
    images: torch.Tensor, low: torch.Tensor, high: torch.Tensor, draws: torch.Tensor, side: int
) -> torch.Tensor:
    """Put one square at the bounds on each image.

    Parameters
    ----------
    images, low, high : Tensor, shape (n, C, H, W)
        Images and the bounds of every pixel.
    draws : Tensor, shape (n, 2 + C)
        From [0, 1): the place, and for every channel which bound. A square that would change nothing is turned over.
    side : int

    Returns
    -------
    Tensor, shape (n, C, H, W)
    """
    import torch

    inside = places(draws[:, :2], images.shape[2:], side)
    upper = draws[:, 2:, None, None] > 0.5
    changed = torch.where(inside, torch.where(upper, high, low), images)
    unchanged = (changed == images).flatten(1).all(1)[:, None, None, None]
    return torch.where(unchanged & inside, torch.where(upper, low, high), changed)


def places(draws: torch.Tensor, shape: torch.Size, side: int | torch.Tensor) -> torch.Tensor:
    """Say which pixels lie in squares placed by draws (n, 2), of one side or each of its own; bool (n, 1, H, W)."""
    down, across = (_span(draws[:, axis], shape[axis], side) for axis in (0, 1))
    return down[:, None, :, None] & across[:, None, None]


def _span(draws: torch.Tensor, length: int, side: int | torch.Tensor) -> torch.Tensor:
    """Say which of `length` places lie in a span of `side` whose first place is drawn evenly; bool (n, length)."""
    import torch

    first = (draws * (length - side + 1)).long()
    at = torch.arange(length)
    return (at >= first[:, None]) & (at < (first + side)[:, None])


SPEC = AttackSpec(
    name="square",
    title="Square",
    norm="linf",
    paper="Andriushchenko, Croce, Flammarion, Hein: Square Attack: A Query-Efficient Black-Box Adversarial Attack via "
    "Random Search. ECCV 2020.",
    summary="Tries squares of random place and colour and keeps those that help; knows the logits and no gradients.",
    settings=SquareSettings,
    run=run,
    targeted=True,
    needs_gradients=False,
    budget="eps",
    batched=True,
    parameters_of="fgsm",
)
