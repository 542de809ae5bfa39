"""Ranks and distances against sorting every distance in float64, where nothing ties and where much does."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from telltale.evidence.distances import SquaredDistances
from telltale.evidence.mapped_distances import MappedDistances
from telltale.evidence.ranks import ranks_and_distances


def in_float32(points: np.ndarray) -> SquaredDistances:
    return SquaredDistances(points, np.float32)


def in_float64(points: np.ndarray) -> SquaredDistances:
    return SquaredDistances(points, np.float64)


KINDS = (in_float32, in_float64, MappedDistances)


def by_sorting(queries: np.ndarray, points: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Count strictly smaller distances, of all of them, in float64."""
    ranks, lengths = [], []
    for query, chosen in zip(queries.astype(np.float64), rows, strict=True):
        distances = np.linalg.norm(points.astype(np.float64) - query, axis=1)
        ordered = sorted(distances)
        ranks.append([np.searchsorted(ordered, distances[row], side="left") for row in chosen])
        lengths.append(distances[chosen])
    return np.array(ranks), np.array(lengths)


def check(queries: np.ndarray, points: np.ndarray, rows: np.ndarray, kind=in_float64) -> None:
    ranks, distances = ranks_and_distances(queries, kind(points), rows)
    places, lengths = by_sorting(queries, points, rows)
    np.testing.assert_array_equal(np.rint(ranks * len(points)).astype(int), places)
    np.testing.assert_allclose(distances, lengths, rtol=1e-6)
    assert ranks.dtype == distances.dtype == np.float32
    assert ((ranks >= 0) & (ranks < 1)).all()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rounded", [np.float16, np.float32])
@pytest.mark.parametrize("width", [1, 6, 64])
def test_ranks_are_places_among_sorted_distances(kind, rounded, width) -> None:
    draws = np.random.default_rng(width)
    points = np.maximum(draws.normal(1.0, 1.0, size=(800, width)), 0.0).astype(rounded).astype(np.float32)
    points[100:150] = points[:50]
    queries = np.vstack([points[:3], np.maximum(draws.normal(1.0, 2.0, size=(6, width)), 0.0)]).astype(np.float32)
    check(queries, points, draws.integers(0, 800, size=(9, 200)), kind)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_ties_have_the_place_of_their_first(kind, seed) -> None:
    draws = np.random.default_rng(seed)
    points = draws.integers(-1, 2, size=(25, 3)).astype(np.float32)  # whole numbers: ties are exact
    check(draws.integers(-1, 2, size=(4, 3)).astype(np.float32), points, draws.integers(0, 25, (4, 6)), kind)


@pytest.mark.parametrize("kind", KINDS)
def test_distances_closer_than_rounding_are_ranked_in_their_order(kind) -> None:
    # Squared distances 1 + (i * 1e-5)^2, told apart by float64 differences only.
    points = np.stack([np.ones(60), np.arange(60)[::-1] * 1e-5], axis=1).astype(np.float32)
    check(np.zeros((1, 2), dtype=np.float32), points, np.arange(60)[None], kind)


@pytest.mark.parametrize("kind", KINDS)
def test_far_from_the_origin_nothing_is_lost(kind) -> None:
    draws = np.random.default_rng(0)
    points = (draws.normal(size=(300, 5)) + 1e3).astype(np.float32)
    check(points[:4] + np.float32(0.5), points, draws.integers(0, 300, (4, 40)), kind)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("scale", [1e25, 1e19, 1e-12, 1e-25])
def test_huge_and_tiny_activations_are_ranked_all_the_same(kind, scale) -> None:
    draws = np.random.default_rng(0)
    points = (draws.normal(size=(60, 4)) * scale).astype(np.float32)
    check(points[:3], points, draws.integers(0, 60, (3, 20)), kind)
    check(np.zeros((1, 4), dtype=np.float32), points, draws.integers(0, 60, (1, 20)), kind)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), width=st.integers(1, 40), finest=st.sampled_from([0.0, 1e-9, 1e-6, 1e-3]))
