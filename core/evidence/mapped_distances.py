"""Squared distances to points that stay in a memory-mapped file: nothing as large as the points is held beside them."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt

from core.evidence.distances import Block, Floats, SquaredDistances

CHUNK = 2048  # float64 copies of so many points stay in the processor's cache


class MappedDistances(SquaredDistances):
    """Squared Euclidean distances in float64 from any query to N points, read chunk by chunk for every few queries.

    Parameters
    ----------
    points : array of float32, shape (N, d)
        Usually mapped from a file. Memory beside it is 2 N numbers.
    """

    def __init__(self, points: npt.NDArray[np.float32]) -> None:
        self.points = points
        self._pool = ThreadPoolExecutor(len(os.sched_getaffinity(0)), thread_name_prefix="distances")
        self._squares = np.concatenate(list(self._pool.map(self._squared_norms, self._parts())))
        self._largest = float(self._squares.max())
        limits = np.finfo(np.float64)
        self._relative = (points.shape[1] + 8) * float(limits.eps)
        self._absolute = 4.0 * (points.shape[1] + 2) * float(limits.tiny)

    def _block(self, start: int, queries: npt.NDArray[np.float32]) -> Block:
        doubled = 2.0 * queries.astype(np.float64).T
        squares = np.einsum("nd,nd->n", queries, queries, dtype=np.float64)
        products = list(self._pool.map(lambda part: self.points[part].astype(np.float64) @ doubled, self._parts()))
        estimates = self._squares - np.concatenate(products).T
        estimates += squares[:, None]
        return Block(start, estimates, self._relative * (self._largest + squares) + self._absolute)

    def _squared_norms(self, part: slice) -> Floats:
        points = self.points[part].astype(np.float64)
        return np.asarray(np.einsum("nd,nd->n", points, points))

    def _parts(self) -> list[slice]:
        return [slice(start, start + CHUNK) for start in range(0, len(self.points), CHUNK)]
