"""The softmax head of very many weights: Newton steps whose Hessian is never written down (Martens 2010).

Each step is solved by conjugate gradients on products with the Hessian, which cost one pass over the images and no
memory beside them. What preconditions them is the Hessian that the head would have if an image's features told nothing
of its probabilities: the same second moment for every class, times the class's own mean p (1 - p).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from telltale.evidence.influence import SoftmaxHead, with_bias
from telltale.models.trace import softmax

Array = npt.NDArray[np.float64]
Precondition: TypeAlias = Callable[[Array], Array]  # rows (C, d + 1) times something like the Hessian's inverse

CHUNK = 8192
MOST_PRODUCTS = 250  # per Newton step
ROUGHEST = 0.1  # residual of a step, relative to the gradient; less where the gradient is small
SMALLEST_STEP = 1e-10
CLOSE = 1e-9  # residual of a solution that is read itself, relative to what was solved for


def unheard() -> None:
    """Be called before every pass over the images, and let it go on."""


def fit_head_iteratively(
    hidden: npt.NDArray[np.float32],
    labels: npt.NDArray[np.int64],
    classes: int,
    damping: float,
    tolerance: float = 1e-10,
    max_steps: int = 100,
    start: Array | None = None,
    precondition: Precondition | None = None,
    stop: Callable[[], None] = unheard,
) -> SoftmaxHead:
    """Find the same optimum as `fit_head` in memory O(C d + d^2): for heads whose Hessian fills no memory there is.

    Parameters
    ----------
    hidden : array of float32, shape (N, d)
        May be mapped from a file.
    labels : array of int64, shape (N,)
    classes : int
    damping : float
        lambda > 0, in units of the Hessian of the mean loss.
    tolerance : float
        Largest entry of the gradient at which the head counts as converged.
    max_steps : int
        Newton steps, each of at most `MOST_PRODUCTS` passes over the images.
    start : array of float64, shape (C, d + 1), optional
        Where to begin.
    precondition : callable, optional
        Multiplies by the inverse of a Hessian nearby, at any scale, which saves most of the passes.
    stop : callable
        Called before every pass; may raise to stop.

    Raises
    ------
    RuntimeError
        If the tolerance is not reached.
    """
    problem = _Problem(hidden, labels, damping, stop)
    conditioning = _conditioning(problem, precondition)
    weights = np.zeros((classes, hidden.shape[1] + 1)) if start is None else start
    here = problem.at(weights)
    for _ in range(max_steps):
        if np.abs(here.gradient).max() < tolerance:
            return SoftmaxHead(weights, damping)
        step = _solve(problem, weights, here, conditioning(here))
        weights, here = _walk(problem, weights, here, step)
    if np.abs(here.gradient).max() < tolerance:
        return SoftmaxHead(weights, damping)
    raise RuntimeError(f"The softmax head did not converge in {max_steps} Newton steps.")


def solve_with_curvature(
    hidden: npt.NDArray[np.float32],
    head: SoftmaxHead,
    target: Array,
    precondition: Precondition | None = None,
    stop: Callable[[], None] = unheard,
) -> Array:
    """Multiply by the inverse of a head's Hessian on some images, by conjugate gradients.

    Parameters
    ----------
    hidden : array of float32, shape (N, d)
        Labels are not needed: the curvature of the cross-entropy does not depend on them.
    head : SoftmaxHead
        Where the Hessian is taken, with its damping.
    target : array of float64, shape (C, d + 1)
    precondition, stop
        See `fit_head_iteratively`.

    Returns
    -------
    array of float64, shape (C, d + 1)
    """
    problem = _Problem(hidden, np.zeros(len(hidden), dtype=np.int64), head.damping, stop)
    chosen = _conditioning(problem, precondition)(problem.at(head.weights))
    residual = CLOSE * float(np.linalg.norm(target))
    return _conjugate_gradients(lambda rows: problem.multiply(head.weights, rows), chosen, target, residual)


@dataclass(frozen=True)
class _Point:
    """What is known of the loss at some weights."""

    loss: float
    gradient: Array  # (C, d + 1)
    curvature: Array  # (C,): mean over all images of p (1 - p)


@dataclass(frozen=True)
class _Problem:
    hidden: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int64]
    damping: float
    stop: Callable[[], None]

    def chunks(self) -> Iterator[tuple[Array, npt.NDArray[np.int64]]]:
        """Yield features with bias, float64, and labels of a few thousand images at a time."""
        self.stop()
        for begin in range(0, len(self.hidden), CHUNK):
            part = slice(begin, begin + CHUNK)
            yield with_bias(self.hidden[part]), self.labels[part]

    def moment(self) -> Array:
        """Mean of [e, 1] [e, 1]', shape (d + 1, d + 1)."""
        total = sum(features.T @ features for features, _ in self.chunks())
        return np.asarray(total / len(self.hidden))

    def at(self, weights: Array) -> _Point:
        """One pass: loss, gradient and curvature."""
        loss, gradient, curvature = 0.0, np.zeros_like(weights), np.zeros(len(weights))
        for features, labels in self.chunks():
            logits, own = features @ weights.T, np.arange(len(labels))
            highest = logits.max(1)
            loss += float((np.log(np.exp(logits - highest[:, None]).sum(1)) + highest - logits[own, labels]).sum())
            residuals = softmax(logits)
            curvature += (residuals * (1.0 - residuals)).sum(0)
            residuals[own, labels] -= 1.0
            gradient += residuals.T @ features
        count = len(self.hidden)
        regular = 0.5 * self.damping * float(np.vdot(weights, weights))
        return _Point(loss / count + regular, gradient / count + self.damping * weights, curvature / count)

    def multiply(self, weights: Array, rows: Array) -> Array:
        """One pass: the Hessian at some weights times rows (C, d + 1)."""
        product = np.zeros_like(rows)
        for features, _ in self.chunks():
            shares = softmax(features @ weights.T)
            moved = shares * (features @ rows.T)
            product += (moved - shares * moved.sum(1, keepdims=True)).T @ features
        return np.asarray(product / len(self.hidden) + self.damping * rows)


