"""Where chosen training images lie among all: their rank and distance on one layer (Cohen et al. 2020, Alg. 1)."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from telltale.evidence.distances import Block, Floats, SquaredDistances

Rows = npt.NDArray[np.int64]
Doubles = npt.NDArray[np.float64]
CELLS = 1 << 15


def ranks_and_distances(
    queries: npt.NDArray[np.float32], reference: SquaredDistances, rows: Rows, blocks: Iterable[Block] | None = None
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Rank and distance of chosen training images on one layer: those that sorting exact distances would give.

    Parameters
    ----------
    queries : array of float32, shape (n, d)
    reference : SquaredDistances to N points
        The smaller its margins, the fewer rows have to be measured exactly to settle the ranks.
    rows : array of int64, shape (n, m)
        Chosen reference rows per query.
    blocks : iterable of Block, optional
        What `reference` estimates for the queries, where that is known already.

    Returns
    -------
    ranks : array of float32, shape (n, m)
        Number of training images strictly nearer, divided by N.
    distances : array of float32, shape (n, m)
        Euclidean.
    """
    ranks = np.empty(rows.shape, dtype=np.float32)
    distances = np.empty(rows.shape, dtype=np.float32)
    for block in reference.blocks(queries) if blocks is None else blocks:
        for place, estimates in enumerate(block.estimates):
            i = block.start + place
            if np.isfinite(block.margins[place]) and estimates.max() < np.finfo(estimates.dtype).max / 4.0:
                margins = block.margins_by_point(place)
            else:  # a square has overflowed, or could
                estimates = reference.exact(queries[i], np.arange(len(reference)))
                margins = np.zeros(1)
            counts, chosen = _ranks(estimates, margins, rows[i], queries[i], reference)
            ranks[i], distances[i] = counts / np.float32(len(reference)), np.sqrt(chosen)
    return ranks, distances


def _ranks(
    estimates: Floats, margins: Floats, rows: Rows, query: npt.NDArray[np.float32], reference: SquaredDistances
) -> tuple[Rows, Doubles]:
    """Count the points nearer than each of `rows`, measuring these and what is in doubt; return their squares too."""
    distinct, places = np.unique(rows, return_inverse=True)
    exact = reference.exact(query, distinct)
    order = np.argsort(exact, kind="stable")
    others = np.ones(len(estimates), dtype=np.bool_)
    others[distinct] = False
    if 2 * len(distinct) >= len(others):  # few are left, and sooner measured than estimated
        clearly, doubtful = np.zeros(len(order), dtype=np.int64), np.flatnonzero(others)
    else:
        clearly, doubtful = _clearly_nearer(estimates, margins, exact[order].astype(estimates.dtype), others)
    measured = np.sort(np.concatenate([exact, reference.exact(query, doubtful)]))
    nearer = np.empty(len(order), dtype=np.int64)
    nearer[order] = clearly + np.searchsorted(measured, exact[order])
    return nearer[places], exact[places]


def _clearly_nearer(
    estimates: Floats, margins: Floats, limits: Floats, asked: npt.NDArray[np.bool_]
) -> tuple[Rows, Rows]:
    """Count for each sorted limit the points asked for that are nearer beyond doubt; return the doubtful rows."""
    passed, doubtful = _passed(estimates, margins, limits, asked)
    clear = asked.copy()
    clear[doubtful] = False
    # A point that has passed i of the limits is nearer than every later one.
    return np.cumsum(np.bincount(passed[clear], minlength=len(limits) + 1))[:-1], doubtful


def _passed(estimates: Floats, margins: Floats, limits: Floats, asked: npt.NDArray[np.bool_]) -> tuple[Rows, Rows]:
    """Return how many of the sorted limits each estimate lies beyond, and the rows with a limit within their margin.

    Most are told by a look-up in a fine grid instead of by bisection: those whose margin meets no cell with a limit.
    Nothing is said of rows that are not asked for.
    """
    cells = _Cells(limits)
    lowest, highest = estimates - margins, estimates + margins
    passed, reached = cells.before(lowest), cells.up_to(highest)
    rough = np.flatnonzero((reached > passed) & asked)
    rough = rough[np.argsort(lowest[rough])]  # bisection of what is sorted takes a third of the time
    passed[rough] = np.searchsorted(limits, lowest[rough], side="left")
    within = np.searchsorted(limits, highest[rough], side="right") > passed[rough]
    return passed, np.sort(rough[within])


class _Cells:
    """A fine grid over sorted limits, with the number of limits before each of its cells."""

    def __init__(self, limits: Floats) -> None:
        tiny = float(np.finfo(limits.dtype).tiny)
        self._start = limits[0]
        self._scale = limits.dtype.type(CELLS / max(float(limits[-1] - limits[0]), CELLS * tiny))
        self._counts = np.concatenate([[0], np.cumsum(np.bincount(self._of(limits), minlength=CELLS + 3))])

    def before(self, places: Floats) -> Rows:
        """Count the limits in cells before that of each place: no more than lie below it."""
        return np.asarray(self._counts.take(self._of(places), mode="clip"))  # no index is out of bounds

    def up_to(self, places: Floats) -> Rows:
        """Count the limits in cells up to that of each place: no fewer than lie below it or at it."""
        return np.asarray(self._counts[1:].take(self._of(places), mode="clip"))

    def _of(self, places: Floats) -> npt.NDArray[np.int32]:
        # Never decreasing, rounding included, so that a cell between those of two places holds all that is in between.
        with np.errstate(over="ignore"):
            return np.asarray(np.clip((places - self._start) * self._scale + 1.0, 0.0, CELLS + 2.0), dtype=np.int32)
