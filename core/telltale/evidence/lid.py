"""Local intrinsic dimensionality, estimated from the distances to a reference minibatch (Ma et al. 2018)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from telltale.base.errors import InputError

Rows = npt.NDArray[np.int64]
MINIBATCH = 100
LARGEST = 1e6  # stands for infinity, where all distances are equal


def lid_estimates(distances: npt.NDArray[np.float64], k: int, own: Rows | None = None) -> npt.NDArray[np.float64]:
    """Estimate the dimensionality by maximum likelihood: -(1/k sum_i log(d_i / d_k))^-1 (Eq. 4 of the paper).

    All k terms count; that of i = k is 0. Two limits keep the estimate finite: an image that lies on one of the
    minibatch gets 0, also where all k do so; where all distances are equal and not 0, it gets `LARGEST`.

    Parameters
    ----------
    distances : array of float64, shape (n, m)
        From every query to every image of the minibatch, in any order.
    k : int
        Nearest images that count, from 1 to m, or m - 1 where `own` is given.
    own : array of int64, shape (n,), optional
        Column of the query itself in the minibatch, left out, or -1 where it is not there.

    Returns
    -------
    array of float64, shape (n,), in [0, `LARGEST`]

    Raises
    ------
    InputError
        If k is out of range.
    """
    most = distances.shape[1] - (own is not None)
    if not 1 <= k <= most:
        raise InputError(f"k must be an integer in [1, {most}], got {k}.")
    nearest = np.sort(distances if own is None else _without(distances, own), axis=1)[:, :k]
    farthest = nearest[:, -1:]
    ratios = nearest / np.where(farthest > 0.0, farthest, 1.0)
    on_another = ratios[:, 0] == 0.0
    spread = -np.log(np.where(on_another[:, None], 1.0, ratios)).mean(1)
    return np.where(on_another, 0.0, 1.0 / np.maximum(spread, 1.0 / LARGEST))


def lid_terms(distances: npt.NDArray[np.float64], k: int) -> npt.NDArray[np.float64]:
    """Return the terms log(d_i / d_k) whose mean `lid_estimates` is made of, nearest first, without the last, a zero.

    Parameters
    ----------
    distances : array of float64, shape (n, m)
        From every query to every image of the minibatch, in any order.
    k : int
        Nearest images that count, from 2 to m.

    Returns
    -------
    array of float64, shape (n, k - 1), in [-log(`LARGEST`), 0]
        An image that lies on one of the minibatch gets the smallest; where all distances are equal, all are 0.

    Raises
    ------
    InputError
        If k is out of range.
    """
    if not 2 <= k <= distances.shape[1]:
        raise InputError(f"k must be an integer in [2, {distances.shape[1]}], got {k}.")
    nearest = np.sort(distances, axis=1)[:, :k]
    farthest = nearest[:, -1:]
    ratios = np.where(farthest > 0.0, nearest[:, :-1] / np.where(farthest > 0.0, farthest, 1.0), 1.0)
    return np.log(np.maximum(ratios, 1.0 / LARGEST))


def draw_minibatch(labels: npt.NDArray[np.int64], seed: int) -> Rows:
    """Draw `MINIBATCH` rows, or all where there are fewer, every class in its share to within one image.

    Returns
    -------
    array of int64, ascending
    """
    rows = np.random.default_rng(seed).permutation(len(labels))
    by_class = rows[np.argsort(labels[rows], kind="stable")]
    size = min(MINIBATCH, len(labels))
    # Equally spaced places in rows sorted by class meet every class as often as its share asks.
    places = ((np.arange(size) + 0.5) * len(labels) / size).astype(np.int64)
    return np.sort(by_class[places])


def _without(distances: npt.NDArray[np.float64], own: Rows) -> npt.NDArray[np.float64]:
    """Put each query's distance to itself last."""
    return np.where(np.arange(distances.shape[1]) == own[:, None], np.inf, distances)
