"""Where chosen training images lie among all: their rank and distance on one layer (Cohen et al. 2020, Alg. 1)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from telltale.evidence.distances import SquaredDistances

Rows = npt.NDArray[np.int64]
Doubles = npt.NDArray[np.float64]
RELATIVE = 1e-9  # error of a squared distance below which float32 cannot show it
CELLS = 1 << 15


def ranks_and_distances(
    queries: npt.NDArray[np.float32], reference: SquaredDistances, rows: Rows
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Rank and distance of chosen training images on one layer: those that sorting exact distances would give.

    Parameters
    ----------
    queries : array of float32, shape (n, d)
    reference : SquaredDistances to N points
        The smaller its margins, the fewer rows have to be measured exactly to settle the ranks.
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
            squared, reach = estimates.astype(np.float64, copy=False), float(margin)
            if not np.isfinite(reach):
                squared, reach = reference.exact(queries[i], np.arange(len(reference))), 0.0
            counts, chosen = _ranks(squared, reach, rows[i], queries[i], reference)
            ranks[i], distances[i] = counts / np.float32(len(reference)), np.sqrt(chosen)
    return ranks, distances


def _ranks(
    squared: Doubles, margin: float, rows: Rows, query: npt.NDArray[np.float32], reference: SquaredDistances
) -> tuple[Rows, Doubles]:
    """Count the entries of `squared` (N,) below those of `rows`, measuring what is in doubt; return these too."""
    chosen = squared[rows]
    rough = ~(margin < RELATIVE * chosen)
    chosen[rough] = reference.exact(query, rows[rough])
    reach = np.where(rough, margin, 2.0 * margin)  # no margin of its own beside an exact distance
    ordered = _sorted_to_infinity(squared)
    nearer = _count_below(ordered, chosen - reach)
    # A chosen row is alone within reach unless the next one in order is there too.
    doubtful = np.flatnonzero(ordered[nearer + 1] <= chosen + reach)
    if len(doubtful):
        limits = chosen[doubtful] - reach[doubtful]
        unclear = _within(squared, np.sort(limits), np.sort(chosen[doubtful] + reach[doubtful]))
        chosen[doubtful] = reference.exact(query, rows[doubtful])
        measured = np.sort(reference.exact(query, unclear))
        nearer[doubtful] += _count_below(measured, chosen[doubtful]) - _count_below(np.sort(squared[unclear]), limits)
    return nearer, chosen


def _sorted_to_infinity(values: Doubles) -> Doubles:
    ordered = np.empty(len(values) + 1)
    ordered[:-1], ordered[-1] = values, np.inf
    ordered.sort()
    return ordered


def _count_below(ordered: Doubles, limits: Doubles) -> Rows:
    """Count the sorted entries strictly below each limit; limits in order find theirs next to the one before."""
    order = np.argsort(limits)
    counts = np.empty(len(limits), dtype=np.int64)
    counts[order] = np.searchsorted(ordered, limits[order])
    return counts


def _within(values: Doubles, starts: Doubles, ends: Doubles) -> Rows:
    """Return the rows of `values` in any of the closed intervals with these sorted starts and ends."""
    rows = _roughly_within(values, starts, ends)
    begun = np.searchsorted(starts, values[rows], side="right")
    return rows[begun > np.searchsorted(ends, values[rows])]


def _roughly_within(values: Doubles, starts: Doubles, ends: Doubles) -> Rows:
    """Return the rows that share a cell of a fine grid with an interval: for most, a look-up instead of bisection."""
    with np.errstate(over="ignore"):
        scale = CELLS / max(ends[-1] - starts[0], np.finfo(np.float64).tiny)

        def cells(places: Doubles) -> npt.NDArray[np.int32]:
            # Never decreasing, rounding included, so that a cell between those of the ends holds all in between.
            return np.asarray(np.clip((places - starts[0]) * scale + 1.0, 0.0, CELLS + 2.0), dtype=np.int32)

        begun, ended = (
            np.bincount(cells(starts), minlength=CELLS + 4),
            np.bincount(cells(ends) + 1, minlength=CELLS + 4),
        )
        return np.flatnonzero((np.cumsum(begun - ended) > 0)[cells(values)])
