"""Which class is taken for which: a table of the classes that there are references of, and of all others as one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Rows = npt.NDArray[np.int64]

OUTSIDE = -1
OUTSIDE_NAME = "outside"
MOST_ROWS, WORST_ROWS = 100, 20  # of more rows than can be told apart, so many are shown


@dataclass(frozen=True)
class Confusion:
    """Images by two answers.

    Attributes
    ----------
    counts : array of int64, shape (K, K)
        By the first answer (row) and the second (column).
    labels : tuple of int, length K
        Class of every row and column; `OUTSIDE` for all classes without references together, as the last one.
    names : tuple of str, length K
    """

    counts: Rows
    labels: tuple[int, ...]
    names: tuple[str, ...]

    def shown(self) -> Confusion:
        """Return what can be told apart: all of it, or of many classes those that are confused most often, in order.

        Counted are images off the diagonal, in a class's row and column together.
        """
        if len(self.labels) <= MOST_ROWS:
            return self
        wrong = self.counts - np.diag(np.diag(self.counts))
        order = np.argsort(-(wrong.sum(0) + wrong.sum(1)), kind="stable")
        kept = np.sort(order[:WORST_ROWS])
        return Confusion(
            self.counts[np.ix_(kept, kept)],
            tuple(self.labels[place] for place in kept),
            tuple(self.names[place] for place in kept),
        )


def confusion_of(first: Rows, second: Rows, class_names: Sequence[str], known: npt.NDArray[np.bool_]) -> Confusion:
    """Count n images by two answers.

    Parameters
    ----------
    first, second : array of int64, shape (n,)
        Labels.
    class_names : sequence of str
        Of all C classes.
    known : array of bool, shape (C,)
        Which of them have references. The others are told apart by nothing here, and a network may have a thousand.
    """
    labels = [int(label) for label in np.flatnonzero(known)]
    names = [class_names[label] for label in labels]
    places = np.full(len(class_names), len(labels), dtype=np.int64)
    places[known] = np.arange(len(labels))
    if not known.all():
        labels, names = [*labels, OUTSIDE], [*names, OUTSIDE_NAME]
    cells = np.bincount(places[first] * len(labels) + places[second], minlength=len(labels) ** 2)
    return Confusion(cells.reshape(len(labels), len(labels)).astype(np.int64), tuple(labels), tuple(names))


def answered(labels: Rows, known: npt.NDArray[np.bool_], answer: int) -> npt.NDArray[np.bool_]:
    """Return which of n labels belong to a row or column of a `Confusion`, shape (n,)."""
    return np.asarray(~known[labels] if answer == OUTSIDE else labels == answer)
