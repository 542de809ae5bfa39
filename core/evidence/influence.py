"""Influence of every training image through the softmax head (Koh & Liang 2017; Cohen et al. 2020, Eq. 1).

The features are frozen: with logits = W e + b the gradient of one image's loss is (p - y) (x) [e, 1], the Hessian is
small enough to factor exactly, and all N training images are scored in one pass of O(N d C).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.linalg import cho_factor, cho_solve

from core.models.trace import softmax

Array = npt.NDArray[np.float64]


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

    Raises
    ------
    RuntimeError
        If the tolerance is not reached.
    """
    features = with_bias(hidden)
    targets = np.eye(classes)[labels]
    weights = np.zeros((classes, features.shape[1]))
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
    hessian = np.zeros((classes, width, classes, width))
    for a in range(classes):
        for b in range(a, classes):
            curvature = probabilities[:, a] * (float(a == b) - probabilities[:, b])
            hessian[a, :, b, :] = features.T @ (curvature[:, None] * features) / len(features)
            hessian[b, :, a, :] = hessian[a, :, b, :].T
    square = hessian.reshape(classes * width, classes * width)
    square[np.diag_indices_from(square)] += damping
    return square


class HeadInfluence:
    """Influence of all N training images on one image's loss, with the Hessian factored once.

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
        self._features = with_bias(hidden)
        probabilities = head.probabilities(hidden)
        self._factor = cho_factor(head_hessian(self._features, probabilities, head.damping))
        self._residuals = probabilities - np.eye(len(head.weights))[labels]

    def values(self, hidden: npt.NDArray[np.float32], predictions: npt.NDArray[np.int64]) -> Array:
        """Score every training image for every query.

        Parameters
        ----------
        hidden : array of float32, shape (n, d)
        predictions : array of int64, shape (n,)
            The network's predicted classes; the test loss is taken at them.

        Returns
        -------
        array of float64, shape (n, N)
            grad L_test . H^-1 . grad L_train / N. Positive = helpful: removing the image raises the test loss.
        """
        residuals = self.head.probabilities(hidden) - np.eye(len(self.head.weights))[predictions]
        return np.stack([self._values_of(r, f) for r, f in zip(residuals, with_bias(hidden), strict=True)])

    def _values_of(self, residual: Array, feature: Array) -> Array:
        solved = cho_solve(self._factor, np.outer(residual, feature).ravel()).reshape(self.head.weights.shape)
        products = self._features @ solved.T
        return np.asarray(np.einsum("nc,nc->n", self._residuals, products) / len(self._features), dtype=np.float64)


def most_influential(values: Array, count: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Rows of the most helpful and the most harmful training images.

    Parameters
    ----------
    values : array of float64, shape (n, N)
    count : int
        M, at most N.

    Returns
    -------
    helpful, harmful : arrays of int64, shape (n, M)
        Strongest first; equal values by row.
    """
    helpful = np.argsort(-values, axis=1, kind="stable")[:, :count]
    harmful = np.argsort(values, axis=1, kind="stable")[:, :count]
    return helpful, harmful


def ranks_and_distances(
    queries: npt.NDArray[np.float32], reference: npt.NDArray[np.float32], rows: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Rank and distance of chosen training images on one layer, without sorting all distances.

    Parameters
    ----------
    queries : array of float32, shape (n, d)
    reference : array of float32, shape (N, d)
    rows : array of int64, shape (n, m)
        Chosen reference rows per query.

    Returns
    -------
    ranks : array of float32, shape (n, m)
        Number of training images strictly nearer, divided by N.
    distances : array of float32, shape (n, m)
        Euclidean.
    """
    ranks = np.empty(rows.shape, dtype=np.float32)
    distances = np.empty(rows.shape, dtype=np.float32)
    for i, (query, chosen) in enumerate(zip(queries, rows, strict=True)):
        to_all = np.linalg.norm(reference - query, axis=1)
        distances[i] = to_all[chosen]
        ranks[i] = count_nearer(to_all, to_all[chosen]) / len(reference)
    return ranks, distances


def count_nearer(distances: npt.NDArray[np.floating], chosen: npt.NDArray[np.floating]) -> npt.NDArray[np.int64]:
    """For every chosen distance (m,), count the entries of `distances` (N,) strictly below it: O(N log m)."""
    order = np.argsort(chosen, kind="stable")
    bins = np.searchsorted(chosen[order], distances, side="right")
    below = np.cumsum(np.bincount(bins, minlength=len(chosen) + 1))[: len(chosen)]
    counts = np.empty(len(chosen), dtype=np.int64)
    counts[order] = below
    return counts


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
