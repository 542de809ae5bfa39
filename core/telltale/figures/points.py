"""Which of many points a chart shows, or a person has chosen."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

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
