"""Influence of every training image through the softmax head (Koh & Liang 2017; Cohen et al. 2020, Eq. 1).

The features are frozen: with logits = W e + b the gradient of one image's loss is (p - y) (x) [e, 1], the Hessian is
small enough to factor exactly, and all N training images are scored in one pass of O(N d C).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.linalg import cho_factor, cho_solve
from scipy.linalg.blas import dsymv

from telltale.evidence.most_influential import MostInfluential
from telltale.models.trace import softmax

Array = npt.NDArray[np.float64]
QUERIES_AT_ONCE = 32
PRODUCTS_AT_ONCE = 1 << 20  # products of so many stay in the processor's cache
ROWS_AT_ONCE = 4096  # float64 copies of so many features stay in the processor's cache


@dataclass(frozen=True)
class SoftmaxHead:
    """The L2-regularised softmax head at its optimum.

    Attributes
    ----------
    weights : array of float64, shape (C, d + 1)
        Last column: biases.
    damping : float
        lambda in (1/N) sum CE + lambda/2 |weights|^2, biases included; added to the Hessian's diagonal.
    """

    weights: Array
    damping: float

    def probabilities(self, hidden: npt.NDArray[np.float32]) -> Array:
        """Softmax outputs, shape (n, C), for hidden states of shape (n, d)."""
        return softmax(np.einsum("nd,cd->nc", with_bias(hidden), self.weights))


def with_bias(hidden: npt.NDArray[np.floating]) -> Array:
    """Append a constant 1 to every hidden state: (n, d) to (n, d + 1)."""
    return np.hstack([hidden.astype(np.float64), np.ones((len(hidden), 1))])


def fit_head(
    hidden: npt.NDArray[np.float32],
    labels: npt.NDArray[np.int64],
    classes: int,
    damping: float,
    tolerance: float = 1e-10,
    max_steps: int = 100,
    start: Array | None = None,
) -> SoftmaxHead:
    """Refit the softmax head on frozen features by damped Newton steps (the problem is convex).

    Parameters
    ----------
    hidden : array of float32, shape (N, d)
    labels : array of int64, shape (N,)
    classes : int
    damping : float
        lambda > 0, in units of the Hessian of the mean loss.
    tolerance : float
        Largest entry of the gradient at which the head counts as converged.
    max_steps : int
    start : array of float64, shape (C, d + 1), optional
        Where to begin; the optimum of a neighbouring damping saves steps.

    Raises
    ------
    RuntimeError
        If the tolerance is not reached.
    """
    features = with_bias(hidden)
    targets = np.eye(classes)[labels]
    weights = np.zeros((classes, features.shape[1])) if start is None else start
    for _ in range(max_steps):
        probabilities = softmax(features @ weights.T)
        gradient = (probabilities - targets).T @ features / len(features) + damping * weights
        if np.abs(gradient).max() < tolerance:
            return SoftmaxHead(weights, damping)
        hessian = head_hessian(features, probabilities, damping)
        step = cho_solve(cho_factor(hessian), gradient.ravel()).reshape(weights.shape)
        weights = weights - _step_length(weights, step, gradient, features, targets, damping) * step
    raise RuntimeError(f"The softmax head did not converge in {max_steps} Newton steps.")


def head_hessian(features: Array, probabilities: Array, damping: float) -> Array:
    """Hessian of the regularised mean loss, shape (C (d+1), C (d+1)).

    Parameters
    ----------
    features : array of float64, shape (N, d + 1)
    probabilities : array of float64, shape (N, C)
    damping : float
    """
    classes, width = probabilities.shape[1], features.shape[1]
    square = np.zeros((classes * width, classes * width))
    blocks = square.reshape(classes, width, classes, width)
    for start in range(0, len(features), ROWS_AT_ONCE):
        f, p = features[start : start + ROWS_AT_ONCE], probabilities[start : start + ROWS_AT_ONCE]
        products = (p[:, :, None] * f[:, None, :]).reshape(len(f), -1)
        square -= products.T @ products  # a product with itself costs BLAS half
        for c in range(classes):
            blocks[c, :, c, :] += f.T @ (p[:, c, None] * f)
    square /= len(features)
    square[np.diag_indices_from(square)] += damping
    return square


class HeadInfluence:
    """Influence of all N training images on one image's loss, with the Hessian inverted once.

    Parameters
    ----------
    head : SoftmaxHead
        At the optimum of its own damping on exactly these training images.
    hidden : array of float32, shape (N, d)
    labels : array of int64, shape (N,)
    """

    method = "exact Hessian of the softmax head, features frozen"

    def __init__(self, head: SoftmaxHead, hidden: npt.NDArray[np.float32], labels: npt.NDArray[np.int64]) -> None:
        self.head = head
        self._hidden = hidden
        features, probabilities = with_bias(hidden), head.probabilities(hidden)
        factor = cho_factor(head_hessian(features, probabilities, head.damping))
        # By columns, as BLAS takes a symmetric matrix without a copy, to read half of it per product.
        self._inverse = np.asfortranarray(cho_solve(factor, np.eye(head.weights.size)))
        self._residuals = probabilities - np.eye(len(head.weights))[labels]
        # One column per image: BLAS multiplies a few rows by these twice as fast as by their transpose.
        self._columns = np.ascontiguousarray(features.T, dtype=np.float32)
        self._residual_columns = np.ascontiguousarray(self._residuals.T, dtype=np.float32)
        sizes = np.linalg.norm(self._residuals, axis=1) * np.linalg.norm(features, axis=1)
        # Sums over d + 1 features and C classes, and what is rounded to float32 before: for a direction of length 1,
        # no estimate is farther off than (d + C + 9) / 2 epsilons of its product of lengths; this is twice as much.
        rounding = (head.weights.shape[1] + len(head.weights) + 8) * float(np.finfo(np.float32).eps)
        self._margins = (rounding * sizes + float(np.finfo(np.float32).tiny) * head.weights.size).astype(np.float32)

    def values(self, hidden: npt.NDArray[np.float32], predictions: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        """Score every training image for every query, in single precision.

        Parameters
        ----------
        hidden : array of float32, shape (n, d)
        predictions : array of int64, shape (n,)
            The network's predicted classes; the test loss is taken at them.

        Returns
        -------
        array of float32, shape (n, N)
            grad L_test . H^-1 . grad L_train / N. Positive = helpful: removing the image raises the test loss.
        """
        directions, lengths = _normalised(self._solve(hidden, predictions))
        return self._estimates(directions) * lengths[:, None].astype(np.float32)

    def top(self, hidden: npt.NDArray[np.float32], predictions: npt.NDArray[np.int64], count: int) -> MostInfluential:
        """Return the M most helpful and the M most harmful training images: those that sorting exact values would give.

        Parameters
        ----------
        hidden : array of float32, shape (n, d)
        predictions : array of int64, shape (n,)
        count : int
            M, at most N.
        """
        found = MostInfluential.empty(len(hidden), count)
        for start in range(0, len(hidden), QUERIES_AT_ONCE):
            part = slice(start, start + QUERIES_AT_ONCE)
            solved = self._solve(hidden[part], predictions[part])
            estimates = self._estimates(_normalised(solved)[0])
            for i, (direction, row) in enumerate(zip(solved, estimates, strict=True), start):
                found.harmful[i], found.harmful_values[i] = self._smallest(direction, row, count)
                found.helpful[i], values = self._smallest(-direction, -row, count)
                found.helpful_values[i] = -values
        return found

    def solve(self, gradients: Array) -> Array:
        """Multiply gradients of losses, shape (..., C, d + 1), by the inverse of the Hessian."""
        return np.asarray((gradients.reshape(-1, len(self._inverse)) @ self._inverse).reshape(gradients.shape))

    def _solve(self, hidden: npt.NDArray[np.float32], predictions: npt.NDArray[np.int64]) -> Array:
        """Return H^-1 grad L_test / N of every query, shape (n, C, d + 1), the same bits alone and in a batch."""
        residuals = self.head.probabilities(hidden) - np.eye(len(self.head.weights))[predictions]
        gradients = [np.outer(r, f).ravel() for r, f in zip(residuals, with_bias(hidden), strict=True)]
        solved = [dsymv(1.0, self._inverse, gradient) for gradient in gradients]
        return np.reshape(solved, (-1, *self.head.weights.shape)) / len(self._hidden)

    def _estimates(self, directions: Array) -> npt.NDArray[np.float32]:
        """Estimate the values that directions (b, C, d + 1) of length 1 give to all images, (b, N)."""
        import torch  # here, as pages import this module, and they never need the product

        queries, classes, width = directions.shape
        rows = torch.from_numpy(directions.astype(np.float32).reshape(-1, width))
        columns = torch.from_numpy(self._columns)
        estimates = np.empty((queries, len(self._hidden)), dtype=np.float32)
        step = max(1, PRODUCTS_AT_ONCE // len(rows))
        for start in range(0, len(self._hidden), step):
            part = slice(start, start + step)
            # torch multiplies a few rows by many columns in half the time of numpy.
            products = (rows @ columns[:, part]).numpy().reshape(queries, classes, -1)
            np.einsum("bcn,cn->bn", products, self._residual_columns[:, part], out=estimates[:, part])
        return estimates

    def _smallest(
        self, solved: Array, estimates: npt.NDArray[np.float32], count: int
    ) -> tuple[npt.NDArray[np.int64], Array]:
        """Return the rows of the `count` smallest values, and the values, from estimates that leave few in doubt."""
        # `count` values are at most this; what may be among the smallest can be as small.
        bound = np.partition(estimates + self._margins, count - 1)[count - 1]
        rows = np.flatnonzero(estimates - self._margins <= bound)
        # einsum adds every row in the same order, however many rows there are, unlike a BLAS product.
        products = np.einsum("nd,cd->nc", with_bias(self._hidden[rows]), solved)
        values = np.einsum("nc,nc->n", self._residuals[rows], products)
        order = np.argsort(values, kind="stable")[:count]
        return rows[order], values[order]


def _normalised(solved: Array) -> tuple[Array, Array]:
    """Return directions (n, C, d + 1) at length 1, or 0 where they are zero, and their lengths (n,)."""
    lengths = np.linalg.norm(solved, axis=(1, 2))
    return solved / np.where(lengths > 0.0, lengths, 1.0)[:, None, None], lengths


def _step_length(
    weights: Array, step: Array, gradient: Array, features: Array, targets: Array, damping: float
) -> float:
    """Halve the Newton step until the loss falls enough (Armijo), which makes Newton globally convergent."""
    start = _loss(weights, features, targets, damping)
    slope = float((gradient * step).sum())
    rounding = 1e-14 * max(1.0, abs(start))
    length = 1.0
    while _loss(weights - length * step, features, targets, damping) > start - 1e-4 * length * slope + rounding:
        length /= 2.0
    return length


def _loss(weights: Array, features: Array, targets: Array, damping: float) -> float:
    logits = features @ weights.T
    peak = logits.max(1, keepdims=True)
    log_sum = np.log(np.exp(logits - peak).sum(1)) + peak[:, 0]
    fit = (log_sum - (logits * targets).sum(1)).mean()
    return float(fit + damping / 2.0 * np.square(weights).sum())
