"""What attacks share that minimise a distance under a weighted logit margin, each image by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from telltale.attacks.base import AttackProblem

if TYPE_CHECKING:
    import torch

WEIGHT_GROWTH = 10.0


class WeightSearch:
    """Bisection for the smallest weight of the margin that succeeds, for every image by itself."""

    def __init__(self, count: int, first: float) -> None:
        import torch

        self.weights = torch.full((count,), first)
        self._lower = torch.zeros(count)
        self._upper = torch.full((count,), torch.inf)
        self._open = torch.ones(count, dtype=torch.bool)

    def open_rows(self) -> torch.Tensor:
        """Return the positions of the images still searched for, int64."""
        return self._open.nonzero()[:, 0]

    def narrow(self, rows: torch.Tensor, found: torch.Tensor, worth: torch.Tensor | None = None) -> None:
        """Take in which images succeeded in a round, and for which another weight is worth a try: all by default."""
        import torch

        tried = self.weights[rows]
        self._upper[rows] = torch.where(found, tried, self._upper[rows])
        self._lower[rows] = torch.where(found, self._lower[rows], tried)
        upper, lower = self._upper[rows], self._lower[rows]
        self.weights[rows] = torch.where(upper.isinf(), tried * WEIGHT_GROWTH, (lower + upper) / 2.0)
        if worth is not None:
            self._open[rows] = worth


class Nearest:
    """The nearest image that succeeded, for every image of a problem; the natural one where none did."""

    def __init__(self, problem: AttackProblem) -> None:
        import torch

        self.images = problem.images.clone()
        self.distances = torch.full((len(problem.images),), torch.inf)

    def offer(self, rows: torch.Tensor, images: torch.Tensor, distances: torch.Tensor) -> None:
        """Keep those that are nearer than what is known."""
        nearer = distances < self.distances[rows]
        self.images[rows[nearer]] = images[nearer]
        self.distances[rows[nearer]] = distances[nearer]


def logit_margins(problem: AttackProblem, logits: torch.Tensor, rows: torch.Tensor, confidence: float) -> torch.Tensor:
    """Return how far logits (n, classes) are from success by `confidence`, shape (n,), negative where they succeed.

    The logit of the label less that of the likeliest other class; for a target, the likeliest other less the target's.
    """
    import torch

    classes = (problem.labels if problem.targets is None else problem.targets)[rows, None]
    own, other = logits.gather(1, classes)[:, 0], logits.scatter(1, classes, -torch.inf).amax(1)
    return (own - other if problem.targets is None else other - own) + confidence
