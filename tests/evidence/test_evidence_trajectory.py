"""Pivots against double loops, distances against scipy and scikit-learn, departures against their definition."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cosine, euclidean
from sklearn.metrics.pairwise import cosine_similarity

from telltale.base.errors import InputError
from telltale.evidence.trajectory import DISTANCES, PIVOTS, departure_layer, find_medoid, fit_pivots, trajectories
from telltale.models.trace import Trace

WIDTHS = (3, 5, 4)
CLASSES = 3


def random_trace(count: int, seed: int = 0) -> Trace:
    draws = np.random.default_rng(seed)
    activations = tuple(draws.normal(1.0, 1.0, size=(count, w)).astype(np.float32) for w in WIDTHS)
    names = tuple(f"layer{i}" for i in range(len(WIDTHS)))
    return Trace(names, activations, draws.normal(size=(count, CLASSES)).astype(np.float32))


def slow_medoid(points: np.ndarray) -> int:
    """Row with the least summed distance by a double loop; the first if tied."""
    sums = [sum(euclidean(a, b) for b in points.astype(np.float64)) for a in points.astype(np.float64)]
    return min(range(len(points)), key=lambda row: (sums[row], row))


def test_pivots_are_class_means_and_brute_force_medoids() -> None:
    trace = random_trace(60)
    labels = np.random.default_rng(1).integers(0, CLASSES, 60)
    pivots = fit_pivots(trace, labels, CLASSES)
    for layer, activations in enumerate(trace.activations):
        for c in range(CLASSES):
            own = activations[labels == c]
            np.testing.assert_allclose(pivots.centroid[layer][c], own.astype(np.float64).mean(0), rtol=1e-5)
            np.testing.assert_array_equal(pivots.medoid[layer][c], own[slow_medoid(own)])
    assert pivots.of("centroid") is pivots.centroid
    assert pivots.of("medoid") is pivots.medoid


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(-2, 2)), min_size=1, max_size=12), st.integers(1, 5))
def test_the_first_of_tied_medoids_is_taken_whatever_the_chunk(points, chunk) -> None:
    # Whole numbers on a line: every sum is exact, so ties are ties.
    cloud = np.array(points, dtype=np.float32)
    marked = np.hstack([cloud, np.zeros_like(cloud)])
    np.testing.assert_array_equal(find_medoid(marked, chunk), marked[slow_medoid(marked)])


def test_the_first_of_two_equal_points_is_their_medoid() -> None:
    points = np.array([[0.0, 2.0], [0.0, -2.0]], dtype=np.float32)
    np.testing.assert_array_equal(find_medoid(points), points[0])
    np.testing.assert_array_equal(find_medoid(points[::-1]), points[1])


@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("pivot", PIVOTS)
def test_a_class_without_training_images_is_absent_and_changes_nothing_for_the_others(pivot, distance) -> None:
    labels = np.arange(30) % 2
    few, more = fit_pivots(random_trace(30), labels, 2), fit_pivots(random_trace(30), 2 * labels, 4)
    assert more.known.tolist() == [True, False, True, False] and few.known.all()
    trace = random_trace(7, seed=2)
    found = trajectories(trace, more, pivot, distance)
    np.testing.assert_array_equal(found[:, :, [0, 2]], trajectories(trace, few, pivot, distance))
    assert np.isnan(found[:, :, [1, 3]]).all()
    assert departure_layer(found[0], distance, 0, 1) is None and departure_layer(found[0], distance, 3, 2) is None


def test_pivots_of_nothing_are_refused() -> None:
    with pytest.raises(InputError, match=r"^Pivots need training images; there are none\.$"):
        fit_pivots(random_trace(0), np.empty(0, dtype=np.int64), CLASSES)


@pytest.mark.parametrize("pivot", PIVOTS)
def test_distances_equal_scipys_and_scikit_learns(pivot) -> None:
    labels = np.arange(30) % CLASSES
    pivots = fit_pivots(random_trace(30), labels, CLASSES)
    trace = random_trace(7, seed=2)
    euclid, cosines = (trajectories(trace, pivots, pivot, d) for d in ("l2", "cosine"))
    assert euclid.shape == cosines.shape == (7, len(WIDTHS), CLASSES)
    assert euclid.dtype == cosines.dtype == np.float32
    for layer, activations in enumerate(trace.activations):
        points = pivots.of(pivot)[layer].astype(np.float64)
        for i, a in enumerate(activations.astype(np.float64)):
            np.testing.assert_allclose(euclid[i, layer], [euclidean(a, p) for p in points], rtol=1e-6)
            np.testing.assert_allclose(cosines[i, layer], [1.0 - cosine(a, p) for p in points], atol=1e-6)
        expected = cosine_similarity(activations.astype(np.float64), points)
        np.testing.assert_allclose(cosines[:, layer], expected, atol=1e-6)


def test_activations_are_not_normalised_before_they_are_measured() -> None:
    labels = np.arange(30) % CLASSES
    trace = random_trace(30)
    louder = Trace(trace.layers, tuple(3 * a for a in trace.activations), trace.logits)
    pivots = fit_pivots(trace, labels, CLASSES)
    assert not np.allclose(
        trajectories(louder, pivots, "centroid", "l2"), trajectories(trace, pivots, "centroid", "l2")
    )
    similar = [trajectories(t, pivots, "centroid", "cosine") for t in (trace, louder)]
    np.testing.assert_allclose(*similar, atol=1e-6)


def test_a_zero_activation_has_similarity_zero_and_its_pivots_norm_as_distance() -> None:
    pivots = fit_pivots(random_trace(30), np.arange(30) % CLASSES, CLASSES)
    silent = Trace(("a", "b", "c"), tuple(np.zeros((1, w), np.float32) for w in WIDTHS), np.zeros((1, 3), np.float32))
    np.testing.assert_array_equal(trajectories(silent, pivots, "medoid", "cosine"), 0.0)
    norms = [np.linalg.norm(p.astype(np.float64), axis=1) for p in pivots.medoid]
    np.testing.assert_allclose(trajectories(silent, pivots, "medoid", "l2")[0], norms, rtol=1e-6)


def test_one_image_has_the_path_it_has_in_a_batch() -> None:
    pivots = fit_pivots(random_trace(30), np.arange(30) % CLASSES, CLASSES)
    trace = random_trace(8, seed=2)
    for distance in ("l2", "cosine"):
        whole = trajectories(trace, pivots, "medoid", distance)
        alone = [trajectories(trace.take(slice(i, i + 1)), pivots, "medoid", distance)[0] for i in range(8)]
        np.testing.assert_allclose(whole, alone, rtol=1e-6)


# Columns: distance to the original class (0) and to the predicted one (1) after each layer.
@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ([[1, 2], [1, 2], [2, 1], [2, 1]], 2),  # leaves once
        ([[2, 1], [2, 1]], 0),  # was never with its class
        ([[1, 2], [2, 1], [1, 2], [2, 1]], 3),  # left, came back, left for good
        ([[1, 2], [2, 1], [1, 2]], None),  # came back for good
        ([[2, 1], [2, 1], [1, 1]], None),  # a tie is not nearer
        ([[1, 1], [2, 1]], 1),
    ],
)
def test_departure_by_hand(path, expected) -> None:
    distances = np.array(path, dtype=np.float32)
    assert departure_layer(distances, "l2", 0, 1) == expected
    assert departure_layer(-distances, "cosine", 0, 1) == expected  # similarities point the other way
    assert departure_layer(distances, "l2", 0, 0) is None


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.lists(st.integers(0, 2), min_size=3, max_size=3), min_size=1, max_size=8),
    st.sampled_from(["l2", "cosine"]),
    st.integers(0, 2),
    st.integers(0, 2),
)
def test_departure_is_the_first_layer_after_which_all_agree(path, distance, original, predicted) -> None:
    values = np.array(path, dtype=np.float32)

    def nearer(layer: int) -> bool:
        to_predicted, to_original = values[layer, predicted], values[layer, original]
        return to_predicted < to_original if distance == "l2" else to_predicted > to_original

    candidates = [s for s in range(len(values)) if all(nearer(layer) for layer in range(s, len(values)))]
    expected = candidates[0] if candidates and original != predicted else None
    assert departure_layer(values, distance, original, predicted) == expected
