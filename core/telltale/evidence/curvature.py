"""Curvature of a softmax head that is too large to factor whole: class blocks, and conjugate gradients around them.

The Hessian of C (d + 1) weights has one (d + 1, d + 1) block per pair of classes. The C blocks on its diagonal can be
factored long after the whole cannot; they precondition conjugate gradients that solve with the whole (Martens 2010).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.linalg import cholesky
from scipy.linalg.lapack import spotrs

from telltale.evidence.influence import SoftmaxHead, with_bias
from telltale.evidence.most_influential import MostInfluential
from telltale.evidence.sparse_probabilities import CHUNK, SparseProbabilities, probability_chunks

Doubles = npt.NDArray[np.float64]
Floats = npt.NDArray[np.float32]

TOLERANCE = 5e-3  # no value is farther off than about this share of the largest one
MAX_STEPS = 30
GATHERED = 32_768


class ClassBlocks:
    """The diagonal blocks of a head's Hessian, one per class, as Cholesky factors.

    Parameters
    ----------
    factors : array of float32, shape (C, d + 1, d + 1)
        Lower triangular, L with L L' = block + damping; may be mapped from a file, since one image needs few of them.
    """

    def __init__(self, factors: Floats) -> None:
        self.factors = np.asarray(factors)  # a plain view of a mapped file is faster to index

    @classmethod
    def fit(cls, hidden: Floats, lists: SparseProbabilities, damping: float) -> ClassBlocks:
        """Factor every block: O(entries d^2). What is in no list counts with the mean second moment of all images."""
        everyone = second_moment(hidden)
        factors = np.empty((lists.classes, *everyone.shape), dtype=np.float32)
        for label in range(lists.classes):
            block = _weighted_moment(hidden, lists, label) / len(hidden)
            block += lists.unlisted_curvature[label] / len(hidden) * everyone
            block[np.diag_indices_from(block)] += damping
            factors[label] = cholesky(block, lower=True, check_finite=False)
        return cls(factors)

    def multiply(self, labels: npt.NDArray[np.int64], rows: Floats) -> Floats:
        """Multiply the blocks of some classes (a,) by a row each (a, d + 1)."""
        pairs = zip(labels, rows, strict=True)
        return np.stack([self.factors[c] @ (row @ self.factors[c]) for c, row in pairs])

    def solve(self, labels: npt.NDArray[np.int64], rows: Floats) -> Floats:
        """Solve with the blocks of some classes (a,) for a row each (a, d + 1)."""
        return np.stack([self._solve(self.factors[c], row) for c, row in zip(labels, rows, strict=True)])

    @staticmethod
    def _solve(factor: Floats, row: Floats) -> Floats:
        # LAPACK itself: of many small blocks, what SciPy checks around it would take ten times as long as the solving.
        # It reads columns first, so the factor's rows are those of its transpose, and nothing is copied.
        solution, _ = spotrs(factor.T, row, lower=False)
        return np.asarray(solution, dtype=np.float32)


@dataclass(frozen=True)
class Solved:
    """A solution by conjugate gradients.

    Attributes
    ----------
    rows : array of float32, shape (a, d + 1)
    residual : float
        Size of what is left of the right-hand side, relative to it, both in the norm of the inverse preconditioner.
    steps : int
    """

    rows: Floats
    residual: float
    steps: int


def conjugate_gradients(
    multiply: Callable[[Floats], Floats],
    precondition: Callable[[Floats], Floats],
    target: Floats,
    tolerance: float = TOLERANCE,
    max_steps: int = MAX_STEPS,
) -> Solved:
    """Solve with a symmetric positive definite operator on arrays of one shape.

    In the norm of the inverse operator, which the preconditioner stands for, the residual bounds every influence: by
    Cauchy and Schwarz no value is off by more than `residual` times the largest value that the training image could
    have had.

    Parameters
    ----------
    multiply, precondition : callables
        The operator, and an approximation of its inverse.
    target : array of float32
        Right-hand side of about unit length.
    tolerance : float
        Relative residual at which to stop.
    max_steps : int
    """
    solution = np.zeros_like(target)
    residual = target.copy()
    direction = conditioned = precondition(residual)
    start = size = _inner(residual, conditioned)
    steps = 0
    while steps < max_steps and size > tolerance**2 * start:
        product = multiply(direction)
        length = np.float32(size / _inner(direction, product))
        solution = solution + length * direction
        residual = residual - length * product
        conditioned = precondition(residual)
        size, before = _inner(residual, conditioned), size
        direction = conditioned + np.float32(size / before) * direction
        steps += 1
    return Solved(solution, float(np.sqrt(size / start)), steps)


class ConjugateInfluence:
    """Influence of all N training images, each query solved with the whole Hessian by conjugate gradients.

    One query costs a few passes of O(N d C); memory is O(N C + C d^2).

    Parameters
    ----------
    head : SoftmaxHead
        At the optimum of its own damping on exactly these training images.
    hidden : array of float32, shape (N, d)
    labels : array of int64, shape (N,)
    factors : array of float32, shape (C, d + 1, d + 1), optional
        Of `ClassBlocks`; computed here where they are not given.
    """

    method = (
        "whole Hessian of the softmax head, features frozen, solved by conjugate gradients that class blocks "
        f"precondition, to a residual of {TOLERANCE:g}"
    )

    def __init__(
        self, head: SoftmaxHead, hidden: Floats, labels: npt.NDArray[np.int64], factors: Floats | None = None
    ) -> None:
        self.head = head
        self._hidden = hidden
        self._labels = labels
        self._shares = np.concatenate([shares for _, shares in probability_chunks(head, hidden)])
        self._blocks = fit_blocks(head, hidden, labels) if factors is None else ClassBlocks(factors)
        self._everything = np.arange(len(head.weights))

    def values(self, hidden: Floats, predictions: npt.NDArray[np.int64]) -> Doubles:
        """Score every training image for every query; see `HeadInfluence.values`."""
        gradients, lengths = test_gradients(self.head, hidden, predictions)
        values = [length * self._values_of(self.solve(g).rows) for g, length in zip(gradients, lengths, strict=True)]
        return np.stack(values)

    def top(self, hidden: Floats, predictions: npt.NDArray[np.int64], count: int) -> MostInfluential:
        """Return the most helpful and the most harmful training images; see `Influence.top`."""
        return MostInfluential.of_values(self.values(hidden, predictions), count)

    def solve(self, target: Floats) -> Solved:
        """Solve with the Hessian for one query's gradient (C, d + 1)."""
        return conjugate_gradients(self._multiply, lambda rows: self._blocks.solve(self._everything, rows), target)

    def _multiply(self, rows: Floats) -> Floats:
        product = np.zeros_like(rows)
        for part in self._parts():
            weighted = curvature_product(self._shares[part], logit_changes(self._hidden[part], rows))
            product += outer_sum(weighted, self._hidden[part])
        return np.asarray(product / np.float32(len(self._hidden)) + np.float32(self.head.damping) * rows)

    def _values_of(self, rows: Floats) -> Doubles:
        values = np.empty(len(self._hidden))
        for part in self._parts():
            changes = logit_changes(self._hidden[part], rows)
            own = np.take_along_axis(changes, self._labels[part, None], axis=1)[:, 0]
            values[part] = np.einsum("nc,nc->n", self._shares[part], changes) - own
        return values / len(self._hidden)

    def _parts(self) -> list[slice]:
        # Chunks whose intermediate results stay in the processor's cache.
        return [slice(start, start + CHUNK) for start in range(0, len(self._hidden), CHUNK)]


