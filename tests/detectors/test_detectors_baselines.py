"""The baselines of the papers' tables, against brute force and other libraries."""

from __future__ import annotations

import copy
import functools
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.spatial.distance import mahalanobis
from scipy.special import logsumexp
from scipy.stats import multivariate_normal
from sklearn.covariance import EmpiricalCovariance
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KernelDensity

from support.clouds import CLASSES, LAYERS, few, fresh, known, mixed, natural_trace
from support.tiny import TRAINING_IMAGES, tiny_classifier, tiny_digits, tiny_images
from telltale.base.errors import InputError
from telltale.detectors.dknn import DknnDetector
from telltale.detectors.kernel_density import KernelDensityDetector
from telltale.detectors.lid import LidDetector
from telltale.detectors.mahalanobis import MahalanobisDetector
from telltale.detectors.multi_lid import MultiLidDetector
from telltale.evidence.conformal_neighbours import empirical_p_values, nonconformity
from telltale.evidence.evidence import FEW_IMAGES, Evidence
from telltale.evidence.kernel_density import class_radius, log_kernel_density
from telltale.evidence.lid import LARGEST, draw_minibatch, lid_estimates, lid_terms
from telltale.evidence.mahalanobis import TiedGaussian, TiedGaussians
from telltale.evidence.mahalanobis_step import score_gradients, stepped_scores, stepping
from telltale.evidence.neighbours import NeighbourIndex
from telltale.evidence.readings import Readings


def doubles(points: np.ndarray) -> np.ndarray:
    return points.astype(np.float64)


# --- Deep k-nearest neighbours ---


def other_labels(evidence: Evidence, i: int, k: int) -> list[int]:
    """Per class, the neighbours of one image on all layers that have another label, by sorting everything."""
    counts = [0] * CLASSES
    for queries, points in zip(evidence.trace.activations, known().trace.activations, strict=True):
        distances = [float(np.linalg.norm(doubles(point) - doubles(queries[i]))) for point in points]
        for row in sorted(range(len(points)), key=lambda row: distances[row])[:k]:
            for j in range(CLASSES):
                counts[j] += int(known().labels[row] != j)
    return counts


@pytest.mark.parametrize("k", [1, 7, 50])
def test_dknn_is_one_minus_the_p_value_that_counting_by_hand_gives(k) -> None:
    evidence, labels = few()
    detector = DknnDetector(k=k).fit(evidence, labels)
    natural = np.flatnonzero(~labels.adversarial)
    calibration = [other_labels(evidence, i, k)[evidence.predictions[i]] for i in natural]
    rows = range(0, len(fresh()), 4)
    own = [[other_labels(fresh(), i, k)[j] for j in range(CLASSES)] for i in rows]
    expected = np.array([[sum(a >= alpha for a in calibration) / len(natural) for alpha in row] for row in own])
    np.testing.assert_allclose(detector.p_values(fresh())[rows], expected, atol=1e-12)
    predicted = expected[np.arange(len(expected)), fresh().predictions[rows]]
    np.testing.assert_allclose(detector.score(fresh())[rows], 1.0 - predicted, atol=1e-12)
    np.testing.assert_allclose(detector.credibility(fresh())[rows], expected.max(1), atol=1e-12)


def test_p_values_count_ties_and_perfect_conformity() -> None:
    calibration = np.array([0.0, 0.0, 2.0, 2.0, 5.0])
    alphas = np.array([[0.0, 1.0, 2.0], [3.0, 5.0, 6.0]])
    np.testing.assert_array_equal(empirical_p_values(calibration, alphas), [[1.0, 0.6, 0.6], [0.2, 0.2, 0.0]])


def test_nonconformity_counts_whole_neighbours_whatever_the_rounding_of_their_shares() -> None:
    counts = np.random.default_rng(0).multinomial(75, [0.2, 0.3, 0.5], size=(4, 100))
    found = nonconformity(counts / 75.0, 75)
    np.testing.assert_array_equal(found, (75 - counts).sum(0))


def test_comparing_numbers_of_neighbours_searches_every_layer_once(monkeypatch) -> None:
    evidence, labels = mixed(known(), 40, 1)
    assert len(evidence) > FEW_IMAGES
    searched = []
    search = NeighbourIndex.search
    monkeypatch.setattr(
        NeighbourIndex, "search", lambda *args, **named: searched.append(args[2]) or search(*args, **named)
    )
    candidates = DknnDetector.candidates(evidence)
    assert [settings["k"] for settings in candidates] == [60, 50, 25, 10]  # at most half of the 120 training images
    for settings in candidates:
        DknnDetector(**settings).fit(evidence, labels).score(evidence.take(np.arange(5)))
    assert searched == [60] * len(LAYERS)


