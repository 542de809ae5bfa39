"""Squared distances to points that stay in a memory-mapped file: nothing as large as the points is held beside them.

One float32 product over the file is a few times faster than converting it to float64, and its rounding is bounded; the
rows that this leaves in doubt are few enough to measure exactly.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt

from telltale.evidence.distances import Block, Floats, SquaredDistances, rounding
from telltale.evidence.threads import one_blas_thread

CHUNK = 512  # float64 copies of so many points stay in the processor's cache
MULTIPLIED = 16_384  # points per product where nothing is copied
# |p| |q| between which a float32 product can neither overflow nor lose more to underflow than to rounding.
SAFE = (1e-25, 1e38)


class MappedDistances(SquaredDistances):
    """Squared Euclidean distances from any query to N points, all of them read for every few queries.

    Estimates come from a product in float32, or in float64 where that could overflow or underflow; either way their
    margin is proved.

    Parameters
    ----------
    points : array of float32, shape (N, d)
        Usually mapped from a file. Memory beside it is a few times N numbers.
    """

    def __init__(self, points: npt.NDArray[np.float32]) -> None:
        self.points = points
        self._pool = ThreadPoolExecutor(len(os.sched_getaffinity(0)), thread_name_prefix="distances")
        self._squares = np.concatenate(list(self._pool.map(self._squared_norms, _parts(len(points)))))
        self._largest = float(self._squares.max())
        self._relative, self._absolute = rounding(points.shape[1], np.float64)
        # Whatever the order of its sum, a product is off by at most d u / (1 - d u) |p| |q|, and counts twice; two more
        # parts in 1 / u hold underflow and this bound's own rounding. Twice u is eps.
        unit = float(np.finfo(np.float32).eps)
        self._of_product = (points.shape[1] / (1.0 - points.shape[1] * unit / 2.0) + 2.0) * unit

    def exact(self, query: npt.NDArray[np.float32], rows: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """Squared distances of one query to some rows, in all threads; see `SquaredDistances.exact`."""
        measure = super().exact
        measured = self._pool.map(lambda part: measure(query, rows[part]), _parts(len(rows)))
        return np.concatenate([np.empty(0), *measured])

    def _block(self, start: int, queries: npt.NDArray[np.float32]) -> Block:
        squares = np.einsum("nd,nd->n", queries, queries, dtype=np.float64)
        margins = self._relative * (self._largest + squares) + self._absolute
        reach, of_product = np.sqrt(self._largest * squares), 0.0
        if SAFE[0] < reach.min() and reach.max() < SAFE[1]:
            products, of_product = self._products(queries, MULTIPLIED), self._of_product
            margins += of_product * reach
        else:
            products = self._products(queries.astype(np.float64), CHUNK)
        estimates = self._squares - 2.0 * products.astype(np.float64, copy=False)
        estimates += squares[:, None]

        def by_point(query: int) -> Floats:
            square = float(squares[query])
            own = self._relative * (self._squares + square) + self._absolute
            return own + of_product * np.sqrt(self._squares * square) if of_product else own

        return Block(start, estimates, margins, by_point)

    def _products(self, queries: Floats, chunk: int) -> Floats:
        """Multiply all points by some queries, in the precision of these: (b, N)."""

        def multiply(part: slice) -> Floats:
            return np.asarray(self.points[part].astype(queries.dtype, copy=False) @ queries.T)

        with one_blas_thread():
            return np.concatenate(list(self._pool.map(multiply, _parts(len(self.points), chunk)))).T

    def _squared_norms(self, part: slice) -> Floats:
        points = self.points[part].astype(np.float64)
        return np.asarray(np.einsum("nd,nd->n", points, points))


def _parts(count: int, chunk: int = CHUNK) -> list[slice]:
    return [slice(start, start + chunk) for start in range(0, count, chunk)]
