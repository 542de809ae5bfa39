"""How clearly a class wins over the others, read off the logits: no exponential that could saturate."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.special import logsumexp

Floats = npt.NDArray[np.float64]


def logit_margins(logits: npt.NDArray[np.floating], classes: npt.NDArray[np.int64]) -> Floats:
    """Return the logit of a class less the largest other one.

    Parameters
    ----------
    logits : array of float, shape (n, C)
        C is at least 2.
    classes : array of int64, shape (n,)
        Class of every image.

    Returns
    -------
    array of float64, shape (n,)
        In logits; below 0 where another class wins.

    Examples
    --------
    >>> logit_margins(np.array([[5.0, 2.0, 1.0]]), np.array([0]))
    array([3.])
    """
    own, others = _apart(logits, classes)
    return np.asarray(own - others.max(1))


def log_odds(logits: npt.NDArray[np.floating], classes: npt.NDArray[np.int64]) -> Floats:
    """Return log(p / (1 - p)), with p the softmax probability of a class.

    It orders images as p does, and goes on doing so where p is 1 to the last digit.

    Parameters
    ----------
    logits : array of float, shape (n, C)
        C is at least 2.
    classes : array of int64, shape (n,)
        Class of every image.

    Returns
    -------
    array of float64, shape (n,)
        In nats.

    Examples
    --------
    >>> log_odds(np.array([[90.0, 0.0, 0.0], [99.0, 0.0, 0.0]]), np.array([0, 0])).round(3)
    array([89.307, 98.307])
    """
    own, others = _apart(logits, classes)
    return np.asarray(own - logsumexp(others, axis=1))


def _apart(logits: npt.NDArray[np.floating], classes: npt.NDArray[np.int64]) -> tuple[Floats, Floats]:
    """Return the logit of each image's class, and all others with -inf in its place."""
    others, rows = logits.astype(np.float64), np.arange(len(logits))
    own = others[rows, classes].copy()
    others[rows, classes] = -np.inf
    return own, others
