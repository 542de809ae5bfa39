"""Auto-PGD in the L∞ ball (Croce and Hein 2020): the ascent that its two losses share.

What counts in the end is the image in 8 bits: a climb's success is confirmed there before the others are left out.

Torchattacks' `APGD` and `APGDT` are not used: they draw the random starts of a batch from one generator that they seed
themselves, compare the first step with a loss of zero instead of the start's, return failed images untouched instead
of their best attempt, cannot be aimed at one class, and go on passing images without saying whose they are.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, TypeAlias

from telltale.attacks.base import AttackProblem
from telltale.attacks.minimising import logit_margins

if TYPE_CHECKING:
    import torch

GREY_LEVELS = 255.0
MOMENTUM = 0.75
ENOUGH_RISES = 0.75  # share of the steps between two checkpoints that must raise the loss
FIRST_PERIOD, SHORTENING, SHORTEST_PERIOD = 22, 3, 6  # between checkpoints, in percent of the steps

Loss: TypeAlias = "Callable[[torch.Tensor, torch.Tensor], torch.Tensor]"


def checkpoints(steps: int) -> tuple[int, ...]:
    """Return the steps after which the step size is reconsidered: the paper's w_j, without the zeroth.

    Counted in whole percent of the steps, because sums of 0.22, 0.19, … in floats end beside the integers.
    """
    found, percent, period = [], 0, FIRST_PERIOD
    while percent + period <= 100:
        percent += period
        found.append(-(-percent * steps // 100))
        period = max(period - SHORTENING, SHORTEST_PERIOD)
    return tuple(sorted(set(found)))


def ascend(problem: AttackProblem, eps: float, steps: int, losses: Iterable[Loss]) -> torch.Tensor:
    """Climb each loss in turn, from a new random start, for the images that have not succeeded yet.

    Parameters
    ----------
    problem : AttackProblem
    eps : float
        Radius of the L∞ ball.
    steps : int
        Steps of each climb; it takes one forward and backward pass more and, where it succeeds, a forward pass.
    losses : iterable of callable
        ``loss(logits, rows)`` maps the logits (n, classes) of versions of the images `rows` (n,) to losses (n,) that
        grow toward success.

    Returns
    -------
    Tensor, float32, shape (n, C, H, W)
        Of all versions that succeeded the one with the highest loss; where none did, of all.
    """
    import torch

    kept = _Highest(problem)
    generators = [torch.Generator().manual_seed(seed) for seed in problem.seeds]
    for loss in losses:
        rows = (~kept.succeeded).nonzero()[:, 0]
        if len(rows) == 0:
            break
        noise = [torch.rand(problem.images.shape[1:], generator=generators[row]) for row in rows.tolist()]
        climb = _Climb(problem, rows, eps, loss, kept)
        climb.start(2.0 * torch.stack(noise) - 1.0)
        climb.go(steps)
        kept.confirm(rows, math.floor(eps * GREY_LEVELS))
    return kept.images


class _Highest:
    """The version with the highest loss, for every image of a problem; those that succeeded come before the others."""

    def __init__(self, problem: AttackProblem) -> None:
        import torch

        self._problem = problem
        self.images = problem.images.clone()
        self.losses = torch.full((len(problem.images),), -torch.inf)
        self.succeeded = torch.zeros(len(problem.images), dtype=torch.bool)

    def offer(self, rows: torch.Tensor, images: torch.Tensor, losses: torch.Tensor, succeeded: torch.Tensor) -> None:
        """Keep those that are better than what is known."""
        known = self.succeeded[rows]
        better = (succeeded & ~known) | ((succeeded == known) & (losses > self.losses[rows]))
        chosen = rows[better]
        self.images[chosen], self.losses[chosen] = images[better], losses[better]
        self.succeeded[chosen] = succeeded[better]

    def confirm(self, rows: torch.Tensor, levels: int) -> None:
        """Look at what has succeeded in 8 bits, within whole grey levels: what falls back there has not succeeded."""
        import torch

        rows = rows[self.succeeded[rows]]
        if len(rows) == 0:
            return
        natural = self._problem.images[rows]
        changes = ((self.images[rows] - natural) * GREY_LEVELS).round().clamp(-levels, levels)
        rounded = ((natural * GREY_LEVELS).round() + changes) / GREY_LEVELS
        with torch.no_grad():
            logits = self._problem.classifier(rounded, rows)
        self.succeeded[rows] = logit_margins(self._problem, logits, rows, 0.0) < 0.0


class _Climb:
    """The paper's Algorithm 1 for several images at once, each with a step size of its own."""

    def __init__(self, problem: AttackProblem, rows: torch.Tensor, eps: float, loss: Loss, kept: _Highest) -> None:
        self._problem, self._rows, self._loss, self._kept = problem, rows, loss, kept
        self._natural, self._eps = problem.images[rows], eps
        self._low, self._high = (self._natural - eps).clamp(min=0.0), (self._natural + eps).clamp(max=1.0)

    def start(self, noise: torch.Tensor) -> None:
        """Begin at a point of the ball, given by noise (n, C, H, W) in [-1, 1], with a step of its diameter."""
        import torch

        self._images = (self._natural + self._eps * noise).clamp(self._low, self._high)
        self._previous = self._images
        self._losses, self._gradients = self._evaluate()
        self._best = (self._images, self._losses, self._gradients)
        self._step_sizes = torch.full_like(self._losses, 2.0 * self._eps)
        self._rises = torch.zeros_like(self._losses)
        self._halved = torch.zeros_like(self._losses, dtype=torch.bool)
        self._best_at_checkpoint = self._losses

    def go(self, steps: int) -> None:
        """Take the steps and halve step sizes at the checkpoints."""
        planned = checkpoints(steps)
        checked = 0
        for step in range(1, steps + 1):
            self._step(1.0 if step == 1 else MOMENTUM)
            if step in planned:
                self._reconsider(step - checked)
                checked = step

    def _step(self, momentum: float) -> None:
        """Step along the signs of the gradients, keep some of the direction come from, and see what it brought."""
        sizes = self._step_sizes[:, None, None, None]
        ahead = (self._images + sizes * self._gradients.sign()).clamp(self._low, self._high)
        moved = self._images + momentum * (ahead - self._images) + (1.0 - momentum) * (self._images - self._previous)
        before = self._losses
        self._previous, self._images = self._images, moved.clamp(self._low, self._high)
        self._losses, self._gradients = self._evaluate()
        self._rises += self._losses > before
        self._best = _chosen(self._losses > self._best[1], (self._images, self._losses, self._gradients), self._best)

    def _reconsider(self, period: int) -> None:
        """Halve the step size and go back to the best point where too few of the last steps raised the loss.

        Or where the step size was kept at the last checkpoint and the best loss has not changed since.
        """
        import torch

        stalled = ~self._halved & (self._best[1] == self._best_at_checkpoint)
        self._halved = (self._rises < ENOUGH_RISES * period) | stalled
        self._step_sizes = torch.where(self._halved, self._step_sizes / 2.0, self._step_sizes)
        here = (self._images, self._losses, self._gradients)
        self._images, self._losses, self._gradients = _chosen(self._halved, self._best, here)
        self._best_at_checkpoint = self._best[1]
        self._rises = torch.zeros_like(self._rises)

    def _evaluate(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return losses (n,) and gradients (n, C, H, W) of the images where they are, and offer them to be kept."""
        import torch

        images = self._images.detach().requires_grad_()
        logits = self._problem.classifier(images, self._rows)
        losses = self._loss(logits, self._rows)
        (gradients,) = torch.autograd.grad(losses.sum(), images)
        succeeded = logit_margins(self._problem, logits.detach(), self._rows, 0.0) < 0.0
        self._kept.offer(self._rows, self._images, losses.detach(), succeeded)
        return losses.detach(), gradients


_State: TypeAlias = "tuple[torch.Tensor, torch.Tensor, torch.Tensor]"


def _chosen(choices: torch.Tensor, first: _State, second: _State) -> _State:
    """Return images, losses and gradients of the first where chosen, bool (n,), and of the second elsewhere."""
    import torch

    wide = choices[:, None, None, None]
    return (
        torch.where(wide, first[0], second[0]),
        torch.where(choices, first[1], second[1]),
        torch.where(wide, first[2], second[2]),
    )
