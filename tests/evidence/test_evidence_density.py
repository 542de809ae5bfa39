"""Class mixtures against scipy's normal densities and scikit-learn; thresholds against what they promise."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import logsumexp
from scipy.stats import multivariate_normal
from sklearn.decomposition import PCA
from sklearn.mixture import GaussianMixture

from telltale.base.errors import InputError
from telltale.base.processes import Processes
from telltale.evidence.density import (
    COVARIANCES,
    ClassDensities,
    DensityChart,
    MixtureSettings,
    class_thresholds,
    held_out_log_density,
    keep_rate,
)
from telltale.kinds.density import COMPONENTS, DensityKind
from telltale.kinds.kind import Fitting
from telltale.models.trace import Trace

CLASSES, WIDTH = 3, 4


def cloud(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Correlated classes around different centres."""
    draws = np.random.default_rng(seed)
    labels = np.arange(count) % CLASSES
    mixing = np.random.default_rng(99).normal(size=(CLASSES, WIDTH, WIDTH))
    points = np.einsum("nd,nde->ne", draws.normal(size=(count, WIDTH)), mixing[labels])
    return (points + 3.0 * labels[:, None]).astype(np.float32), labels


def fitted(components: int, covariance: str, dimensions: int = WIDTH) -> ClassDensities:
    hidden, labels = cloud(180)
    return ClassDensities.fit(hidden, labels, CLASSES, MixtureSettings(components, covariance, dimensions), seed=0)


@pytest.mark.parametrize("covariance", COVARIANCES)
@pytest.mark.parametrize("components", [1, 3])
@pytest.mark.parametrize("dimensions", [WIDTH, 2])
def test_log_density_is_the_log_of_a_sum_of_normal_densities(components, covariance, dimensions) -> None:
    densities = fitted(components, covariance, dimensions)
    queries = cloud(12, seed=1)[0]
    projected = (queries.astype(np.float64) - densities.mean) @ densities.axes.T
    for c, mixture in enumerate(densities.mixtures):
        assert mixture.means_.shape == (components, dimensions)
        parts = []
        for weight, mean, covariances in zip(mixture.weights_, mixture.means_, mixture.covariances_, strict=True):
            square = covariances if covariance == "full" else np.diag(covariances)
            parts.append(np.log(weight) + multivariate_normal(mean, square).logpdf(projected))
        expected = logsumexp(parts, axis=0)
        np.testing.assert_allclose(densities.log_density(queries)[:, c], expected, rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(densities.log_density(queries)[:, c], mixture.score_samples(projected), rtol=1e-12)


def test_one_gaussian_per_class_is_the_classs_mean_and_covariance() -> None:
    hidden, labels = cloud(180)
    densities = fitted(1, "full")
    own = (hidden.astype(np.float64) - densities.mean) @ densities.axes.T
    for c, mixture in enumerate(densities.mixtures):
        np.testing.assert_allclose(mixture.means_[0], own[labels == c].mean(0), atol=1e-9)
        ridge = 1e-4 * own[labels == c].var(0).mean() * np.eye(WIDTH)
        np.testing.assert_allclose(mixture.covariances_[0], np.cov(own[labels == c].T, ddof=0) + ridge, atol=1e-9)


def test_the_projection_is_scikit_learns_pca() -> None:
    hidden, _ = cloud(180)
    oracle = PCA(2, svd_solver="full").fit(hidden.astype(np.float64))
    queries = cloud(9, seed=1)[0]
    np.testing.assert_allclose(fitted(1, "diag", 2).project(queries), oracle.transform(queries), atol=1e-5)


@pytest.mark.parametrize("covariance", COVARIANCES)
def test_arrays_bring_the_same_densities_back(covariance) -> None:
    densities, queries = fitted(2, covariance), cloud(30, seed=1)[0]
    again = ClassDensities.from_arrays({name: values.copy() for name, values in densities.to_arrays().items()})
    assert again.settings == densities.settings
    np.testing.assert_array_equal(again.log_density(queries), densities.log_density(queries))


def test_one_image_has_the_density_it_has_in_a_batch() -> None:
    densities, queries = fitted(3, "full"), cloud(20, seed=1)[0]
    alone = [densities.log_density(queries[i : i + 1])[0] for i in range(20)]
    np.testing.assert_allclose(densities.log_density(queries), alone, rtol=1e-12)


def test_a_dead_channel_keeps_the_density_finite() -> None:
    hidden, labels = cloud(60)
    hidden[:, 1] = 0.0
    densities = ClassDensities.fit(hidden, labels, CLASSES, MixtureSettings(1, "full", WIDTH), seed=0)
    assert np.isfinite(densities.log_density(hidden + np.float32(1.0))).all()


def test_more_components_than_images_are_refused() -> None:
    hidden, labels = cloud(9)
    with pytest.raises(InputError, match=r"^A class has 3 training images; 5 components need more\.$"):
        ClassDensities.fit(hidden, labels, CLASSES, MixtureSettings(5, "diag", 2), seed=0)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(st.integers(-5, 5), st.integers(0, 2)), min_size=1, max_size=60),
    st.sampled_from([0.5, 0.8, 0.9, 0.95, 0.99]),
)
def test_thresholds_keep_at_least_what_they_promise_in_every_class(images, keep) -> None:
    values, predictions = np.array([i[0] for i in images], dtype=float), np.array([i[1] for i in images])
    log_density = np.full((len(images), CLASSES), -100.0)
    log_density[np.arange(len(images)), predictions] = values
    thresholds = class_thresholds(log_density, predictions, keep)
    for c in np.unique(predictions):
        own = values[predictions == c]
        assert (own >= thresholds[c]).mean() >= keep
        assert thresholds[c] in own
        # Nor are they lax: without the images at the threshold, at most one more than promised would pass.
        assert (own > thresholds[c]).sum() <= keep * len(own) + 1
    assert keep_rate(log_density, predictions, thresholds) >= keep


