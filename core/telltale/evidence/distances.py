"""Squared Euclidean distances to many points by one matrix product, with a proved bound on their rounding.

A product |p|^2 - 2 p.q + |q|^2 is several times faster than summing squared differences, but its rounding depends on
the number of queries and can hide small differences. Whoever needs an exact answer takes from the product everything
that its margin leaves no doubt about, and measures the few rows that are left with `SquaredDistances.exact`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating]
BLOCK_VALUES = 1 << 22  # estimates held at once
ROWS_AT_ONCE = 128  # float64 copies of so many points stay in the processor's cache
FEW = 4  # queries, whose product is bound by reading the points: adding it up in pieces costs no time
PIECE = 40  # coordinates: short sums round little, and there are few of them to be added up


@dataclass(frozen=True)
class Block:
    """Estimated squared distances of consecutive queries to all points.

    Attributes
    ----------
    start : int
        Number of the first query.
    estimates : array of shape (b, N)
    margins : array of float64, shape (b,)
        No estimate of that query is farther from the true squared distance, nor from what `SquaredDistances.exact`
        makes of it; not finite where a square overflows.
    margins_by_point : callable
        Takes the number of a query in this block and returns the same for every point by itself, (N,), in the
        estimates' precision: much less for most, as rounding grows with a point's own norm.
    """

    start: int
    estimates: Floats
    margins: npt.NDArray[np.float64]
    margins_by_point: Callable[[int], Floats]


def rounding(width: int, precision: type[np.floating], piece: int | None = None) -> tuple[float, float]:
    """Bound the rounding of an estimate from `width` coordinates: relative to |p|^2 + |q|^2, and absolute.

    Its d + 2 products are added up at once, or pieces of them first and then the pieces.
    """
    limits, double = np.finfo(precision), np.finfo(np.float64)
    terms = width + 2
    additions = terms if piece is None else min(terms, piece) + -(-terms // piece)
    # With u = eps / 2: 2 u from each addition that a product passes, 4 u from rounding the centred coordinates, u from
    # the squared norms, 2 u from comparing with a rounded bound and 2 u from rounding what is compared; the exact
    # sum's (d + 2) u of up to twice as much.
    relative = (additions + 6) * float(limits.eps) + terms * float(double.eps)
    return relative, 4.0 * (width + 2) * float(limits.tiny)  # underflow


def squared_differences(
    points: npt.NDArray[np.float32], query: npt.NDArray[np.float32], rows: npt.NDArray[np.int64] | None = None
) -> npt.NDArray[np.float64]:
    """Squared distances of a query (d,) to some rows (m,) of points, from float64 differences; the same bits always.

    To all points where no rows are given.
    """
    count = len(points) if rows is None else len(rows)
    found, room = np.empty(count), np.empty((min(ROWS_AT_ONCE, count), points.shape[1]))
    for start in range(0, count, ROWS_AT_ONCE):
        part = slice(start, min(start + ROWS_AT_ONCE, count))
        differences = room[: part.stop - start]
        differences[...] = points[part if rows is None else rows[part]]
        differences -= query
        # einsum adds every row in the same order, however many rows there are, unlike a BLAS product.
        np.einsum("nd,nd->n", differences, differences, out=found[part])
    return found


class SquaredDistances:
    """Squared Euclidean distances from any query to N fixed points.

    Parameters
    ----------
    points : array of float32, shape (N, d)
    precision : {np.float32, np.float64}
        Of the product. Memory is N (d + 2) numbers of it.
    """

    def __init__(self, points: npt.NDArray[np.float32], precision: type[np.floating]) -> None:
        self.points = points
        # Rounding grows with the norms, so norms are taken from the points' own middle.
        self._centre = points.mean(0, dtype=np.float64)
        # One column per point: BLAS multiplies one query or many by these faster than by rows.
        self._columns = self._expand(points, precision)
        self._columns[-1] = 1.0
        self._largest = float(self._columns[-2].max())
        self._at_once = rounding(points.shape[1], precision)
        self._in_pieces = rounding(points.shape[1], precision, PIECE)

    def __len__(self) -> int:
        return len(self.points)

    def blocks(self, queries: npt.NDArray[np.float32]) -> Iterator[Block]:
        """Estimate the distances of queries (n, d) to all points, a bounded number of them at a time."""
        step = max(1, BLOCK_VALUES // len(self.points))
        for start in range(0, len(queries), step):
            yield self._block(start, queries[start : start + step])

    def exact(self, query: npt.NDArray[np.float32], rows: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """Squared distances of one query (d,) to some rows (m,), from float64 differences; the same bits always."""
        return squared_differences(self.points, query, rows)

    def _block(self, start: int, queries: npt.NDArray[np.float32]) -> Block:
        with np.errstate(over="ignore", invalid="ignore"):
            columns = self._expand(queries, self._columns.dtype.type)
            squares = columns[-2].astype(np.float64)
            columns[:-2] *= -2.0
            columns[-1] = columns[-2]
            columns[-2] = 1.0
            few = len(queries) <= FEW
            estimates = self._added_in_pieces(columns) if few else columns.T @ self._columns
            relative, absolute = self._in_pieces if few else self._at_once
            margins = relative * (self._largest + squares) + absolute

        def margins_by_point(query: int) -> Floats:
            with np.errstate(over="ignore"):
                return np.asarray(relative * self._columns[-2] + (relative * float(squares[query]) + absolute))

        return Block(start, estimates, margins, margins_by_point)

    def _added_in_pieces(self, columns: Floats) -> Floats:
        estimates = np.zeros((columns.shape[1], len(self)), dtype=columns.dtype)
        for start in range(0, len(columns), PIECE):
            piece = slice(start, start + PIECE)
            estimates += columns[piece].T @ self._columns[piece]
        return estimates

    def _expand(self, rows: npt.NDArray[np.float32], precision: type[np.floating]) -> Floats:
        """Return a column per row (n, d): centred, then its squared norm, then a place that is left open."""
        columns = np.empty((rows.shape[1] + 2, len(rows)), dtype=precision)
        centred = columns[:-2]
        with np.errstate(over="ignore"):
            np.subtract(rows.T, self._centre[:, None], out=centred)
            columns[-2] = np.einsum("dn,dn->n", centred, centred, dtype=np.float64)
        return columns
