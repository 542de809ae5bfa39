"""Confidence and stability: scores in closed form, tails by scipy's percentiles, what is fitted, and planted cases."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import logit, softmax
from scipy.stats import percentileofscore
from sklearn.metrics import roc_auc_score

from support.clouds import CLASSES, LAYERS, WIDTHS, few, fresh, known
from telltale.base.errors import InputError
from telltale.detectors.base import Labels
from telltale.detectors.confidence import SCALES, SIDES, ConfidenceDetector
from telltale.detectors.stability import FEWEST, StabilityDetector
from telltale.detectors.tails import tail_surprises
from telltale.evidence.evidence import Evidence
from telltale.evidence.readings import Readings
from telltale.evidence.stability import MIRROR, TRANSFORMS
from telltale.models.trace import Trace


def seen(logits: np.ndarray, transformed: np.ndarray | None = None) -> Evidence:
    """Return evidence of which only the logits, and the margins after small movements, matter."""
    layers = tuple(np.zeros((len(logits), width), np.float32) for width in WIDTHS)
    readings = {} if transformed is None else {"transformed_margins": transformed}
    return Evidence(known(), Trace(LAYERS, layers, logits.astype(np.float32)), Readings(readings))


def labelled(adversarial: np.ndarray) -> Labels:
    return Labels(adversarial, np.where(adversarial, "pgd", ""), np.arange(len(adversarial)))


def with_one_attacked(evidence: Evidence) -> tuple[Evidence, Labels]:
    return evidence, labelled(np.arange(len(evidence)) == len(evidence) - 1)


def leading(margins: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Return logits in which a class leads all others, which are equal, by a margin."""
    return margins[:, None] * np.eye(CLASSES)[classes]


def plain_confidence(evidence: Evidence, scale: str) -> np.ndarray:
    logits = np.sort(evidence.trace.logits.astype(np.float64), axis=1)
    return logits[:, -1] - logits[:, -2] if scale == "margin" else logit(softmax(logits, axis=1)[:, -1])


# --- confidence ---


@pytest.mark.parametrize("scale", SCALES)
def test_one_side_is_the_log_odds_or_the_lead_and_both_are_its_distance_from_the_median(scale: str) -> None:
    evidence, labels = few()
    natural = plain_confidence(evidence, scale)[~labels.adversarial]
    expected = plain_confidence(fresh(), scale)
    low, high, both = (ConfidenceDetector(scale=scale, tails=tails).fit(evidence, labels) for tails in SIDES)
    np.testing.assert_allclose(high.score(fresh()), expected, rtol=1e-6)
    np.testing.assert_allclose(low.score(fresh()), -expected, rtol=1e-6)
    places = [percentileofscore(natural, v, kind="mean") / 100 for v in natural]
    found = both.score(evidence.take(np.flatnonzero(~labels.adversarial)))
    np.testing.assert_allclose(found, np.abs(2 * np.array(places) - 1), atol=1e-9)


def test_low_confidence_is_in_the_order_of_one_minus_the_softmax_output() -> None:
    scores = ConfidenceDetector(tails="low").fit(*few()).score(fresh())
    doubt = 1.0 - fresh().trace.probabilities.max(1)
    np.testing.assert_array_equal(np.argsort(scores, kind="stable"), np.argsort(doubt, kind="stable"))


def test_images_whose_softmax_output_is_one_keep_their_order() -> None:
    margins = np.array([2.0, 3.0, 60.0, 70.0, 80.0])
    evidence = seen(leading(margins, np.arange(5) % CLASSES))
    assert (evidence.trace.probabilities.max(1)[2:] == 1.0).all()
    natural = with_one_attacked(seen(leading(margins[:3], np.zeros(3, int))))
    for tails in ("high", "both"):
        detector = ConfidenceDetector(tails=tails).fit(*natural)
        assert (np.diff(detector.score(evidence)[2:]) > 0.0).all()


def test_only_both_sides_see_attacks_that_leave_too_little_and_too_much() -> None:
    draws = np.random.default_rng(0)
    adversarial = np.arange(120) % 2 == 1
    centre = np.where(adversarial, np.where(np.arange(120) % 4 == 1, 2.0, 18.0), 10.0)
    evidence, labels = seen(leading(centre + draws.normal(size=120), np.arange(120) % 3)), labelled(adversarial)
    auc = {
        tails: roc_auc_score(adversarial, ConfidenceDetector(tails=tails).fit(evidence, labels).score(evidence))
        for tails in SIDES
    }
    assert auc["both"] > 0.97 and max(auc["low"], auc["high"]) < 0.6


def test_each_tail_by_itself_is_surprising_by_its_share_of_natural_values() -> None:
    evidence, labels = few()
    detector = ConfidenceDetector().fit(evidence, labels)
    natural = plain_confidence(evidence, "log_odds")[~labels.adversarial]
    found, m = detector.surprises(evidence.take(np.flatnonzero(~labels.adversarial))), len(natural)
    for row, value in enumerate(natural):
        low = (np.sum(natural < value - 1e-5) + 0.5 + 0.5) / (m + 1)  # ties: the value itself counts one half
        high = (np.sum(natural > value + 1e-5) + 0.5 + 0.5) / (m + 1)
        np.testing.assert_allclose(found[row], [-np.log(low), -np.log(high)], atol=1e-9)


