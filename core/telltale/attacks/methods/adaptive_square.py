"""A search without gradients that hides from detectors whose exact scores it knows, by random squares."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from telltale.attacks.base import AttackProblem, AttackSettings, AttackSpec
from telltale.attacks.methods.adaptive import AdaptiveSettings, least_suspicious, passes
from telltale.attacks.methods.square import painted, places, square_side, striped
from telltale.attacks.minimising import logit_margins
from telltale.attacks.perturbation import GREY_LEVELS
from telltale.attacks.randomness import draw_for_each
from telltale.attacks.shared_parameters import eps_linf
from telltale.base.settings import parameter

if TYPE_CHECKING:
    import torch

IMAGE, GRADIENTS = "image", "gradients"
FIRST_SHARE = 0.8  # of the image that the first squares cover, as in the Square attack
STEPS_ACROSS = 10  # of the gradients' start, from the middle of the ball to its surface
ALIKE = 1e-6  # share by which rounding may move a score, which depends on the batch


def _known() -> tuple[str, ...]:
    """Name everything that has a score; the registry is loaded when somebody asks, not with the attacks'."""
    from telltale.detectors.fusion import FUSED
    from telltale.detectors.registry import DETECTORS

    return (*DETECTORS, FUSED)


@dataclass(frozen=True)
class AdaptiveSquareSettings(AttackSettings):
    """Settings of the attack."""

    detector: str = parameter("idefender", choices=_known, help="What the attack hides from.", joined=True)
    eps: float = eps_linf()
    queries: int = parameter(1000, low=1, high=20000, help="Most versions of an image that are tried.")
    start: str = parameter(
        IMAGE,
        choices=(IMAGE, GRADIENTS),
        help="Whether the search begins at the image's own stripes, at the bounds, or where Adaptive PGD has arrived.",
        title="Starts from",
    )


def run(problem: AttackProblem, settings: AdaptiveSquareSettings) -> torch.Tensor:
    """Change random squares, and keep what brings success nearer or, from then on, does not raise the exact score.

    While an image is read as before, it is searched like in the Square attack, for a lower margin. Once it is misread,
    half of the squares get the natural pixels back and half are moved by up to `eps`, each channel by itself and within
    the ball; only versions that stay misread are kept. Scores are those of an analysis, of 8-bit images, without
    anything differentiable in their place. One that stays the same is no reason to stay: scores that count something
    are level for long ways.
    """
    levels = math.floor(settings.eps * GREY_LEVELS)
    search = _Search(problem, levels, settings)
    if levels == 0:
        return problem.images
    follow = AdaptiveSettings(detector=settings.detector, eps=settings.eps, step=settings.eps / STEPS_ACROSS)
    begins_there = settings.start == GRADIENTS
    problem.classifier.expect(2 * settings.queries + (passes(follow) if begins_there else 0))
    stripes, squares = _draws(problem, settings.queries)
    first = least_suspicious(problem, follow) if begins_there else striped(search.low, search.high, stripes)
    search.offer(first)
    for query in range(1, settings.queries):
        side = square_side(FIRST_SHARE, query, settings.queries, *problem.images.shape[2:])
        search.offer(search.proposals(squares[:, query - 1], side))
    return search.images


def _draws(problem: AttackProblem, queries: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return draws from [0, 1) for the stripes (n, C, 1, W) and for all later squares (n, queries - 1, 4 + C)."""
    import torch

    channels, _, width = problem.images.shape[1:]
    each = 4 + channels
    count = channels * width + (queries - 1) * each
    draws = draw_for_each(problem, lambda generator: torch.rand(count, generator=generator))
    stripes, squares = draws.tensor_split([channels * width], dim=1)
    return stripes.reshape(-1, channels, 1, width), squares.reshape(len(draws), queries - 1, each)


class _Search:
    """Where the search stands with every image: the least suspicious success, or what comes nearest to one."""

    def __init__(self, problem: AttackProblem, levels: int, settings: AdaptiveSquareSettings) -> None:
        import torch

        exact = problem.known_defence.scoring(settings.detector)
        self._score = lambda images: torch.from_numpy(exact(images.numpy()))
        self._problem, self._levels = problem, levels
        bound = levels / GREY_LEVELS
        self.low, self.high = (problem.images - bound).clamp(min=0.0), (problem.images + bound).clamp(max=1.0)
        self.images = problem.images.clone()
        count = len(self.images)
        self._margins = torch.full((count,), torch.inf)
        self._scores = torch.full((count,), torch.inf, dtype=torch.float64)
        self._misread = torch.zeros(count, dtype=torch.bool)

    def proposals(self, draws: torch.Tensor, side: int) -> torch.Tensor:
        """Change one square of every image, by draws (n, 4 + C); `side` is that of squares before success."""
        import torch

        attempts = painted(self.images, self.low, self.high, draws[:, 2:], side)
        return torch.where(self._misread[:, None, None, None], self._hiding(draws), attempts)

    def _hiding(self, draws: torch.Tensor) -> torch.Tensor:
        """Give a square of a random size back to the natural image, or move it, shape (n, C, H, W)."""
        import torch

        largest = min(self.images.shape[2:])
        sides = (draws[:, 1] * math.log(largest + 1)).exp().long().clamp(1, largest)
        inside = places(draws[:, 2:4], self.images.shape[2:], sides)
        steps = (draws[:, 4:, None, None] * 2 * self._levels).floor() - self._levels
        steps = torch.where(steps >= 0, steps + 1, steps)  # by no level is by none of these
        moved = (self.images + steps / GREY_LEVELS).clamp(self.low, self.high)
        back = (draws[:, 0] < 0.5)[:, None, None, None]
        return torch.where(inside, torch.where(back, self._problem.images, moved), self.images)

    def offer(self, images: torch.Tensor) -> None:
        """Judge the 8-bit versions of images (n, C, H, W), and keep those that are better than what is known."""
        import torch

        images = (images * GREY_LEVELS).round() / GREY_LEVELS
        with torch.no_grad():
            logits = self._problem.classifier(images)
        margins = logit_margins(self._problem, logits, torch.arange(len(images)), 0.0)
        misread = margins < 0.0
        scores = torch.full_like(self._scores, torch.inf)
        rows = misread.nonzero()[:, 0]
        if len(rows):
            scores[rows] = self._problem.classifier.measure(self._score, images[rows], rows)
        hides = misread & (~self._misread | (scores <= self._scores + ALIKE * self._scores.abs()))
        better = hides | (~misread & ~self._misread & (margins < self._margins))
        self.images[better], self._margins[better] = images[better], margins[better]
        self._scores[hides] = torch.minimum(self._scores, scores)[hides]
        self._misread |= misread


SPEC = AttackSpec(
    name="adaptive_square",
    title="Adaptive Square",
    norm="linf",
    paper="Andriushchenko, Croce, Flammarion, Hein: Square Attack: A Query-Efficient Black-Box Adversarial Attack via "
    "Random Search. ECCV 2020 (its squares).",
    summary="Flips the class and hides from detectors by random squares; it knows their exact scores and no gradients.",
    settings=AdaptiveSquareSettings,
    run=run,
    targeted=True,
    needs_gradients=False,
    budget="eps",
    batched=True,
    needs_detectors=True,
    parameters_of="pgd",
)