# --- Local intrinsic dimensionality ---


def lid_by_hand(distances: list[float], k: int) -> float:
    nearest = sorted(distances)[:k]
    return -1.0 / (sum(np.log(d / nearest[-1]) for d in nearest) / k)


def test_lid_detector_is_logistic_regression_on_estimates_by_hand() -> None:
    evidence, labels = few()
    detector = LidDetector(k=15, c=10.0).fit(evidence, labels)
    rows = detector.arrays()["minibatch"].astype(int)
    assert len(set(rows)) == 100

    def features(images: Evidence) -> np.ndarray:
        pairs = list(zip(images.trace.activations, known().trace.activations, strict=True))
        return np.array(
            [
                [
                    lid_by_hand([np.linalg.norm(doubles(x[i]) - doubles(points[r])) for r in rows], 15)
                    for x, points in pairs
                ]
                for i in range(len(images))
            ]
        )

    by_hand = features(evidence)
    np.testing.assert_allclose(detector.features(evidence), by_hand, rtol=1e-9)
    np.testing.assert_allclose(
        detector.score(fresh()), regression(by_hand, features(fresh()), labels, 10.0), rtol=1e-3, atol=1e-3
    )


def regression(features: np.ndarray, asked: np.ndarray, labels, c: float) -> np.ndarray:
    """Return the log odds that scikit-learn's Newton solver gives."""
    weights = labels.balanced_weights()
    mean = (features * weights[:, None]).sum(0) / weights.sum()
    deviation = np.sqrt((weights[:, None] * (features - mean) ** 2).sum(0) / weights.sum())
    oracle = LogisticRegression(C=c, l1_ratio=0.0, solver="newton-cholesky", tol=1e-10, max_iter=1000)
    oracle.fit((features - mean) / deviation, labels.adversarial, sample_weight=weights)
    return oracle.decision_function((asked - mean) / deviation)


def test_multi_lid_is_boosted_trees_on_the_terms_by_hand() -> None:
    evidence, labels = few()
    detector = MultiLidDetector(k=7).fit(evidence, labels)
    rows = detector.arrays()["minibatch"].astype(int)

    def features(images: Evidence) -> np.ndarray:
        found = []
        for i in range(len(images)):
            terms = []
            for x, points in zip(images.trace.activations, known().trace.activations, strict=True):
                nearest = sorted(np.linalg.norm(doubles(x[i]) - doubles(points[r])) for r in rows)[:7]
                terms += [np.log(d / nearest[-1]) for d in nearest[:-1]]
            found.append(terms)
        return np.array(found)

    by_hand = features(evidence)
    np.testing.assert_allclose(detector.features(evidence), by_hand, rtol=1e-9, atol=1e-12)
    trees = HistGradientBoostingClassifier(
        max_iter=100,
        max_leaf_nodes=8,
        learning_rate=0.1,
        min_samples_leaf=20,
        l2_regularization=1.0,
        early_stopping=False,
        random_state=0,
    ).fit(by_hand, labels.adversarial, sample_weight=labels.balanced_weights())
    np.testing.assert_allclose(detector.score(fresh()), trees.decision_function(features(fresh())), atol=1e-6)


def test_the_mean_of_the_terms_is_the_inverse_of_the_estimate() -> None:
    distances = np.random.default_rng(0).gamma(2.0, size=(30, 40))
    terms = lid_terms(distances, 12)
    assert terms.shape == (30, 11) and (np.diff(terms, axis=1) >= 0).all()
    np.testing.assert_allclose(-12.0 / terms.sum(1), lid_estimates(distances, 12))


def test_terms_are_finite_on_duplicates_and_where_all_distances_are_equal() -> None:
    cases = np.array([[0.0, 1.0, 2.0], [0.0, 0.0, 0.0], [2.0, 2.0, 2.0], [1e-30, 1.0, 1.0]])
    smallest = -np.log(LARGEST)
    assert lid_terms(cases, 3).tolist() == [[smallest, np.log(0.5)], [0.0, 0.0], [0.0, 0.0], [smallest, 0.0]]
    with pytest.raises(InputError, match=r"in \[2, 3\], got 1"):
        lid_terms(cases, 1)