def test_a_class_that_nothing_is_predicted_as_takes_the_threshold_of_all() -> None:
    log_density = np.arange(20.0).reshape(10, 2)
    predictions = np.zeros(10, dtype=np.int64)
    np.testing.assert_array_equal(class_thresholds(log_density, predictions, 0.8), [2.0, 2.0])


def test_keep_rate_is_a_share_of_images_with_their_own_classs_threshold() -> None:
    log_density = np.array([[0.0, 9.0], [5.0, -9.0], [9.0, 2.0], [9.0, 4.0]])
    assert keep_rate(log_density, np.array([0, 0, 1, 1]), np.array([1.0, 3.0])) == 0.5


def test_thresholds_hold_on_natural_images_that_were_not_seen() -> None:
    densities = fitted(1, "diag")
    calibration, truth = cloud(3000, seed=5)
    thresholds = class_thresholds(densities.log_density(calibration), truth, 0.95)
    fresh, fresh_truth = cloud(3000, seed=6)
    assert keep_rate(densities.log_density(fresh), fresh_truth, thresholds) == pytest.approx(0.95, abs=0.015)


DIMENSIONS = 8


def known_shape(kind: str, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    draws = np.random.default_rng(seed)
    labels = np.arange(count) % 2
    points = draws.normal(size=(count, DIMENSIONS))
    if kind == "three clusters":
        points[:, 0] += 12.0 * draws.integers(0, 3, count) ** 2
    if kind == "correlated":
        # Opposite correlations in the two classes: no rotation of the whole makes both diagonal.
        points[:, 1] = 0.3 * points[:, 1] + np.where(labels == 0, 2.0, -2.0) * points[:, 0]
    points[:, 2] += 8.0 * labels
    return points.astype(np.float32), labels


def hidden_only(hidden: np.ndarray) -> Trace:
    return Trace(("hidden",), (hidden,), np.zeros((len(hidden), 2), dtype=np.float32))


@pytest.fixture(scope="module")
def processes() -> Iterator[Processes]:
    with Processes() as started:
        yield started


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "components", "covariance"),
    [("three clusters", 3, None), ("correlated", 1, "full"), ("round", 1, "diag")],
)
def test_the_shape_with_the_largest_held_out_likelihood_is_chosen(
    processes: Processes, tmp_path: Path, kind, components, covariance
) -> None:
    (hidden, labels), (other, truth) = known_shape(kind, 200, 0), known_shape(kind, 300, 1)
    fitting = Fitting(labels, 2, hidden_only(hidden), hidden_only(other), truth, 0, tmp_path)
    work = DensityKind().prepare(fitting)
    assert work is not None
    processes.run(work)
    chosen = DensityKind().fit(fitting)
    assert chosen.settings.components == components
    assert covariance is None or chosen.settings.covariance == covariance
    # The figure it was chosen by, from scikit-learn alone: PCA, one mixture per class, its mean log density.
    pca = PCA(DIMENSIONS, svd_solver="full").fit(hidden.astype(np.float64))
    points, held_out = pca.transform(hidden.astype(np.float64)), pca.transform(other.astype(np.float64))

    def likelihood(shape: tuple[str, int]) -> float:
        total = 0.0
        for c in range(2):
            ridge = 1e-4 * points[labels == c].var(0).mean()
            mixture = GaussianMixture(shape[1], covariance_type=shape[0], reg_covar=ridge, max_iter=200, random_state=0)
            total += mixture.fit(points[labels == c]).score_samples(held_out[truth == c]).sum()
        return total / len(truth)

    found = {(k, n): likelihood((k, n)) for k in COVARIANCES for n in COMPONENTS}
    best = max(found, key=found.get)
    assert (chosen.settings.covariance, chosen.settings.components) == best
    assert held_out_log_density(chosen, other, truth) == pytest.approx(found[best], rel=1e-6)


def test_the_chart_places_points_by_its_own_axes() -> None:
    hidden, _ = cloud(20)
    pca = PCA(2, svd_solver="full").fit(hidden.astype(np.float64))
    chart = DensityChart(pca.mean_, pca.components_, np.array([0.95]), np.zeros((1, CLASSES)))
    np.testing.assert_allclose(chart.position(hidden), pca.transform(hidden), atol=1e-5)
