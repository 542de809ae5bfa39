"""Neighbours against brute-force sorting, votes against scikit-learn's classifier, whitening against its PCA."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.decomposition import PCA
from sklearn.neighbors import KNeighborsClassifier, NearestNeighbors

from support.clouds import LAYERS, reference
from telltale.base.errors import InputError
from telltale.evidence.neighbours import PROCESSINGS, WEIGHTINGS, NeighbourIndex, Neighbours, class_votes, vote_weights

CLASSES = 5


def cloud(rows: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(rows, width)).astype(np.float32)


def by_sorting(queries, points, k, own=None):
    """Sort every distance in float64, equal ones by row."""
    rows = []
    for i, query in enumerate(queries.astype(np.float64)):
        distances = np.sqrt(np.square(points.astype(np.float64) - query).sum(1))
        order = sorted(range(len(points)), key=lambda row, d=distances: (d[row], row))
        rows.append([row for row in order if own is None or row != own[i]][:k])
    return np.array(rows)


@pytest.mark.parametrize("processing", PROCESSINGS)
@pytest.mark.parametrize("k", [1, 7, 60, 120])
def test_rows_and_distances_equal_a_full_sort(processing, k) -> None:
    index = NeighbourIndex(cloud(120, 6), processing)
    queries = cloud(15, 6, seed=1)
    found = index.search(queries, k)
    moved = index.process(queries)
    expected = by_sorting(moved, index.points, k)
    np.testing.assert_array_equal(found.rows, expected)
    spans = index.points[expected].astype(np.float64) - moved[:, None]
    np.testing.assert_allclose(found.distances, np.sqrt(np.square(spans).sum(2)), rtol=1e-12)


def test_clouds_far_from_the_origin_are_sorted_in_batches_too() -> None:
    # |a|^2 - 2ab + |b|^2 would lose these distances to rounding.
    points, queries = cloud(600, 6) + np.float32(1e3), cloud(64, 6, seed=1) + np.float32(1e3)
    np.testing.assert_array_equal(NeighbourIndex(points).search(queries, 10).rows, by_sorting(queries, points, 10))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 40))
def test_equal_distances_are_ordered_by_row(seed, k) -> None:
    draws = np.random.default_rng(seed)
    points = draws.integers(0, 2, size=(40, 3)).astype(np.float32)
    queries = draws.integers(0, 2, size=(4, 3)).astype(np.float32)
    np.testing.assert_array_equal(NeighbourIndex(points).search(queries, k).rows, by_sorting(queries, points, k))


def test_many_ties_across_the_last_place_are_cut_by_row() -> None:
    points = np.random.default_rng(0).integers(0, 2, size=(1500, 3)).astype(np.float32)
    for k in (1, 99, 101, 700):
        np.testing.assert_array_equal(
            NeighbourIndex(points).search(points[:8], k).rows, by_sorting(points[:8], points, k)
        )


@pytest.mark.parametrize("k", [1, 2, 5, 30])
def test_distances_that_single_precision_cannot_tell_apart_are_still_ordered(k) -> None:
    # Squared distances 1 + (i * 1e-5)^2: all 1 in float32, so the far ones would come first by their row.
    points = np.stack([np.ones(60), np.arange(60)[::-1] * 1e-5], axis=1).astype(np.float32)
    query = np.zeros((1, 2), dtype=np.float32)
    np.testing.assert_array_equal(NeighbourIndex(points).search(query, k).rows[0], np.arange(60)[::-1][:k])


def test_fewer_neighbours_are_the_first_of_more() -> None:
    points = np.stack([np.ones(60), np.arange(60)[::-1] * 1e-5], axis=1).astype(np.float32)
    index, query = NeighbourIndex(points), np.zeros((1, 2), dtype=np.float32)
    np.testing.assert_array_equal(index.search(query, 50).first(3).rows, index.search(query, 3).rows)


def test_huge_activations_are_measured_all_the_same() -> None:
    points = cloud(20, 3) * np.float32(1e25)  # their squared distances overflow float32
    found = NeighbourIndex(points).search(np.zeros((2, 3), dtype=np.float32), 4)
    np.testing.assert_array_equal(found.rows, by_sorting(np.zeros((2, 3)), points, 4))


@pytest.mark.parametrize("processing", PROCESSINGS)
@pytest.mark.parametrize("rounded", [np.float16, np.float32])
def test_many_rows_equal_scikit_learns_brute_force(processing, rounded) -> None:
    # Classes in clusters after a ReLU, as activations are; some rows twice; half precision makes more ties.
    draws = np.random.default_rng(4)
    clusters = 3.0 * draws.normal(size=(CLASSES, 48))
    points = np.maximum(clusters[draws.integers(0, CLASSES, 6000)] + draws.normal(size=(6000, 48)), 0.0)
    points[1000:1200] = points[:200]
    points = points.astype(rounded).astype(np.float32)
    queries = np.maximum(points[:30] + draws.normal(size=(30, 48)).astype(rounded), 0.0).astype(np.float32)
    index, k = NeighbourIndex(points, processing), 1000
    found = index.search(queries, k)
    np.testing.assert_array_equal(found.rows, by_sorting(index.process(queries), index.points, k))
    oracle = NearestNeighbors(n_neighbors=k, algorithm="brute").fit(index.points.astype(np.float64))
    distances, rows = oracle.kneighbors(index.process(queries).astype(np.float64))
    np.testing.assert_allclose(found.distances, distances, rtol=1e-9, atol=1e-6)
    for ours, theirs, lengths in zip(found.rows, rows, distances, strict=True):
        different = np.isin(ours, theirs, invert=True) | np.isin(theirs, ours, invert=True)
        np.testing.assert_allclose(lengths[different], lengths[-1], rtol=1e-9)  # only ties may be cut otherwise


@pytest.mark.parametrize("processing", PROCESSINGS)
def test_one_reference_and_equal_references_have_neighbours(processing) -> None:
    if processing != "pca_whiten":  # one point has no directions
        alone = NeighbourIndex(cloud(1, 4), processing).search(cloud(3, 4, seed=1), 1)
        np.testing.assert_array_equal(alone.rows, 0)
    points = np.vstack([np.tile(cloud(1, 4), (30, 1)), cloud(30, 4, seed=2)])
    index = NeighbourIndex(points, processing)
    found = index.search(points[:1], 60)
    np.testing.assert_array_equal(found.rows, by_sorting(index.points[:1], index.points, 60))
    np.testing.assert_array_equal(found.distances[0, :30], 0.0)


def test_one_distant_reference_hides_no_neighbour() -> None:
    points = cloud(500, 8)
    points[17] *= np.float32(1e6)  # the product's margin now covers every other distance
    queries = cloud(5, 8, seed=1)
    np.testing.assert_array_equal(NeighbourIndex(points).search(queries, 20).rows, by_sorting(queries, points, 20))


@pytest.mark.parametrize("processing", PROCESSINGS)
@pytest.mark.parametrize("width", [1, 5, 64])
def test_a_query_alone_gives_the_same_bits_as_in_a_batch(processing, width) -> None:
    index = NeighbourIndex(cloud(200, width), processing)
    queries = cloud(64, width, seed=1)
    together = index.search(queries, 20)
    fortran = index.search(np.asfortranarray(queries), 20)
    for i in range(len(queries)):
        alone = index.search(queries[i : i + 1], 20)
        np.testing.assert_array_equal(alone.rows[0], together.rows[i])
        np.testing.assert_array_equal(alone.distances[0], together.distances[i])
    np.testing.assert_array_equal(fortran.distances, together.distances)


@pytest.mark.parametrize("k", [1, 5, 11])
def test_the_querys_own_row_is_left_out_and_its_duplicates_are_not(k) -> None:
    points = np.repeat(cloud(4, 3), 3, axis=0)  # every point three times
    own = np.arange(12)
    found = NeighbourIndex(points).search(points, k, exclude_rows=own)
    assert not (found.rows == own[:, None]).any()
    np.testing.assert_array_equal(found.rows, by_sorting(points, points, k, own))
    assert (found.distances[:, : min(k, 2)] == 0.0).all()


def test_a_query_without_an_own_row_loses_nothing() -> None:
    index, queries = NeighbourIndex(cloud(30, 3)), cloud(4, 3, seed=1)
    plain, marked = index.search(queries, 6), index.search(queries, 6, exclude_rows=np.full(4, -1))
    np.testing.assert_array_equal(marked.rows, plain.rows)
    np.testing.assert_array_equal(marked.distances, plain.distances)


def by_rank(distances):
    return np.tile(1.0 / np.arange(1, distances.shape[1] + 1), (len(distances), 1))


def by_square(distances):
    with np.errstate(divide="ignore"):
        weights = 1.0 / distances**2
    infinite = np.isinf(weights)
    return np.where(infinite.any(1, keepdims=True), infinite, weights)


ORACLE_WEIGHTS = {"knn": "uniform", "wknn": by_rank, "dwknn": by_square}


@pytest.mark.parametrize("weighting", WEIGHTINGS)
@pytest.mark.parametrize("processing", PROCESSINGS)
@pytest.mark.parametrize("k", [1, 10, 75])
def test_votes_equal_scikit_learns_probabilities(processing, weighting, k) -> None:
    labels = np.random.default_rng(3).integers(0, CLASSES, 150)
    training = cloud(150, 8)
    queries = np.vstack([cloud(20, 8, seed=1), training[:5]])  # the last five lie at distance 0
    index = NeighbourIndex(training, processing)
    oracle = KNeighborsClassifier(k, weights=ORACLE_WEIGHTS[weighting], algorithm="kd_tree")
    oracle.fit(index.points.astype(np.float64), labels)
    expected = oracle.predict_proba(index.process(queries).astype(np.float64))
    votes = class_votes(index.search(queries, k), labels, CLASSES, weighting)
    np.testing.assert_allclose(votes, expected, atol=1e-12)


def test_a_zero_distance_leaves_only_zero_distances_to_vote() -> None:
    neighbours = Neighbours(np.array([[0, 1, 2, 3]]), np.array([[0.0, 0.0, 1e-9, 1.0]]))
    labels = np.array([0, 1, 2, 2])
    np.testing.assert_array_equal(class_votes(neighbours, labels, 3, "dwknn"), [[0.5, 0.5, 0.0]])
    np.testing.assert_array_equal(vote_weights(neighbours.distances, "dwknn"), [[1.0, 1.0, 0.0, 0.0]])
    # The limit: as two distances shrink, the votes approach those at zero.
    near = Neighbours(neighbours.rows, np.array([[1e-7, 1e-7, 1.0, 1.0]]))
    np.testing.assert_allclose(class_votes(near, labels, 3, "dwknn"), [[0.5, 0.5, 0.0]], atol=1e-12)


@pytest.mark.parametrize(("rows", "width", "components"), [(120, 6, 6), (300, 280, 256), (20, 40, 19)])
def test_whitening_equals_scikit_learns(rows, width, components) -> None:
    training = cloud(rows, width) * np.linspace(0.5, 3.0, width, dtype=np.float32) + np.float32(2.0)
    queries = cloud(7, width, seed=1)
    index = NeighbourIndex(training, "pca_whiten")
    oracle = PCA(components, whiten=True, svd_solver="full").fit(training.astype(np.float64))
    assert index.points.shape == (rows, components)
    np.testing.assert_allclose(index.process(queries), oracle.transform(queries.astype(np.float64)), atol=2e-4)
    np.testing.assert_allclose(np.cov(index.points, rowvar=False), np.eye(components), atol=1e-4)


def test_dead_channels_are_left_out_of_the_whitening() -> None:
    training = np.hstack([cloud(50, 3), np.zeros((50, 4), dtype=np.float32)])
    index = NeighbourIndex(training, "pca_whiten")
    assert index.points.shape == (50, 3)
    assert np.isfinite(index.search(training[:3] + np.float32(1.0), 5).distances).all()


def test_l2_puts_activations_on_the_unit_sphere_and_leaves_zero_alone() -> None:
    training = np.vstack([np.zeros((1, 4), dtype=np.float32), cloud(20, 4)])
    index = NeighbourIndex(training, "l2")
    np.testing.assert_array_equal(index.points[0], 0.0)
    np.testing.assert_allclose(np.linalg.norm(index.points[1:], axis=1), 1.0, rtol=1e-6)
    scaled = index.search(training[1:4] * np.float32(8.0), 5)
    np.testing.assert_array_equal(scaled.rows, index.search(training[1:4], 5).rows)


def with_value(value):
    broken = cloud(2, 4)
    broken[1, 2] = value
    return broken


@pytest.mark.parametrize(
    ("queries", "k", "sentence"),
    [
        (cloud(2, 3), 1, r"Expected activations of shape \(n, 4\), got \(2, 3\)\."),
        (cloud(2, 4)[0], 1, r"Expected activations of shape \(n, 4\), got \(4,\)\."),
        (with_value(np.nan), 1, r"Activations must be finite\."),
        (with_value(np.inf), 1, r"Activations must be finite\."),
        (cloud(2, 4), 0, r"k must be an integer in \[1, 10\], got 0\."),
        (cloud(2, 4), 11, r"k must be an integer in \[1, 10\], got 11\."),
    ],
)
@pytest.mark.parametrize("processing", PROCESSINGS)
def test_what_cannot_be_searched_is_refused_in_one_sentence(processing, queries, k, sentence) -> None:
    with pytest.raises(InputError, match=f"^{sentence}$"):
        NeighbourIndex(cloud(10, 4), processing).search(queries, k)


def test_leaving_a_row_out_leaves_one_neighbour_less() -> None:
    index, queries = NeighbourIndex(cloud(10, 4)), cloud(2, 4)
    assert index.search(queries, 9, exclude_rows=np.array([0, 1])).rows.shape == (2, 9)
    with pytest.raises(InputError, match=r"k must be an integer in \[1, 9\], got 10\."):
        index.search(queries, 10, exclude_rows=np.array([0, 1]))


def test_a_reference_keeps_the_indices_that_were_used_last() -> None:
    fitted = reference()
    first = fitted.index("first")
    for layer in LAYERS:
        fitted.index(layer, "l2")
        assert fitted.index("first") is first, "what is used again and again stays"
    dropped = fitted.index("first", "pca_whiten")
    for layer in LAYERS:
        fitted.index(layer, "l2")
    fitted.index("first")
    assert fitted.index("first", "pca_whiten") is not dropped
    assert len(fitted._indices) == len(LAYERS) + 1
