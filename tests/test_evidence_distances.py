"""Distances by a matrix product against extended precision: never farther off than their margin says."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.evidence import distances as distances_module
from core.evidence.distances import SquaredDistances

PRECISIONS = (np.float32, np.float64)


def truth(queries: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Squared distances in 64 bits of mantissa."""
    spans = queries.astype(np.longdouble)[:, None] - points.astype(np.longdouble)
    return np.square(spans).sum(2)


def estimated(distances: SquaredDistances, queries: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    blocks = list(distances.blocks(queries))
    return np.concatenate([b.estimates for b in blocks]), np.concatenate([b.margins for b in blocks])


@pytest.mark.parametrize("precision", PRECISIONS)
@settings(max_examples=80, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    width=st.sampled_from([1, 2, 33, 128]),
    scale=st.sampled_from([1e-30, 1e-3, 1.0, 1e4, 1e15]),
    shift=st.sampled_from([0.0, 1.0, 1e3, 1e6]),
)
def test_no_estimate_is_farther_off_than_its_margin(precision, seed, width, scale, shift) -> None:
    draws = np.random.default_rng(seed)
    points = ((draws.normal(size=(50, width)) + shift) * scale).astype(np.float32)
    queries = np.vstack([((draws.normal(size=(6, width)) * 3 + shift) * scale).astype(np.float32), points[:2]])
    estimates, margins = estimated(SquaredDistances(points, precision), queries)
    expected = truth(queries, points)
    assert (np.abs(estimates - expected) <= margins[:, None]).all()
    # The bound is of use: far below the distances themselves, however far from the origin they are measured.
    if shift <= 1e3 and scale > 1e-30:
        assert (margins < 1e-3 * width * scale**2 * 100).all()


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_margin_shrinks_with_precision_and_grows_with_width(precision) -> None:
    draws = np.random.default_rng(0)
    points = draws.normal(size=(400, 64)).astype(np.float32)
    estimates, margins = estimated(SquaredDistances(points, precision), points[:20])
    errors = np.abs(estimates - truth(points[:20], points)).max(1)
    assert (errors > 1e-4 * margins).all()  # not idly wide either
    assert (margins < (1e-2 if precision is np.float32 else 1e-11)).all()


def test_squares_that_overflow_say_so_by_their_margin() -> None:
    points = (np.random.default_rng(0).normal(size=(20, 3)) * 1e25).astype(np.float32)
    _, margins = estimated(SquaredDistances(points, np.float32), points[:2])
    assert not np.isfinite(margins).any()
    estimates, margins = estimated(SquaredDistances(points, np.float64), points[:2])
    assert (np.abs(estimates - truth(points[:2], points)) <= margins[:, None]).all()


def test_blocks_hold_every_query_once_in_order(monkeypatch) -> None:
    monkeypatch.setattr(distances_module, "BLOCK_VALUES", 100)
    points = np.random.default_rng(0).normal(size=(30, 4)).astype(np.float32)
    distances = SquaredDistances(points, np.float64)
    blocks = list(distances.blocks(points))
    assert [b.start for b in blocks] == list(range(0, 30, 3))
    assert all(b.estimates.size <= 100 for b in blocks)
    estimates, _ = estimated(distances, points)
    np.testing.assert_allclose(estimates, truth(points, points).astype(float), atol=1e-12)
    monkeypatch.setattr(distances_module, "BLOCK_VALUES", 10)  # less than one query needs
    assert [b.estimates.shape for b in distances.blocks(points[:2])] == [(1, 30), (1, 30)]


def test_exact_distances_are_sums_of_squared_differences_whatever_else_is_asked_for() -> None:
    draws = np.random.default_rng(0)
    points = draws.normal(size=(300, 37)).astype(np.float32)
    distances, query = SquaredDistances(points, np.float32), draws.normal(size=37).astype(np.float32)
    rows = draws.permutation(300)
    together = distances.exact(query, rows)
    np.testing.assert_allclose(together, truth(query[None], points)[0, rows].astype(float), rtol=1e-14)
    alone = [distances.exact(query, rows[i : i + 1])[0] for i in range(300)]
    np.testing.assert_array_equal(together, alone)
    assert distances.exact(points[7], np.array([7]))[0] == 0.0


def test_queries_and_points_are_left_alone() -> None:
    points = np.random.default_rng(0).normal(size=(30, 4)).astype(np.float32)
    queries, before = points[:5].copy(), points.copy()
    estimated(SquaredDistances(points, np.float32), queries)
    np.testing.assert_array_equal(points, before)
    np.testing.assert_array_equal(queries, before[:5])
