"""Which of many points a chart shows, or a person has chosen."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from skimage.measure import points_in_poly

Doubles = npt.NDArray[np.float64]

Ids = npt.NDArray[np.int64]


def shared_ids(first: Ids, second: Ids) -> Ids:
    """Return the ids that occur in both lists, in the order of the first."""
    return first[np.isin(first, second)]


def positions_of(ids: Ids, reference: Ids) -> Ids:
    """Return the row of each id in `reference`; ids that are absent are left out."""
    order = np.argsort(reference, kind="stable")
    at = np.minimum(np.searchsorted(reference[order], ids), len(reference) - 1)
    rows = order[at]
    return np.asarray(rows[reference[rows] == ids], dtype=np.int64)


def evenly(count: int, most: int) -> Ids:
    """Return at most `most` of `count` rows, evenly spaced and in order."""
    return np.arange(min(count, most), dtype=np.int64) * count // max(1, min(count, most))


def inside(points: npt.NDArray[np.floating], outlines: Sequence[Doubles]) -> Ids:
    """Return the rows of points (n, 2) inside any closed outline (m, 2), in order."""
    found = np.zeros(len(points), dtype=bool)
    for outline in outlines:
        found |= points_in_poly(np.asarray(points, dtype=np.float64), outline)  # type: ignore[no-untyped-call]
    return np.flatnonzero(found)