def fit_blocks(head: SoftmaxHead, hidden: Floats, labels: npt.NDArray[np.int64]) -> ClassBlocks:
    """Factor the class blocks of a head on its training images."""
    return ClassBlocks.fit(hidden, SparseProbabilities.of(head, hidden, labels), head.damping)


def test_gradients(head: SoftmaxHead, hidden: Floats, predictions: npt.NDArray[np.int64]) -> tuple[Floats, Doubles]:
    """Gradients of n test losses at the predicted classes, (n, C, d + 1), scaled to length 1, and their lengths (n,).

    A confident image's gradient is too short for float32; one that vanishes even in float64 has length 0.
    """
    residuals = head.probabilities(hidden) - np.eye(len(head.weights))[predictions]
    features = with_bias(hidden)
    sizes = np.linalg.norm(residuals, axis=1)
    unit = np.where(sizes[:, None] > 0.0, residuals, 1.0) / np.where(sizes > 0.0, sizes, 1.0)[:, None]
    norms = np.linalg.norm(features, axis=1)
    gradients = np.einsum("nc,nd->ncd", unit, features / norms[:, None])
    return gradients.astype(np.float32), sizes * norms


def logit_changes(hidden: Floats, rows: Floats) -> Floats:
    """Products of hidden states (m, d) with rows of weights (a, d + 1), biases last: (m, a)."""
    return np.asarray(hidden @ rows[:, :-1].T + rows[:, -1])


def curvature_product(shares: Floats, changes: Floats) -> Floats:
    """(diag(p) - p p') z for m images: softmax outputs and changes of the logits, both (m, a)."""
    weighted = shares * changes
    return np.asarray(weighted - shares * weighted.sum(1, keepdims=True))


def outer_sum(weights: Floats, hidden: Floats) -> Floats:
    """Sum over m images of weights (m, a) times hidden states with bias: (a, d + 1)."""
    return np.hstack([weights.T @ hidden, weights.sum(0)[:, None]])


def second_moment(hidden: Floats) -> Doubles:
    """Mean of [e, 1] [e, 1]' over all images, shape (d + 1, d + 1)."""
    total = np.zeros((hidden.shape[1] + 1,) * 2)
    for start in range(0, len(hidden), CHUNK):
        total += _moment(hidden[start : start + CHUNK])
    return total / len(hidden)


def _weighted_moment(hidden: Floats, lists: SparseProbabilities, label: int) -> Doubles:
    place = lists.list_of(label)
    total = np.zeros((hidden.shape[1] + 1,) * 2)
    for start in range(place.start, place.stop, GATHERED):
        part = slice(start, min(start + GATHERED, place.stop))
        root = np.sqrt(lists.shares[part] * (1.0 - lists.shares[part]))
        total += _moment(hidden[lists.rows[part]] * root[:, None], root)
    return total


def _moment(hidden: Floats, last: Floats | None = None) -> Floats:
    ones = np.ones(len(hidden), dtype=np.float32) if last is None else last
    features = np.hstack([hidden, ones[:, None]])
    return np.asarray(features.T @ features)


def _inner(a: Floats, b: Floats) -> float:
    return float(np.vdot(a, b))