@dataclass(frozen=True)
class _Averaged:
    """What preconditions where nothing better is at hand: the images' second moment, by its eigenvalues and axes."""

    sizes: Array
    axes: Array
    damping: float

    @classmethod
    def of(cls, problem: _Problem) -> _Averaged:
        sizes, axes = np.linalg.eigh(problem.moment())
        return cls(np.maximum(sizes, 0.0), axes, problem.damping)

    def at(self, here: _Point) -> Precondition:
        scales = here.curvature[:, None] * self.sizes + self.damping
        return lambda rows: np.asarray((rows @ self.axes / scales) @ self.axes.T)


def _conditioning(problem: _Problem, given: Precondition | None) -> Callable[[_Point], Precondition]:
    """Return what preconditions at any point."""
    return _Averaged.of(problem).at if given is None else lambda _: given


def _solve(problem: _Problem, weights: Array, here: _Point, precondition: Precondition) -> Array:
    """Solve roughly for the Newton step; the closer to the optimum, the better."""
    size = float(np.linalg.norm(here.gradient))
    return _conjugate_gradients(
        lambda rows: problem.multiply(weights, rows),
        precondition,
        here.gradient,
        min(ROUGHEST, np.sqrt(size)) * size,
    )


def _conjugate_gradients(
    multiply: Callable[[Array], Array], precondition: Callable[[Array], Array], target: Array, residual: float
) -> Array:
    """Solve until what is left of the right-hand side is shorter than `residual`; float64, unlike a query's."""
    solution, left = np.zeros_like(target), target.copy()
    conditioned = precondition(left)
    direction, size = conditioned, float(np.vdot(left, conditioned))
    for _ in range(MOST_PRODUCTS):
        if np.linalg.norm(left) <= residual:
            break
        product = multiply(direction)
        length = size / float(np.vdot(direction, product))
        solution, left = solution + length * direction, left - length * product
        conditioned = precondition(left)
        before, size = size, float(np.vdot(left, conditioned))
        direction = conditioned + size / before * direction
    return solution


def _walk(problem: _Problem, weights: Array, here: _Point, step: Array) -> tuple[Array, _Point]:
    """Take the step, or as much of it as lowers the loss."""
    slope, length = float(np.vdot(step, here.gradient)), 1.0
    while True:
        moved = weights - length * step
        there = problem.at(moved)
        # Near the optimum the loss cannot show what a step gains, but the gradient can.
        shorter = np.linalg.norm(there.gradient) < np.linalg.norm(here.gradient)
        rounding = 1e-14 * max(1.0, abs(here.loss))
        if there.loss <= here.loss - 1e-4 * length * slope or (shorter and there.loss <= here.loss + rounding):
            return moved, there
        length *= 0.5
        if length < SMALLEST_STEP:
            raise RuntimeError("The softmax head did not converge: no step lowers its loss.")
