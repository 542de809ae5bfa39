"""Where chosen training images lie among all: their rank and distance on one layer (Cohen et al. 2020, Alg. 1)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from core.evidence.distances import Floats, SquaredDistances

Rows = npt.NDArray[np.int64]
RELATIVE = 1e-9  # error of a squared distance below which float32 cannot show it


def ranks_and_distances(
    queries: npt.NDArray[np.float32], reference: SquaredDistances, rows: Rows
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Rank and distance of chosen training images on one layer: those that sorting exact distances would give.

    Parameters
    ----------
    queries : array of float32, shape (n, d)
    reference : SquaredDistances to N points, in float64
        With float32 most ranks have to be settled by exact distances, and squares must not overflow it.
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
    for block in reference.blocks(queries):
        for i, (estimates, margin) in enumerate(zip(block.estimates, block.margins, strict=True), block.start):
            known = estimates.astype(np.float64, copy=False)
            ranks[i] = _ranks(known, float(margin), rows[i], queries[i], reference) / np.float32(len(reference))
            distances[i] = np.sqrt(known[rows[i]])
    return ranks, distances


def _ranks(
    squared: npt.NDArray[np.float64],
    margin: float,
    rows: Rows,
    query: npt.NDArray[np.float32],
    reference: SquaredDistances,
) -> Rows:
    """Count the entries of `squared` (N,) strictly below those of `rows`, after making exact what is in doubt."""
    ordered, chosen = _sorted_to_infinity(squared), squared[rows]
    nearer = _count_below(ordered, chosen - 2.0 * margin)
    # A chosen row is alone within two margins unless the next one in order is there too.
    doubtful = (ordered[nearer + 1] <= chosen + 2.0 * margin) | ~(margin < RELATIVE * chosen)
    if not doubtful.any():
        return nearer
    unclear = _within(squared, np.sort(chosen[doubtful]), 2.0 * margin)
    squared[unclear] = reference.exact(query, unclear)
    return _count_below(_sorted_to_infinity(squared), squared[rows])


def _sorted_to_infinity(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    ordered = np.empty(len(values) + 1)
    ordered[:-1], ordered[-1] = values, np.inf
    ordered.sort()
    return ordered


def _count_below(ordered: npt.NDArray[np.float64], limits: npt.NDArray[np.float64]) -> Rows:
    """Count the sorted entries strictly below each limit; limits in order find theirs next to the one before."""
    order = np.argsort(limits)
    counts = np.empty(len(limits), dtype=np.int64)
    counts[order] = np.searchsorted(ordered, limits[order])
    return counts


def _within(values: Floats, places: Floats, reach: float) -> Rows:
    """Return the rows of `values` that are no farther than `reach` from one of the sorted places."""
    first = np.searchsorted(places, values - reach)
    return np.flatnonzero(first < np.searchsorted(places, values + reach, side="right"))
