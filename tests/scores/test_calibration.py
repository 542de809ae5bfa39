"""Calibration: p-values and thresholds say the same thing, and the stated false-positive rate holds."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telltale.base.errors import InputError
from telltale.scores import titles
from telltale.scores.calibration import Calibration, fewest_images, rate_interval, uncalibrated_verdict

score = st.one_of(st.integers(-5, 5).map(float), st.floats(-1e6, 1e6))
calibrations = st.lists(score, min_size=1, max_size=60)
# k / (n + 1) exactly, and its float neighbours, are where rounding could set p-value and threshold apart.
alphas = st.one_of(
    st.floats(1e-6, 1 - 1e-6),
    st.sampled_from([0.01, 0.05, 0.1, 0.5]),
    st.tuples(st.integers(1, 60), st.integers(2, 61)).filter(lambda t: t[0] < t[1]).map(lambda t: t[0] / t[1]),
)


@settings(max_examples=300, deadline=None)
@given(calibrations, score)
def test_p_value_is_the_formula(values, value) -> None:
    expected = (1 + sum(c >= value for c in values)) / (len(values) + 1)
    assert Calibration.of(values).p_value(value) == expected


@settings(max_examples=500, deadline=None)
@given(calibrations, score, alphas, st.integers(0, 59), st.integers(-1, 1))
def test_a_score_reaches_the_threshold_exactly_where_its_p_value_is_low_enough(values, other, alpha, i, step) -> None:
    calibration = Calibration.of(values)
    threshold = calibration.threshold(alpha)
    tied = values[i % len(values)]
    near = {-1: np.nextafter(tied, -np.inf), 0: tied, 1: np.nextafter(tied, np.inf)}[step]
    for value in (other, float(near), *values):
        assert (value >= threshold) == (calibration.p_value(value) <= alpha)
        verdict = calibration.verdict("knn", value, alpha)
        decided = calibration.p_value(value) <= alpha if math.isfinite(threshold) else None
        assert verdict.adversarial == decided
        assert (verdict.threshold, verdict.n_calibration, verdict.alpha) == (threshold, len(values), alpha)
    if math.isfinite(threshold):
        below = float(np.nextafter(threshold, -np.inf))
        assert calibration.p_value(threshold) <= alpha < calibration.p_value(below)
    else:
        assert alpha < 1 / (len(values) + 1)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(0, 6).map(float), min_size=2, max_size=40), alphas)
def test_no_more_than_alpha_of_exchangeable_natural_images_is_called_adversarial(values, alpha) -> None:
    # Under exchangeability each of the n + 1 scores is equally likely to be the new one: count them all.
    called = 0
    for i, value in enumerate(values):
        called += bool(Calibration.of(values[:i] + values[i + 1 :]).verdict("knn", value, alpha).adversarial)
    assert called / len(values) <= alpha + 1e-12


def test_the_false_positive_rate_is_met_and_not_wasted_where_scores_differ() -> None:
    rng = np.random.default_rng(0)
    natural = rng.normal(size=(4000, 100))
    for alpha in (0.05, 0.1):
        rate = np.mean([row[0] >= Calibration.of(row[1:]).threshold(alpha) for row in natural])
        # 99 calibration scores make alpha a multiple of 1 / (n + 1): the rate is alpha exactly.
        assert abs(rate - alpha) < 4 * np.sqrt(alpha * (1 - alpha) / len(natural))


@pytest.mark.parametrize("n", [9, 99, 199, 999])
def test_rates_that_the_number_of_images_meets_exactly_are_used_in_full(n) -> None:
    # alpha * (n + 1) is not exact in floats: 0.29 * 100 is 28.999999999999996.
    calibration = Calibration.of(range(n))
    for percent in range(1, 100):
        alpha = percent / 100
        called = sum(score + 0.5 >= calibration.threshold(alpha) for score in range(-1, n))
        assert called == percent * (n + 1) // 100


def test_too_few_images_for_the_rate_call_nothing_adversarial() -> None:
    calibration = Calibration.of(range(9))
    assert calibration.threshold(0.0999) == math.inf
    assert calibration.verdict("knn", 1e9, 0.0999).adversarial is None
    assert calibration.verdict("knn", 1e9, 0.1).adversarial


@pytest.mark.parametrize("alpha", [0.0, 1.0, -0.1, 1.1, float("nan")])
def test_alpha_outside_the_open_interval_is_refused(alpha) -> None:
    calibration = Calibration.of([1.0, 2.0])
    for call in (
        lambda: calibration.threshold(alpha),
        lambda: calibration.verdict("knn", 1.0, alpha),
        lambda: uncalibrated_verdict("knn", 1.0, alpha),
    ):
        with pytest.raises(InputError, match="between 0 and 1"):
            call()


@pytest.mark.parametrize("bad", [[], [float("nan")], [1.0, float("inf")]])
def test_calibration_needs_finite_scores(bad) -> None:
    with pytest.raises(InputError, match="finite scores"):
        Calibration.of(bad)


def test_unsorted_and_undefined_scores_are_refused() -> None:
    with pytest.raises(InputError, match="ascending"):
        Calibration(np.array([2.0, 1.0]))
    with pytest.raises(InputError, match="finite"):
        Calibration.of([1.0]).p_value(float("nan"))


def test_an_uncalibrated_detector_gives_a_score_and_no_answer() -> None:
    verdict = uncalibrated_verdict("knn", 0.7, 0.05)
    assert (verdict.score, verdict.p_value, verdict.threshold, verdict.adversarial) == (0.7, None, None, None)


@pytest.mark.parametrize(("n", "alpha"), [(30, 0.1), (99, 0.05), (543, 0.05), (543, 0.1)])
def test_the_true_rate_lies_where_it_is_said_to_for_95_percent_of_calibrations(n: int, alpha: float) -> None:
    draws = np.random.default_rng(0)
    # Scores that are uniform on [0, 1] reach a threshold at the rate of one minus it.
    rates = np.array([1.0 - Calibration.of(draws.random(n)).threshold(alpha) for _ in range(8000)])
    low, high = rate_interval(n, alpha)
    assert 0.02 < (rates < low).mean() < 0.03
    assert 0.02 < (rates > high).mean() < 0.03


def test_a_verdict_takes_19_images_at_5_percent_and_99_at_1() -> None:
    assert [fewest_images(alpha) for alpha in (0.05, 0.01, 0.1, 0.5)] == [19, 99, 9, 1]


@given(alphas)
def test_one_image_less_than_the_fewest_decides_nothing(alpha) -> None:
    fewest = fewest_images(alpha)
    for count, decides in ((fewest, True), (fewest - 1, False)):
        if 0 < count < 5000:
            answer = Calibration.of(np.arange(count)).verdict("knn", 1e9, alpha).adversarial
            assert answer is (True if decides else None)


def test_no_rate_is_promised_where_nothing_can_be_called_adversarial() -> None:
    assert rate_interval(10, 0.05) == (0.0, 0.0)
    assert rate_interval(19, 0.05)[1] > 0.0


def test_one_score_of_all_images_is_said_and_still_decides_rightly() -> None:
    """Images of which none has a reference of its class: votes tell none of them apart, and raise no alarm."""
    calibration = Calibration.of(np.zeros(104))
    verdict = calibration.verdict("dknn", 0.0, 0.05)
    assert (verdict.common_score, verdict.p_value, verdict.adversarial) == (0.0, 1.0, False)
    assert titles.threshold(verdict.threshold) == "above 0"
    assert titles.alike(0.0) == "every held-out natural image scores 0: it tells none of them apart"
    above = calibration.verdict("dknn", 1e-300, 0.05)
    assert above.adversarial and above.p_value == 1 / 105
    assert verdict.to_json()["common_score"] == 0.0


@pytest.mark.parametrize("scores", [[0.0], [0.0, 0.1], [1.0, 1.0, 2.0]])
def test_a_detector_that_tells_images_apart_has_no_common_score(scores: list[float]) -> None:
    verdict = Calibration.of(scores).verdict("lid", 0.0, 0.5)
    assert verdict.common_score is None and "common_score" not in verdict.to_json()


@pytest.mark.parametrize(
    ("value", "said"), [(None, "–"), (math.inf, "–"), (0.0, "0"), (-0.5, "-0.5"), (1e-3, "0.001"), (5e-324, "above 0")]
)
def test_a_threshold_is_a_number_that_people_can_read(value: float | None, said: str) -> None:
    assert titles.threshold(value) == said
