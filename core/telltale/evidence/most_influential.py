"""What every way of computing influence has in common: the most helpful and the most harmful training images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class MostInfluential:
    """The training images that most helped or harmed n predictions, strongest first.

    Attributes
    ----------
    helpful, harmful : arrays of int64, shape (n, M)
        Rows of the reference set.
    helpful_values, harmful_values : arrays of float64, shape (n, M)
        grad L_test . H^-1 . grad L_train / N. Positive = helpful.
    """

    helpful: npt.NDArray[np.int64]
    harmful: npt.NDArray[np.int64]
    helpful_values: npt.NDArray[np.float64]
    harmful_values: npt.NDArray[np.float64]

    @classmethod
    def empty(cls, queries: int, count: int) -> MostInfluential:
        """Return room for `count` images of each kind per query."""
        shape = (queries, count)
        return cls(np.empty(shape, np.int64), np.empty(shape, np.int64), np.empty(shape), np.empty(shape))

    @classmethod
    def of_values(cls, values: npt.NDArray[np.float64], count: int) -> MostInfluential:
        """Choose from the influence of all training images, shape (n, N)."""
        helpful, harmful = most_influential(values, count)
        return cls(
            helpful, harmful, np.take_along_axis(values, helpful, axis=1), np.take_along_axis(values, harmful, axis=1)
        )


class Influence(Protocol):
    """One way of computing influence through the softmax head."""

    @property
    def method(self) -> str:
        """How, in words for the page."""

    def top(self, hidden: npt.NDArray[np.float32], predictions: npt.NDArray[np.int64], count: int) -> MostInfluential:
        """Return the M most helpful and the M most harmful training images of n queries.

        Parameters
        ----------
        hidden : array of float32, shape (n, d)
        predictions : array of int64, shape (n,)
            The network's predicted classes; the test loss is taken at them.
        count : int
            M, at most N.
        """


def most_influential(
    values: npt.NDArray[np.float64], count: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
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
    shape = (len(values), count)
    helpful, harmful = np.empty(shape, dtype=np.int64), np.empty(shape, dtype=np.int64)
    for i, row in enumerate(values):
        helpful[i], harmful[i] = _smallest(-row, count), _smallest(row, count)
    return helpful, harmful


def _smallest(values: npt.NDArray[np.float64], count: int) -> npt.NDArray[np.int64]:
    rows = np.flatnonzero(values <= np.partition(values, count - 1)[count - 1])
    return np.asarray(rows[np.argsort(values[rows], kind="stable")[:count]], dtype=np.int64)
