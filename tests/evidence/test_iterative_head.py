"""The iterative head fit against the dense one, and against the definition of its optimum."""

from __future__ import annotations

import numpy as np
import pytest

from telltale.evidence import by_size, iterative_head
from telltale.evidence.influence import fit_head, with_bias
from telltale.evidence.iterative_head import fit_head_iteratively
from telltale.studies.growth.generated import GeneratedFeatures


@pytest.mark.parametrize("damping", [1e-4, 1e-2, 1.0])
@pytest.mark.parametrize(("classes", "width", "count"), [(2, 3, 50), (10, 16, 2000), (40, 12, 1500)])
def test_it_finds_the_optimum_that_the_whole_hessian_finds(classes, width, count, damping, monkeypatch) -> None:
    monkeypatch.setattr(iterative_head, "CHUNK", 700)  # more than one, and a shorter last
    hidden, labels = GeneratedFeatures.make(classes, width).draw(count, 1)
    expected = fit_head(hidden, labels, classes, damping).weights
    np.testing.assert_allclose(fit_head_iteratively(hidden, labels, classes, damping).weights, expected, atol=1e-6)


def test_features_of_very_different_sizes_and_separable_classes_converge() -> None:
    draws = np.random.default_rng(0)
    hidden = (draws.normal(size=(300, 6)) * np.logspace(-3, 2, 6)).astype(np.float32)
    labels = (hidden[:, 5] > 0).astype(np.int64) + (hidden[:, 4] > 0)
    expected = fit_head(hidden, labels, 3, 1e-4).weights
    np.testing.assert_allclose(fit_head_iteratively(hidden, labels, 3, 1e-4).weights, expected, atol=1e-5)


def test_a_start_near_the_optimum_is_taken_and_an_unreachable_tolerance_is_said() -> None:
    hidden, labels = GeneratedFeatures.make(5, 4).draw(300, 1)
    head = fit_head_iteratively(hidden, labels, 5, 1e-2)
    again = fit_head_iteratively(hidden, labels, 5, 1e-2, max_steps=0, start=head.weights)
    np.testing.assert_array_equal(again.weights, head.weights)
    with pytest.raises(RuntimeError, match="did not converge"):
        fit_head_iteratively(hidden, labels, 5, 1e-2, tolerance=0.0, max_steps=2)


def test_a_head_too_large_for_its_hessian_is_at_its_optimum() -> None:
    """30,300 weights, whose Hessian would fill 7 GB: the gradient, summed here by hand, vanishes."""
    classes, width, damping = 300, 100, 1e-3
    assert classes * (width + 1) > by_size.FACTORED_WEIGHTS
    hidden, labels = GeneratedFeatures.make(classes, width).draw(2000, 1)
    weights = by_size.fit_softmax_head(hidden, labels, classes, damping).weights
    features = with_bias(hidden)
    odds = np.exp(features @ weights.T)
    residuals = odds / odds.sum(1, keepdims=True) - np.eye(classes)[labels]
    gradient = residuals.T @ features / len(hidden) + damping * weights
    assert np.linalg.norm(gradient) < 1e-8 < 1e-3 < np.linalg.norm(damping * weights)


def test_small_heads_are_fitted_as_before(monkeypatch) -> None:
    hidden, labels = GeneratedFeatures.make(5, 4).draw(300, 1)
    expected = fit_head(hidden, labels, 5, 1e-2).weights
    np.testing.assert_array_equal(by_size.fit_softmax_head(hidden, labels, 5, 1e-2).weights, expected)
    monkeypatch.setattr(by_size, "FACTORED_WEIGHTS", 24)
    other = by_size.fit_softmax_head(hidden, labels, 5, 1e-2).weights
    assert 0 < np.abs(other - expected).max() < 1e-6