def test_surprises_rise_outwards_beyond_both_ends_and_are_near_nothing_on_the_other_side() -> None:
    natural = np.linspace(-1.0, 1.0, 51)
    values = np.array([-9.0, -2.0, -1.0, 0.0, 1.0, 2.0, 9.0])
    found = tail_surprises(natural, values)
    assert (np.diff(found[:, 0]) <= 0.0).all() and (np.diff(found[:, 1]) >= 0.0).all()
    assert (np.diff(found[:4, 0]) < 0.0).all() and (np.diff(found[3:, 1]) > 0.0).all()
    np.testing.assert_allclose(found[::-1, ::-1], found, atol=1e-12)
    assert found[-1, 0] == pytest.approx(0.0, abs=0.02) and found[3] == pytest.approx([np.log(2)] * 2)


# --- stability ---


def moved(classes: np.ndarray, mirror: np.ndarray, shift: float = 4.0) -> Evidence:
    """Return images that lead by 5, by `shift` after each shift, and by `mirror` in the mirror."""
    transformed = np.full((len(classes), len(TRANSFORMS)), shift)
    transformed[:, MIRROR] = mirror
    return seen(leading(np.full(len(classes), 5.0), classes), transformed)


def test_mirroring_counts_for_the_classes_whose_natural_images_survive_it() -> None:
    # Class 0 survives 19 times of 20, class 1 17 times, class 2 never; the last image is attacked and of no account.
    classes = np.r_[np.repeat([0, 1, 2], 20), 0]
    survives = np.r_[np.arange(20) < 19, np.arange(20) < 17, np.zeros(20, bool), False]
    detector = StabilityDetector().fit(*with_one_attacked(moved(classes, np.where(survives, 3.0, -3.0))))
    np.testing.assert_allclose(detector.arrays()["surviving"], [0.95, 0.85, 0.0])
    np.testing.assert_array_equal(detector.mirrored(np.array([0, 1, 2, 0])), [True, False, False, True])
    scores = detector.score(moved(np.array([0, 1, 2]), np.array([-6.0, -6.0, -6.0])))
    np.testing.assert_allclose(scores, [5.0 - (4 * 4.0 - 6.0) / 5, 1.0, 1.0])


def test_a_class_with_few_natural_images_goes_by_all_of_them_together() -> None:
    classes = np.r_[np.zeros(20, int), np.ones(FEWEST - 1, int), 2]  # of class 2 only an attacked image
    mirror = np.r_[np.full(20, 3.0), np.full(FEWEST - 1, -3.0), 3.0]
    detector = StabilityDetector().fit(*with_one_attacked(moved(classes, mirror)))
    together = 20 / (20 + FEWEST - 1)
    np.testing.assert_allclose(detector.arrays()["surviving"], [1.0, together, together])
    one_more = StabilityDetector().fit(
        *with_one_attacked(moved(np.r_[classes[:-1], 1, 2], np.r_[mirror[:-1], -3.0, 3.0]))
    )
    assert one_more.arrays()["surviving"][1] == 0.0


@pytest.mark.parametrize("tails", ["upper", "both"])
def test_gains_as_well_as_losses_are_suspicious_only_where_both_tails_count(tails: str) -> None:
    draws = np.random.default_rng(0)
    classes, mirror = np.arange(61) % CLASSES, 4.0 + draws.normal(size=61)
    detector = StabilityDetector(tails=tails).fit(*with_one_attacked(moved(classes, mirror)))
    usual, lost, gained = (detector.score(moved(np.zeros(1, int), np.ones(1) * s, s))[0] for s in (4.0, -9.0, 19.0))
    assert lost > usual and (gained > usual) == (tails == "both")


def test_without_its_readings_it_says_what_is_missing() -> None:
    with pytest.raises(InputError, match=r"^'transformed_margins' is measured on pixels, but only traces are at hand"):
        StabilityDetector().fit(*with_one_attacked(seen(leading(np.ones(4), np.zeros(4, int)))))


# --- both, where there is little to tell apart ---


@pytest.mark.parametrize("detector", [*(ConfidenceDetector(tails=t) for t in SIDES), StabilityDetector(tails="both")])
def test_one_class_and_equal_margins_give_equal_finite_scores(detector) -> None:
    evidence = moved(np.ones(30, int), np.full(30, 4.0))
    scores = detector.fit(*with_one_attacked(evidence)).score(evidence)
    assert np.isfinite(scores).all() and np.ptp(scores) == 0.0
    assert len(detector.score(evidence.take(np.array([], dtype=np.int64)))) == 0
    if isinstance(detector, ConfidenceDetector):
        np.testing.assert_allclose(detector.surprises(evidence), np.log(2), atol=1e-9)