def test_ranks_that_a_float32_product_cannot_tell_apart_are_settled(seed, width, finest) -> None:
    draws = np.random.default_rng(seed)
    centre = draws.normal(size=width) * 10.0 ** draws.integers(-3, 4)
    points = (centre * (1.0 + finest * draws.integers(-2, 3, size=(70, width)))).astype(np.float32)
    queries = np.vstack([points[:2], (centre * draws.normal(size=(3, width))).astype(np.float32)])
    check(queries, points, draws.integers(0, 70, (5, 12)), MappedDistances)


def test_a_training_image_is_at_distance_zero_from_itself_and_its_copies() -> None:
    points = np.random.default_rng(0).normal(5.0, 1.0, size=(90, 7)).astype(np.float32)
    points[60:] = points[:30]
    rows = np.stack([np.arange(30), np.arange(60, 90)], axis=1)
    ranks, distances = ranks_and_distances(points[:30], SquaredDistances(points, np.float64), rows)
    np.testing.assert_array_equal(ranks, 0.0)
    np.testing.assert_array_equal(distances, 0.0)


def test_equal_references_and_a_single_one_are_ranked_first() -> None:
    points = np.ones((40, 3), dtype=np.float32)
    check(np.zeros((2, 3), dtype=np.float32), points, np.array([[0, 39], [5, 5]]))
    check(np.zeros((2, 3), dtype=np.float32), points[:1], np.zeros((2, 1), dtype=np.int64))


def test_ranks_of_all_rows_are_a_permutation_where_nothing_ties() -> None:
    draws = np.random.default_rng(0)
    points, queries = draws.normal(size=(120, 9)).astype(np.float32), draws.normal(size=(8, 9)).astype(np.float32)
    rows = np.tile(np.arange(120), (8, 1))
    ranks, distances = ranks_and_distances(queries, SquaredDistances(points, np.float64), rows)
    np.testing.assert_allclose(np.sort(ranks, axis=1), np.tile(np.arange(120) / 120, (8, 1)), rtol=1e-6)
    np.testing.assert_array_equal(np.argsort(ranks, axis=1), np.argsort(distances, axis=1))
    nearest = cdist(queries, points).argmin(1)
    assert (ranks[np.arange(8), nearest] == 0.0).all()


def test_one_query_is_ranked_as_in_a_batch() -> None:
    draws = np.random.default_rng(0)
    points, queries = draws.normal(size=(500, 40)).astype(np.float32), draws.normal(size=(20, 40)).astype(np.float32)
    distances, rows = SquaredDistances(points, np.float64), draws.integers(0, 500, (20, 100))
    together = ranks_and_distances(queries, distances, rows)
    alone = [ranks_and_distances(queries[i : i + 1], distances, rows[i : i + 1]) for i in range(20)]
    np.testing.assert_array_equal(together[0], [a[0][0] for a in alone])
    np.testing.assert_allclose(together[1], [a[1][0] for a in alone], rtol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_points_of_very_different_sizes_are_ranked_as_by_sorting(kind) -> None:
    draws = np.random.default_rng(0)
    points = (draws.normal(size=(700, 30)) * np.logspace(-3, 2, 700)[:, None]).astype(np.float32)
    points[100:200] = np.nextafter(points[:100], np.float32(np.inf))
    queries = np.vstack([points[50:53], draws.normal(size=(3, 30))]).astype(np.float32)
    check(queries, points, draws.integers(0, 700, (6, 300)), kind)


def test_estimates_that_are_known_already_give_the_same_ranks_and_stay_as_they_are() -> None:
    draws = np.random.default_rng(0)
    points, queries = draws.normal(size=(400, 12)).astype(np.float32), draws.normal(size=(7, 12)).astype(np.float32)
    distances, rows = in_float32(points), draws.integers(0, 400, (7, 50))
    blocks = list(distances.blocks(queries))
    before = [block.estimates.copy() for block in blocks]
    for _ in range(2):
        found = ranks_and_distances(queries, distances, rows, blocks)
        for part, expected in zip(found, ranks_and_distances(queries, distances, rows), strict=True):
            np.testing.assert_array_equal(part, expected)
    for block, estimates in zip(blocks, before, strict=True):
        np.testing.assert_array_equal(block.estimates, estimates)
