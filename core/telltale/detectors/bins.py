"""Values of features put into few bins before trees grow on them: those of scikit-learn, in a hundredth of the time.

With weights, scikit-learn 1.9 looks for every one of the 254 quantiles of every feature by itself: half a minute for
two hundred features of a few hundred images, while the trees take less than a second.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
MOST = 255  # bins of a feature


@dataclass(frozen=True)
class Bins:
    """Where the bins of features end.

    Attributes
    ----------
    edges : tuple of (array of float64, ascending) or None
        One per feature: bin i holds values above edge i - 1, up to and including edge i. None where there are so few
        different values that each has a bin of its own.
    filled : tuple of array of int64 or None
        Bins that hold a value.
    """

    edges: tuple[Floats | None, ...]
    filled: tuple[Ints | None, ...]

    @classmethod
    def of(cls, features: Floats, weights: Floats) -> Bins:
        """Put the edges at weighted quantiles of features (n, f), with weights (n,)."""
        edges = tuple(_edges(column, weights) for column in features.T)
        pairs = zip(edges, features.T, strict=True)
        filled = tuple(None if e is None else np.unique(np.searchsorted(e, column)) for e, column in pairs)
        return cls(edges, filled)

    def put(self, features: Floats) -> Floats:
        """Return features (n, f) with the number of its bin in the place of a value; few values stay as they are."""
        columns = [c if e is None else np.searchsorted(e, c) for e, c in zip(self.edges, features.T, strict=True)]
        return np.array(columns, dtype=np.float64).T.reshape(features.shape)

    def thresholds(self, feature: npt.ArrayLike, asked: npt.ArrayLike) -> Floats:
        """Return where the values are parted that trees on bins part half way between two of them, shape (m,).

        Parameters
        ----------
        feature : array of int, shape (m,)
        asked : array of float, shape (m,)
            Half way between two neighbouring bins that hold values.
        """
        features, halves = np.asarray(feature, dtype=np.int64), np.asarray(asked, dtype=np.float64)
        return np.array([self._threshold(f, half) for f, half in zip(features, halves, strict=True)], dtype=np.float64)

    def _threshold(self, feature: np.int64, half: np.float64) -> float:
        edges, filled = self.edges[feature], self.filled[feature]
        if edges is None or filled is None:
            return float(half)
        below = filled[np.searchsorted(filled, half) - 1]
        return float(edges[below])


def _edges(column: Floats, weights: Floats) -> Floats | None:
    """Return the averaged inverse of the weighted distribution (Hyndman & Fan 1996, definition 2) at equal steps."""
    counted = weights != 0.0
    values, order = column[counted], np.argsort(column[counted])
    values, below = values[order], np.cumsum(weights[counted][order])
    if len(np.unique(values)) <= MOST:
        return None
    wanted = np.linspace(0.0, 100.0, MOST + 1)[1:-1] / 100.0 * below[-1]
    last = len(values) - 1
    place = np.minimum(np.searchsorted(below, wanted), last)
    between = below[place] - wanted <= np.finfo(np.float64).eps
    after = values[np.minimum(place + 1, last)]
    return np.unique(np.where(between, (values[place] + after) / 2.0, values[place]))