@pytest.mark.parametrize("dimensions", [2, 5])
def test_lid_finds_the_dimensionality_of_a_ball_around_the_query(dimensions) -> None:
    # In a ball of d dimensions the distances to its middle are distributed as U^(1/d).
    radii = np.random.default_rng(0).random((2000, 100)) ** (1.0 / dimensions)
    assert 1.0 / (1.0 / lid_estimates(radii, 100)).mean() == pytest.approx(dimensions, rel=0.02)


def test_lid_leaves_the_query_out_by_its_place_and_not_by_its_distance() -> None:
    distances = np.array([[0.0, 1.0, 4.0, 2.0, 9.0], [3.0, 1.0, 0.5, 2.0, 9.0], [0.0, 0.0, 4.0, 2.0, 9.0]])
    found = lid_estimates(distances, 3, own=np.array([0, -1, 0]))
    assert found[0] == pytest.approx(lid_by_hand([1.0, 4.0, 2.0], 3))
    assert found[1] == pytest.approx(lid_by_hand([0.5, 1.0, 2.0], 3))
    assert found[2] == 0.0  # the query is left out, its duplicate is not


def test_lid_is_finite_on_duplicates_and_on_batches_of_one_image() -> None:
    cases = np.array([[0.0, 1.0, 2.0], [0.0, 0.0, 0.0], [3.0, 3.0, 3.0], [1e-300, 1.0, 1e300]])
    assert lid_estimates(cases, 3).tolist() == [0.0, 0.0, LARGEST, 0.0]
    nearly = lid_estimates(np.array([[1e-30, 1.0, 2.0]]), 3)  # 0 is the limit that smaller distances approach
    assert 0.0 < nearly[0] < 0.05


@pytest.mark.parametrize(("k", "own", "most"), [(0, None, 4), (5, None, 4), (4, np.array([1]), 3)])
def test_lid_refuses_more_neighbours_than_there_are(k, own, most) -> None:
    with pytest.raises(InputError, match=rf"^k must be an integer in \[1, {most}\], got {k}\.$"):
        lid_estimates(np.ones((1, 4)), k, own)


@pytest.mark.parametrize("count", [40, 100, 1000])
def test_the_minibatch_holds_every_class_in_its_share(count) -> None:
    labels = np.random.default_rng(3).choice(4, count, p=[0.1, 0.2, 0.3, 0.4])
    rows = draw_minibatch(labels, seed=5)
    assert len(rows) == min(100, count)
    assert (np.diff(rows) > 0).all()
    shares = np.bincount(labels[rows], minlength=4) - np.bincount(labels, minlength=4) * len(rows) / count
    assert np.abs(shares).max() <= 1.0
    np.testing.assert_array_equal(rows, draw_minibatch(labels, seed=5))
    assert count <= 100 or set(rows) != set(draw_minibatch(labels, seed=6))


# --- Mahalanobis ---


def test_mahalanobis_scores_are_those_of_scikit_learn_and_scipy() -> None:
    found = known().gaussians.scores(fresh().trace)
    for layer, (queries, points) in enumerate(zip(fresh().trace.activations, known().trace.activations, strict=True)):
        means = np.stack([doubles(points[known().labels == c]).mean(0) for c in range(CLASSES)])
        tied = EmpiricalCovariance(assume_centered=True).fit(doubles(points) - means[known().labels])
        by_sklearn = np.stack([tied.mahalanobis(doubles(queries) - mean) for mean in means], axis=1)
        np.testing.assert_allclose(found[:, layer], (-0.5 * by_sklearn).max(1), rtol=1e-9)
        centred = doubles(points) - means[known().labels]
        inverse = np.linalg.inv(centred.T @ centred / len(points))  # divided by N
        for i in (0, 9, 33):
            by_scipy = max(-0.5 * mahalanobis(doubles(queries[i]), mean, inverse) ** 2 for mean in means)
            assert found[i, layer] == pytest.approx(by_scipy, rel=1e-9)


def test_mahalanobis_detector_is_logistic_regression_on_its_scores() -> None:
    evidence, labels = few()
    detector = MahalanobisDetector(c=0.5).fit(evidence, labels)
    scores = [known().gaussians.scores(images.trace) for images in (evidence, fresh())]
    np.testing.assert_allclose(detector.score(fresh()), regression(*scores, labels, 0.5), rtol=1e-3, atol=1e-3)


