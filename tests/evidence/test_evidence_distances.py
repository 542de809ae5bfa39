"""Distances by a matrix product against extended precision: never farther off than their margin says."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telltale.evidence import distances as distances_module
from telltale.evidence.distances import FEW, PIECE, SquaredDistances, rounding
from telltale.evidence.mapped_distances import MappedDistances

PRECISIONS = (np.float32, np.float64)


def truth(queries: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Squared distances in 64 bits of mantissa."""
    spans = queries.astype(np.longdouble)[:, None] - points.astype(np.longdouble)
    return np.square(spans).sum(2)


def by_point(distances: SquaredDistances, queries: np.ndarray) -> np.ndarray:
    blocks = list(distances.blocks(queries))
    return np.stack(
        [np.broadcast_to(b.margins_by_point(i), b.estimates.shape[1]) for b in blocks for i in range(len(b.margins))]
    )


def estimated(distances: SquaredDistances, queries: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    blocks = list(distances.blocks(queries))
    return np.concatenate([b.estimates for b in blocks]), np.concatenate([b.margins for b in blocks])


@pytest.mark.parametrize("precision", PRECISIONS)
@settings(max_examples=80, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    width=st.sampled_from([1, 2, 33, 128, 300]),
    count=st.sampled_from([1, FEW, FEW + 4]),
    scale=st.sampled_from([1e-30, 1e-3, 1.0, 1e4, 1e15]),
    shift=st.sampled_from([0.0, 1.0, 1e3, 1e6]),
)
def test_no_estimate_is_farther_off_than_its_margin(precision, seed, width, count, scale, shift) -> None:
    draws = np.random.default_rng(seed)
    points = ((draws.normal(size=(50, width)) + shift) * scale).astype(np.float32)
    queries = np.vstack([points[:2], ((draws.normal(size=(6, width)) * 3 + shift) * scale).astype(np.float32)])[:count]
    distances = SquaredDistances(points, precision)
    estimates, margins = estimated(distances, queries)
    expected = truth(queries, points)
    assert (np.abs(estimates - expected) <= margins[:, None]).all()
    assert (np.abs(estimates - expected) <= by_point(distances, queries)).all()
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


def test_a_few_queries_of_many_coordinates_are_added_up_in_pieces_and_round_less() -> None:
    points = np.random.default_rng(0).normal(size=(400, 320)).astype(np.float32)
    distances = SquaredDistances(points, np.float32)
    estimates, margins = estimated(distances, points[:FEW])
    at_once, wider = estimated(distances, points[: 2 * FEW])
    assert (margins < 0.2 * wider[:FEW]).all()
    errors = [np.abs(found - truth(points[: len(found)], points)).max() for found in (estimates, at_once)]
    assert errors[0] < 0.6 * errors[1]


@pytest.mark.parametrize("width", [1, 39, 80, 320, 1000])
def test_the_bound_counts_every_addition_that_a_product_passes(width) -> None:
    passed = np.zeros(width + 2, dtype=int)
    for start in range(0, len(passed), PIECE):
        piece = passed[start : start + PIECE]
        for place in range(len(piece)):
            piece[: place + 1] += 1  # the next product joins those of its piece
        passed[: start + PIECE] += 1  # the piece joins those before it
    unit = float(np.finfo(np.float32).eps) / 2
    assert rounding(width, np.float32, PIECE)[0] > 2 * passed.max() * unit
    assert rounding(width, np.float32)[0] > 2 * (width + 2) * unit


@pytest.mark.parametrize("kind", [lambda points: SquaredDistances(points, np.float32), MappedDistances])
def test_a_points_own_margin_is_that_of_its_own_size(kind) -> None:
    draws = np.random.default_rng(0)
    points = (draws.normal(size=(400, 64)) * np.logspace(-2, 1, 400)[:, None]).astype(np.float32)
    distances, queries = kind(points), draws.normal(size=(20, 64)).astype(np.float32)
    estimates, margins = estimated(distances, queries)
    own = by_point(distances, queries)
    assert (own <= margins[:, None] * (1.0 + 1e-6)).all() and own.max() > 0.5 * margins.max()
    assert np.median(own) < 0.1 * margins.min()
    assert (np.abs(estimates - truth(queries, points)) > 1e-3 * own).mean() > 0.5  # not idly wide either


def test_squares_that_overflow_say_so_by_their_margin() -> None:
    points = (np.random.default_rng(0).normal(size=(20, 3)) * 1e25).astype(np.float32)
    _, margins = estimated(SquaredDistances(points, np.float32), points[:2])
    assert not np.isfinite(margins).any()
    estimates, margins = estimated(SquaredDistances(points, np.float64), points[:2])
    assert (np.abs(estimates - truth(points[:2], points)) <= margins[:, None]).all()


@settings(max_examples=80, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    width=st.sampled_from([1, 2, 33, 512]),
    scale=st.sampled_from([1e-38, 1e-13, 1e-12, 1e-3, 1.0, 1e4, 1e15, 1e18, 1e19, 1e25]),
    shift=st.sampled_from([0.0, 1.0, 1e3]),
    smaller=st.sampled_from([1.0, 1e-6, 0.0]),
)
def test_no_estimate_from_a_mapped_file_is_farther_off_than_its_margin(seed, width, scale, shift, smaller) -> None:
    draws = np.random.default_rng(seed)
    points = ((draws.normal(size=(50, width)) + shift) * scale).astype(np.float32)
    queries = np.vstack(
        [((draws.normal(size=(6, width)) * 3 + shift) * scale * smaller).astype(np.float32), points[:2]]
    )
    distances = MappedDistances(points)
    estimates, margins = estimated(distances, queries)
    assert (np.abs(estimates - truth(queries, points)) <= margins[:, None]).all()
    assert (np.abs(estimates - truth(queries, points)) <= by_point(distances, queries)).all()
    measured = np.stack([distances.exact(query, np.arange(50)) for query in queries])
    assert (np.abs(estimates - measured) <= margins[:, None]).all()


def test_a_mapped_files_margin_is_float32s_where_that_is_safe_and_float64s_elsewhere() -> None:
    draws = np.random.default_rng(0)
    points = draws.normal(size=(2000, 64)).astype(np.float32)
    points[:, 0] = 100.0  # one sum in which everything after the first product is rounded to its size
    estimates, margins = estimated(MappedDistances(points), points[:20])
    errors = np.abs(estimates - truth(points[:20], points)).max(1)
    largest = np.square(points.astype(float)).sum(1).max()
    assert (errors > 1e-3 * margins).all() and (margins < 1e-5 * largest).all()
    for scale in (1e-20, 1e20):
        scaled = (points * np.float64(scale)).astype(np.float32)
        _, margins = estimated(MappedDistances(scaled), scaled[:20])
        assert (margins < 1e-12 * largest * scale**2).all()


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


@pytest.mark.parametrize("kind", [lambda points: SquaredDistances(points, np.float32), MappedDistances])
def test_exact_distances_are_sums_of_squared_differences_whatever_else_is_asked_for(kind) -> None:
    draws = np.random.default_rng(0)
    points = draws.normal(size=(1300, 37)).astype(np.float32)  # more than a mapped file's chunk
    distances, query = kind(points), draws.normal(size=37).astype(np.float32)
    rows = draws.permutation(1300)
    together = distances.exact(query, rows)
    np.testing.assert_allclose(together, truth(query[None], points)[0, rows].astype(float), rtol=1e-14)
    alone = [distances.exact(query, rows[i : i + 1])[0] for i in range(1300)]
    np.testing.assert_array_equal(together, alone)
    assert distances.exact(points[7], np.array([7]))[0] == 0.0


def test_queries_and_points_are_left_alone() -> None:
    points = np.random.default_rng(0).normal(size=(30, 4)).astype(np.float32)
    queries, before = points[:5].copy(), points.copy()
    estimated(SquaredDistances(points, np.float32), queries)
    np.testing.assert_array_equal(points, before)
    np.testing.assert_array_equal(queries, before[:5])
