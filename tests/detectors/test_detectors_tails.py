"""One tail or both: where a number lies among natural ones, against scipy's percentiles and planted cases."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import percentileofscore
from sklearn.metrics import roc_auc_score

from support.clouds import mixed, readings, reference
from telltale.detectors.base import Labels
from telltale.detectors.feature_response import FeatureResponseDetector
from telltale.detectors.idefender import IDefender
from telltale.detectors.tails import outwardness, position
from telltale.evidence.evidence import Evidence

NUMBERS = st.floats(-1e6, 1e6, allow_nan=False).map(lambda x: round(x, 3))


@settings(deadline=None)
@given(st.lists(NUMBERS, min_size=1, max_size=40))
def test_a_natural_value_lies_at_its_mean_percentile(values) -> None:
    natural = np.sort(np.array(values))
    expected = [percentileofscore(natural, value, kind="mean") / 100.0 for value in natural]
    np.testing.assert_allclose(position(natural, natural), expected, atol=1e-12)


@settings(deadline=None)
@given(st.lists(NUMBERS, min_size=1, max_size=30), st.lists(NUMBERS, min_size=2, max_size=30))
def test_positions_never_fall_as_values_rise(natural, values) -> None:
    ordered = np.sort(np.array(values))
    places = position(np.sort(np.array(natural)), ordered)
    assert (np.diff(places) >= 0).all()
    assert ((places >= -1.0) & (places <= 2.0)).all()


def test_values_beyond_either_end_keep_their_order_and_mirror_each_other() -> None:
    natural = np.linspace(-1.0, 1.0, 101)
    values = np.array([0.0, 0.5, 0.99, 1.5, 4.0])
    outward = outwardness(natural, values)
    assert (np.diff(outward) > 0).all()
    np.testing.assert_allclose(outwardness(natural, -values), outward, atol=1e-12)
    assert outward[0] == pytest.approx(0.0)


def entropies(values: np.ndarray, adversarial: np.ndarray) -> tuple[Evidence, Labels]:
    evidence, labels = mixed(reference(), len(values) // 2, 1, True)
    kept = np.arange(len(values))
    part = Evidence(evidence.reference, evidence.trace.take(kept), readings(values))
    return part, replace(labels.take(kept), adversarial=adversarial, attacks=np.where(adversarial, "fgsm", ""))


@pytest.mark.parametrize("tails", ["upper", "both"])
def test_only_both_tails_see_attacks_on_either_side_of_natural_images(tails) -> None:
    draws = np.random.default_rng(0)
    adversarial = np.arange(60) % 2 == 1
    sides = np.where(np.arange(60) % 4 == 1, 6.0, -6.0)
    values = np.where(adversarial, sides, 0.0) + draws.normal(size=60)
    evidence, labels = entropies(values, adversarial)
    auc = roc_auc_score(adversarial, FeatureResponseDetector(tails=tails).fit(evidence, labels).score(evidence))
    assert auc > 0.95 if tails == "both" else auc < 0.7


@pytest.mark.parametrize("variant", ["log_density", "class_quantile"])
def test_both_tails_of_the_density_are_its_outwardness(variant) -> None:
    evidence, labels = mixed(reference(), 40, 1, True)
    detector = IDefender(variant=variant, tails="both").fit(evidence, labels)
    surprise = -evidence.log_density[np.arange(len(evidence)), evidence.predictions]
    natural = ~labels.adversarial
    for c in range(evidence.reference.classes):
        rows = evidence.predictions == c
        own = surprise[natural & rows] if variant == "class_quantile" and (natural & rows).any() else surprise[natural]
        scores = detector.score(evidence)
        below = [abs(2 * percentileofscore(own, v, kind="mean") / 100 - 1) for v in surprise[rows & natural]]
        np.testing.assert_allclose(scores[rows & natural], below, atol=1e-9)