def test_directions_without_spread_are_left_out_as_a_pseudo_inverse_does() -> None:
    trace, labels = natural_trace(300, 3)
    points = doubles(trace.activations[0])
    # A dead channel, and one that repeats another.
    wide = np.hstack([points, np.full((300, 1), 7.0), points[:, :1]]).astype(np.float32)
    tied = TiedGaussian.fit(wide, labels)
    assert tied.whitening.shape == (8, 6)
    asked = wide[:20] + np.float32(0.1)
    means = np.stack([doubles(wide[labels == c]).mean(0) for c in range(CLASSES)])
    centred = doubles(wide) - means[labels]
    precision = np.linalg.pinv(centred.T @ centred / 300, hermitian=True, rcond=1e-9)
    differences = doubles(asked)[:, None] - means
    expected = -0.5 * np.einsum("ncd,de,nce->nc", differences, precision, differences)
    np.testing.assert_allclose(tied.scores(asked), expected, rtol=1e-6)


def test_a_layer_without_any_spread_scores_zero() -> None:
    tied = TiedGaussian.fit(np.ones((6, 2), dtype=np.float32), np.arange(6) % 2)
    np.testing.assert_array_equal(tied.scores(np.full((3, 2), 5.0, dtype=np.float32)), np.zeros((3, 2)))


def test_many_training_images_are_read_in_parts_to_the_same_end(monkeypatch) -> None:
    trace, labels = natural_trace(50, 4)
    whole = TiedGaussian.fit(trace.activations[0], labels)
    monkeypatch.setattr("telltale.evidence.mahalanobis.CHUNK", 7)
    parts = TiedGaussian.fit(trace.activations[0], labels)
    np.testing.assert_allclose(parts.scores(trace.activations[0]), whole.scores(trace.activations[0]), rtol=1e-9)


def test_a_class_without_training_images_is_absent() -> None:
    trace, labels = natural_trace(50, 4)
    few = TiedGaussian.fit(trace.activations[0], labels)
    apart = TiedGaussian.fit(trace.activations[0], 3 * labels + 1)
    np.testing.assert_array_equal(apart.scores(trace.activations[0]), few.scores(trace.activations[0]))
    with pytest.raises(InputError, match=r"^Class means need training images; there are none\.$"):
        TiedGaussian.fit(np.ones((0, 2), dtype=np.float32), np.empty(0, dtype=np.int64))


# --- Mahalanobis' input step ---


@functools.cache
def tiny_gaussians() -> TiedGaussians:
    ids = np.arange(TRAINING_IMAGES)
    return TiedGaussians.fit(tiny_classifier().trace(tiny_digits().images(ids)), tiny_digits().labels[ids])


def test_the_steps_gradient_is_that_of_finite_differences_on_every_layer() -> None:
    exact = copy.deepcopy(tiny_classifier()).double()
    image = torch.from_numpy(tiny_images(1)[0]).double()
    gradients = score_gradients(exact, tiny_gaussians(), image)
    assert len(gradients) == len(exact.layers)
    direction = torch.from_numpy(np.random.default_rng(0).normal(size=image.shape))

    def score(layer: int, offset: float) -> float:
        with torch.no_grad():
            pooled = exact.activations(image + offset * direction)[layer].numpy()
        return float(tiny_gaussians().layers[layer].scores(pooled).max())

    for layer, gradient in enumerate(gradients):
        slope = (score(layer, 1e-6) - score(layer, -1e-6)) / 2e-6
        assert float((gradient * direction).sum()) == pytest.approx(slope, rel=1e-4)


def test_a_step_moves_every_layers_score_as_a_step_of_its_own_by_hand() -> None:
    images, _ = tiny_images(3)
    classifier, gaussians = tiny_classifier(), tiny_gaussians()
    found = stepped_scores(classifier, gaussians, images, 1e-3)
    for layer, gradient in enumerate(score_gradients(classifier, gaussians, torch.from_numpy(images))):
        moved = torch.from_numpy(images + np.float32(1e-3) * np.sign(gradient.numpy()))
        with torch.no_grad():
            pooled = classifier.activations(moved)[layer].numpy()
        np.testing.assert_allclose(found[:, layer], gaussians.layers[layer].scores(pooled).max(1), rtol=1e-5)
    still = gaussians.scores(classifier.trace(images))
    np.testing.assert_allclose(stepped_scores(classifier, gaussians, images, 0.0), still, rtol=1e-5)
    assert (found > still).all()  # towards the nearest class


def test_a_step_treats_every_image_as_if_it_were_alone(monkeypatch) -> None:
    images, _ = tiny_images(5)
    together = stepped_scores(tiny_classifier(), tiny_gaussians(), images, 0.01)
    monkeypatch.setattr("telltale.evidence.mahalanobis_step.AT_ONCE", 2)
    parts = stepped_scores(tiny_classifier(), tiny_gaussians(), images, 0.01)
    np.testing.assert_allclose(parts, together, rtol=1e-3)


