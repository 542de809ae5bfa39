"""Metrics against scikit-learn, pair counting and what must hold of any of them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import roc_auc_score
from sklearn.metrics import roc_curve as sklearn_roc_curve

from telltale.base.errors import InputError
from telltale.scores import metrics

# Few distinct values, so that most examples hold ties within and between the two sets.
tied = st.lists(st.integers(-4, 4).map(float), min_size=1, max_size=30)
smooth = st.lists(st.floats(-1e3, 1e3, width=32), min_size=1, max_size=30)
scores = st.one_of(tied, smooth)


def joined(natural, adversarial):
    return np.r_[np.zeros(len(natural)), np.ones(len(adversarial))], np.r_[natural, adversarial]


@settings(max_examples=200, deadline=None)
@given(scores, scores)
def test_auc_counts_pairs_and_agrees_with_sklearn(natural, adversarial) -> None:
    pairs = [(a > n) + 0.5 * (a == n) for a in adversarial for n in natural]
    value = metrics.auc(natural, adversarial)
    assert value == pytest.approx(np.mean(pairs), abs=1e-12)
    assert value == pytest.approx(roc_auc_score(*joined(natural, adversarial)), abs=1e-12)


@settings(max_examples=200, deadline=None)
@given(scores, scores)
def test_roc_curve_agrees_with_sklearn_and_its_area_is_the_auc(natural, adversarial) -> None:
    curve = metrics.roc_curve(natural, adversarial)
    fpr, tpr, thresholds = sklearn_roc_curve(*joined(natural, adversarial), drop_intermediate=False)
    np.testing.assert_allclose(curve.fpr, fpr, atol=1e-12)
    np.testing.assert_allclose(curve.tpr, tpr, atol=1e-12)
    np.testing.assert_array_equal(curve.thresholds, thresholds)
    assert np.trapezoid(curve.tpr, curve.fpr) == pytest.approx(metrics.auc(natural, adversarial), abs=1e-12)


@settings(max_examples=200, deadline=None)
@given(tied, tied)
def test_monotone_transforms_change_nothing(natural, adversarial) -> None:
    moved = np.exp(np.array(natural) / 3), np.exp(np.array(adversarial) / 3)
    assert metrics.auc(natural, adversarial) == metrics.auc(*moved)
    assert metrics.eer_accuracy(natural, adversarial) == metrics.eer_accuracy(*moved)
    assert metrics.tpr_at_fpr(natural, adversarial, 0.1) == metrics.tpr_at_fpr(*moved, 0.1)
    assert metrics.auc_interval(natural, adversarial, n_resamples=20) == metrics.auc_interval(*moved, n_resamples=20)


@settings(max_examples=200, deadline=None)
@given(scores, scores)
def test_swapping_the_sets_mirrors_auc_and_eer(natural, adversarial) -> None:
    assert metrics.auc(natural, adversarial) + metrics.auc(adversarial, natural) == pytest.approx(1.0)
    negated = [-s for s in adversarial], [-s for s in natural]
    assert metrics.auc(*negated) == pytest.approx(metrics.auc(natural, adversarial))
    assert metrics.eer_accuracy(*negated) == pytest.approx(metrics.eer_accuracy(natural, adversarial))
    both = metrics.eer_accuracy(natural, adversarial) + metrics.eer_accuracy(adversarial, natural)
    assert both == pytest.approx(1.0)


@settings(max_examples=200, deadline=None)
@given(scores, scores)
def test_the_equal_error_point_lies_on_the_curve_between_neighbouring_operating_points(natural, adversarial) -> None:
    natural, adversarial = np.array(natural), np.array(adversarial)
    error = 1.0 - metrics.eer_accuracy(natural, adversarial)
    # Independent: randomise between neighbouring thresholds until both error rates are equal, by bisection.
    levels = [np.inf, *sorted(set(natural) | set(adversarial), reverse=True)]

    def rates(position: float) -> tuple[float, float]:
        i = min(int(position), len(levels) - 2)
        share = position - i
        points = [((natural >= t).mean(), (adversarial < t).mean()) for t in levels[i : i + 2]]
        return tuple((1 - share) * a + share * b for a, b in zip(*points, strict=True))

    low, high = 0.0, float(len(levels) - 1)
    for _ in range(60):
        middle = (low + high) / 2
        false_positives, misses = rates(middle)
        low, high = (middle, high) if false_positives < misses else (low, middle)
    assert rates((low + high) / 2) == pytest.approx((error, error), abs=1e-9)


def test_eer_accuracy_of_known_cases() -> None:
    assert metrics.eer_accuracy([0, 1], [2, 3]) == 1.0
    assert metrics.eer_accuracy([2, 3], [0, 1]) == 0.0
    assert metrics.eer_accuracy([1, 1, 1], [1, 1]) == 0.5
    assert metrics.eer_accuracy([0, 0, 0, 5], [1, 5, 5, 5]) == pytest.approx(0.75)
    rng = np.random.default_rng(0)
    # Two unit normals two apart meet half way: EER = Phi(-1).
    measured = metrics.eer_accuracy(rng.normal(0, 1, 200_000), rng.normal(2, 1, 200_000))
    assert measured == pytest.approx(stats.norm.cdf(1), abs=3e-3)


@settings(max_examples=200, deadline=None)
@given(scores, scores, st.sampled_from([0.0, 0.01, 0.05, 0.1, 0.5, 1.0]))
def test_tpr_at_fpr_is_the_best_threshold_that_keeps_the_rate(natural, adversarial, rate) -> None:
    natural, adversarial = np.array(natural), np.array(adversarial)
    thresholds = [*natural, *adversarial, np.inf]
    best = max((adversarial >= t).mean() for t in thresholds if (natural >= t).mean() <= rate)
    assert metrics.tpr_at_fpr(natural, adversarial, rate) == pytest.approx(best, abs=1e-12)


def test_a_rate_that_is_met_exactly_counts_as_met() -> None:
    for n in (20, 100, 300, 700):
        assert metrics.tpr_at_fpr(np.arange(n), [n - n * 0.05 - 0.5], 0.05) == 1.0
        assert metrics.tpr_at_fpr(np.arange(n), [n - n * 0.1 - 0.5], 0.1) == 1.0
        assert metrics.tpr_at_fpr(np.arange(n), [n - n * 0.1 - 1.5], 0.1) == 0.0


def test_the_interval_is_seeded_and_as_wide_as_the_analytic_standard_error_says() -> None:
    rng = np.random.default_rng(0)
    natural, adversarial = rng.normal(0, 1, 200), rng.normal(1, 1, 150)
    low, high = metrics.auc_interval(natural, adversarial, seed=7)
    assert (low, high) == metrics.auc_interval(natural, adversarial, seed=7)
    assert (low, high) != metrics.auc_interval(natural, adversarial, seed=8)
    assert low < metrics.auc(natural, adversarial) < high
    # Hanley & McNeil's standard error, an analytic check on the width.
    a = metrics.auc(natural, adversarial)
    q1, q2 = a / (2 - a), 2 * a * a / (1 + a)
    error = np.sqrt((a * (1 - a) + 149 * (q1 - a * a) + 199 * (q2 - a * a)) / (150 * 200))
    assert high - low == pytest.approx(2 * 1.96 * error, rel=0.15)


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(5)
    truth = stats.norm.cdf(1 / np.sqrt(2))
    hits = 0
    for trial in range(150):
        low, high = metrics.auc_interval(rng.normal(0, 1, 60), rng.normal(1, 1, 60), seed=trial, n_resamples=300)
        hits += low <= truth <= high
    assert stats.binomtest(hits, 150, 0.94).pvalue > 1e-3


def test_macro_auc_weighs_attacks_equally() -> None:
    assert metrics.macro_auc({"fgsm": 0.5, "pgd": 1.0, "cw": 0.9}) == pytest.approx(0.8)
    for bad in ({}, {"fgsm": float("nan")}):
        with pytest.raises(InputError, match="macro AUC"):
            metrics.macro_auc(bad)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 200), st.integers(1, 200), st.sampled_from([0.5, 0.9, 0.95, 0.99]))
def test_binomial_interval_agrees_with_scipys_exact_test(successes, trials, confidence) -> None:
    assume(successes <= trials)
    expected = stats.binomtest(successes, trials).proportion_ci(confidence, "exact")
    assert metrics.binomial_interval(successes, trials, confidence) == pytest.approx(tuple(expected), abs=1e-9)


@pytest.mark.parametrize("bad", [(3, 2, 0.9), (-1, 2, 0.9), (0, 0, 0.9), (1, 2, 1.0)])
def test_impossible_rates_are_refused(bad) -> None:
    with pytest.raises(InputError):
        metrics.binomial_interval(*bad)


def test_a_row_holds_every_published_figure() -> None:
    rng = np.random.default_rng(1)
    natural, adversarial = rng.normal(0, 1, 100), rng.normal(2, 1, 80)
    row = metrics.evaluate_detector("knn", "pgd", natural, adversarial, seed=2).to_json()
    low, high = metrics.auc_interval(natural, adversarial, seed=2)
    assert row == {
        "detector": "knn",
        "attack": "pgd",
        "auc": metrics.auc(natural, adversarial),
        "auc_low": low,
        "auc_high": high,
        "eer_accuracy": metrics.eer_accuracy(natural, adversarial),
        "tpr_at_fpr": {key: metrics.tpr_at_fpr(natural, adversarial, float(key)) for key in ("0.01", "0.05", "0.1")},
        "n_natural": 100,
        "n_adversarial": 80,
        "tpr_intervals": {
            key: list(metrics.interval(metrics.resample_apart(natural, adversarial, 2, 1000).tpr[float(key)]))
            for key in ("0.01", "0.05", "0.1")
        },
    }


CALLS = [
    metrics.auc,
    metrics.roc_curve,
    metrics.eer_accuracy,
    metrics.auc_interval,
    lambda natural, adversarial: metrics.tpr_at_fpr(natural, adversarial, 0.05),
    lambda natural, adversarial: metrics.evaluate_detector("knn", "pgd", natural, adversarial),
]


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    ("bad", "sentence"),
    [([], "non-empty"), ([1.0, float("nan")], "1 of the 2"), ([float("inf")], "not finite"), ([[1.0]], "shape")],
)
def test_empty_or_undefined_scores_are_refused_in_a_sentence(call, bad, sentence) -> None:
    for arguments, kind in [((bad, [1.0]), "natural"), (([1.0], bad), "adversarial")]:
        with pytest.raises(InputError, match=f"{kind} scores") as caught:
            call(*arguments)
        assert sentence in str(caught.value)


def test_groups_must_fit_the_scores() -> None:
    with pytest.raises(InputError, match="both"):
        metrics.auc_interval([1.0], [2.0], natural_groups=[0])
    with pytest.raises(InputError, match="exactly one image id"):
        metrics.auc_interval([1.0], [2.0], natural_groups=[0, 1], adversarial_groups=[0])
    with pytest.raises(InputError, match="false-positive rate lies in"):
        metrics.tpr_at_fpr([1.0], [2.0], 1.5)
