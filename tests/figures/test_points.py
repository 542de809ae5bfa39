"""Which points a figure draws, and where ids stand."""

from __future__ import annotations

import numpy as np
import pytest

from telltale.figures.points import evenly, positions_of, shared_ids


def test_positions_of_ids_in_any_order() -> None:
    reference = np.array([40, 10, 30], dtype=np.int64)
    assert positions_of(np.array([30, 99, 40, 10]), reference).tolist() == [2, 0, 1]


def test_shared_ids_keep_the_first_order() -> None:
    assert shared_ids(np.array([5, 1, 3]), np.array([3, 5])).tolist() == [5, 3]


@pytest.mark.parametrize(("count", "most"), [(0, 5), (3, 5), (5, 5), (49_000, 10_000), (10_001, 10_000)])
def test_evenly_spaced_rows_are_in_order_and_as_many_as_allowed(count, most) -> None:
    rows = evenly(count, most)
    assert len(rows) == min(count, most)
    assert len(set(rows.tolist())) == len(rows) and (np.diff(rows) > 0).all()
    assert count <= most or np.diff(rows).max() - np.diff(rows).min() <= 1