def test_the_detector_steps_where_pixels_are_at_hand_and_says_so_where_not() -> None:
    evidence, labels = few()
    asked = []

    def stepped(gaussians: TiedGaussians, step: float) -> np.ndarray:
        asked.append(step)
        return gaussians.scores(evidence.trace) + step

    detector = MahalanobisDetector(step=0.02)
    with pytest.raises(InputError, match=r"^An input step needs the images' pixels, .* set step to 0\.$"):
        detector.fit(evidence, labels)
    seeing = Evidence(known(), evidence.trace, evidence.readings, stepped)
    part = np.arange(30, 90)
    detector.fit(seeing.take(part), labels.take(part)).score(seeing)
    assert asked == [0.02]  # a part asks the whole, and nobody asks twice
    np.testing.assert_array_equal(detector.features(seeing), known().gaussians.scores(evidence.trace) + 0.02)


def test_evidence_of_images_takes_the_step_through_their_network() -> None:
    images, _ = tiny_images(2)
    trace = tiny_classifier().trace(images)
    layers = tiny_known(trace.layers)
    evidence = Evidence(layers, trace, Readings(), stepping(tiny_classifier(), images))
    expected = stepped_scores(tiny_classifier(), tiny_gaussians(), images, 0.01)
    np.testing.assert_array_equal(evidence.mahalanobis(tiny_gaussians(), 0.01), expected)


def tiny_known(layers: tuple[str, ...]):
    """Return a reference set of the tiny classifier's shape, as far as a step needs one."""
    trace = tiny_classifier().trace(tiny_digits().images(np.arange(20)))
    assert trace.layers == layers
    return replace(known(), classes=10, trace=trace)


# --- Kernel density ---


@pytest.mark.parametrize("bandwidth", [0.05, 0.2, 1.0])
def test_kernel_density_is_scikit_learns_among_images_of_the_predicted_class(bandwidth) -> None:
    detector = KernelDensityDetector(bandwidth=bandwidth).fit(*few())
    hidden, labels = doubles(known().trace.hidden), known().labels
    own_means = np.stack([hidden[labels == c].mean(0) for c in range(CLASSES)])[labels]
    radius = np.sqrt(np.square(hidden - own_means).sum(1).mean())
    for i in range(0, len(fresh()), 5):
        oracle = KernelDensity(bandwidth=bandwidth * radius).fit(hidden[labels == fresh().predictions[i]])
        expected = -oracle.score_samples(doubles(fresh().trace.hidden[i : i + 1]))[0]
        assert detector.score(fresh())[i] == pytest.approx(expected, rel=1e-5, abs=1e-5)


def test_kernel_density_stays_finite_far_away_and_is_exact_on_a_single_point() -> None:
    points = np.zeros((1, 3), dtype=np.float32)
    queries = np.array([[0.0, 0.0, 0.0], [1e6, 0.0, 0.0]], dtype=np.float32)
    peak = -1.5 * np.log(2.0 * np.pi * 1e-4)
    np.testing.assert_allclose(log_kernel_density(points, queries, 0.01), [peak, peak - 0.5 * 1e16], rtol=1e-12)


def test_the_kernel_density_of_a_few_images_is_that_of_many() -> None:
    draws = np.random.default_rng(0)
    points, queries = draws.normal(size=(700, 20)).astype(np.float32), draws.normal(size=(9, 20)).astype(np.float32)
    together = log_kernel_density(points, queries, 0.7)
    alone = [log_kernel_density(points, query[None], 0.7)[0] for query in queries]
    kernels = multivariate_normal(np.zeros(20), 0.7**2)
    oracle = [logsumexp(kernels.logpdf(doubles(points) - query)) - np.log(700) for query in doubles(queries)]
    np.testing.assert_allclose(together, oracle, rtol=1e-11)
    np.testing.assert_allclose(alone, oracle, rtol=1e-11)


def test_the_bandwidths_unit_follows_the_scale_of_a_network() -> None:
    detector = KernelDensityDetector(bandwidth=0.3).fit(*few())
    hidden, centroids = known().trace.hidden, known().pivots.centroid[-1]
    grown = class_radius(100 * hidden, known().labels, 100 * centroids)
    assert grown == pytest.approx(100 * detector.radius_, rel=1e-5)
    assert class_radius(centroids, np.arange(CLASSES), centroids) == 1.0
