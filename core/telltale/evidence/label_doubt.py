"""How doubtful a label is, by the network and by the nearest training images."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Rows = npt.NDArray[np.int64]
Doubles = npt.NDArray[np.float64]


def class_shares(labels: Rows, classes: int) -> Doubles:
    """Return the share of every class among labels of shape (n, k): (n, C), rows summing to 1."""
    cells = np.arange(len(labels))[:, None] * classes + labels
    counts = np.bincount(cells.ravel(), minlength=len(labels) * classes).reshape(-1, classes)
    return np.asarray(counts / labels.shape[1], dtype=np.float64)


def label_error_score(probabilities: Doubles, shares: Doubles, labels: Rows) -> Doubles:
    """Score how likely given labels are wrong: the mean doubt of the network and of the nearest training images.

    The doubt of a distribution over classes is (1 - m) / 2 with m the label's normalised margin, its share less the
    largest other one (Northcutt, Jiang & Chuang 2021; Kuan & Mueller 2022): 0 where all of it is on the label, 1 where
    all is on one other class, about 1/2 where two classes compete, however many there are.

    Parameters
    ----------
    probabilities : array of float64, shape (n, C)
        The network's softmax outputs.
    shares : array of float64, shape (n, C)
        Shares of the nearest training images' labels.
    labels : array of int64, shape (n,)
        The labels in doubt.

    Returns
    -------
    array of float64, shape (n,), in [0, 1]
    """
    return (_doubt(probabilities, labels) + _doubt(shares, labels)) / 2.0


def _doubt(shares: Doubles, labels: Rows) -> Doubles:
    rows = np.arange(len(labels))
    own = shares[rows, labels]
    others = shares.copy()
    others[rows, labels] = -np.inf
    return np.asarray((1.0 + others.max(1) - own) / 2.0, dtype=np.float64)
