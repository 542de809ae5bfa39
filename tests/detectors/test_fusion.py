"""The fused verdict: its arithmetic by hand, its false-alarm rate by simulation, its choice among kinds."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import binom, norm, spearmanr
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from telltale.base.errors import InputError
from telltale.detectors.base import Labels
from telltale.detectors.error_weights import fit_error_weights
from telltale.detectors.fusion import Fusion, normal_score
from telltale.detectors.fusion_forms import _fit_weights, _others_and_left_out, family_of
from telltale.scores.calibration import Calibration, fused_kind, uncalibrated_verdict
from telltale.scores.verdicts import Verdict

MEMBERS = ("first", "second", "noise")
MACRO = ("fgsm", "pgd")


def draw(count: int, seed: int, errors: int = 30):
    """Two detectors that each notice one of two attacks, one that notices nothing; errors move the first alone."""
    draws = np.random.default_rng(seed)
    shifts = {"": (0.0, 0.0), "fgsm": (2.5, 0.0), "pgd": (0.0, 2.5)}
    attacks = np.repeat(list(shifts), count)
    scores = {
        name: np.exp(draws.normal(size=3 * count) + np.array([shifts[a][i] if i < 2 else 0.0 for a in attacks]))
        for i, name in enumerate(MEMBERS)
    }
    wrong = {name: np.exp(draws.normal(size=errors) + (-2.5 if i == 0 else 0.0)) for i, name in enumerate(MEMBERS)}
    labels = Labels(attacks != "", attacks, np.tile(np.arange(count), 3))
    return scores, labels, wrong


def fitted(errors: int = 30) -> Fusion:
    scores, labels, wrong = draw(200, 0, errors)
    return Fusion.fit(scores, labels, wrong, MACRO)[0]


def test_a_deviate_is_the_normal_quantile_of_the_mid_p_value() -> None:
    natural = np.array([1.0, 2.0, 2.0, 5.0])
    for value, above, equal in ((0.5, 4, 0), (1.0, 3, 1), (2.0, 1, 2), (3.0, 1, 0), (5.0, 0, 1)):
        expected = norm.isf((above + equal / 2 + 0.5) / 5)
        beyond = -np.log1p((1.0 - value) / natural.std()) if value < 1.0 else 0.0
        assert normal_score(natural, np.array([value]))[0] == pytest.approx(expected + beyond)


@settings(max_examples=60, deadline=None)
@given(
    arrays(np.float64, st.integers(1, 30), elements=st.floats(-1e6, 1e6)),
    arrays(np.float64, 20, elements=st.floats(-1e7, 1e7)),
)
def test_deviates_are_finite_and_never_fall_as_scores_rise(natural, values) -> None:
    found = normal_score(np.sort(natural), np.sort(values))
    assert np.isfinite(found).all()
    assert (np.diff(found) >= -1e-12).all()


def test_it_beats_every_member_where_each_sees_one_attack() -> None:
    scores, labels, _ = draw(300, 1)
    fused = fitted().combine(scores).attack

    def macro(values: np.ndarray) -> float:
        natural = labels.attacks == ""
        found = [
            roc_auc_score(labels.adversarial[natural | (labels.attacks == a)], values[natural | (labels.attacks == a)])
            for a in MACRO
        ]
        return float(np.mean(found))

    assert macro(fused) > max(macro(scores[name]) for name in MEMBERS) + 0.1


def test_a_surprise_is_fishers_term() -> None:
    fusion, (scores, _, _) = fitted(), draw(20, 2)
    for i, name in enumerate(MEMBERS):
        upper_tail = norm.sf(normal_score(fusion.natural[i], scores[name]))
        np.testing.assert_allclose(fusion.surprises(scores)[:, i], -np.log(upper_tail))


def test_one_known_attack_leaves_the_weights_alike_and_another_is_still_noticed() -> None:
    scores, labels, wrong = draw(300, 1)
    seen = np.flatnonzero(labels.attacks != "pgd")
    fusion, how = Fusion.fit({k: v[seen] for k, v in scores.items()}, labels.take(seen), wrong, MACRO)
    weights = fusion.weights["attack"][:-1]
    free = _fit_weights(fusion.surprises({k: v[seen] for k, v in scores.items()}), labels.take(seen), 1e9)[:-1]
    assert weights.std() < 0.01 * free.std()
    assert "single known family" in how
    unseen = np.flatnonzero(labels.attacks != "fgsm")
    fused = fusion.combine({k: v[unseen] for k, v in scores.items()}).attack
    assert roc_auc_score(labels.adversarial[unseen], fused) > 0.8


def test_an_attack_that_hardly_ever_succeeds_harms_nothing() -> None:
    scores, labels, wrong = draw(100, 11)
    kept = np.flatnonzero((labels.attacks != "pgd") | (labels.groups == 0))
    fusion, how = Fusion.fit({k: v[kept] for k, v in scores.items()}, labels.take(kept), wrong, MACRO)
    assert np.isfinite(fusion.weights["attack"]).all() and "whose family is left out" in how


def test_free_weights_are_those_of_plain_logistic_regression() -> None:
    scores, labels, _ = draw(300, 9)
    surprises = fitted().surprises(scores)[:, :2]
    oracle = LogisticRegression(C=1e9, l1_ratio=0.0, tol=1e-10, max_iter=10_000)
    oracle.fit(surprises, labels.adversarial, sample_weight=labels.balanced_weights())
    expected = np.append(oracle.coef_[0], oracle.intercept_)
    assert (expected[:2] > 0).all()
    np.testing.assert_allclose(_fit_weights(surprises, labels, 1e9), expected, rtol=1e-3)


def test_no_detectors_alarm_lowers_the_score() -> None:
    """A member whose scores fall under attack would get a negative weight from plain logistic regression."""
    scores, labels, _ = draw(200, 10)
    scores["noise"] = np.where(labels.adversarial, 0.5, 1.0) * scores["noise"]
    surprises = fitted().surprises(scores)
    oracle = LogisticRegression().fit(surprises, labels.adversarial, sample_weight=labels.balanced_weights())
    assert oracle.coef_[0, 2] < -0.1
    weights = _fit_weights(surprises, labels, 10.0)
    assert weights[2] == 0.0 and (weights[:2] > 0.0).all()


def test_contributions_and_a_constant_sum_to_the_score() -> None:
    scores, _, _ = draw(50, 2)
    found = fitted().combine(scores)
    constant = found.attack - found.contributions.sum(1)
    np.testing.assert_allclose(constant, constant[0], atol=1e-9)
    assert np.abs(found.contributions[:, 2]).mean() < 0.3 * np.abs(found.contributions[:, 0]).mean()


def test_what_natural_images_give_speaks_for_an_attack_as_much_as_against_one() -> None:
    fusion = Fusion.fit(*draw(2000, 0), MACRO)[0]
    scores, labels, _ = draw(4000, 3)
    found = fusion.combine(scores).contributions / fusion.weights["attack"][:-1]
    natural = found[~labels.adversarial]
    np.testing.assert_allclose(natural.mean(0), 0.0, atol=0.1)
    assert (natural.min(0) < -0.9).all(), "the calmest speak against it"
    assert found[labels.attacks == "fgsm", 0].mean() > 2.0


# --- trees that read both tails of the margin ---

FAMILY = ("low", "low_too", "high", "high_too")


def draw_margins(count: int, seed: int, attacks: tuple[str, ...] = FAMILY, errors: int = 60):
    """Attacks that leave too small or too large a margin, which no member's score tells."""
    draws = np.random.default_rng(seed)
    names = np.repeat(["", *attacks], count)
    shift = np.array([{"": 0.0, "l": -3.0, "h": 3.0}[name[:1]] for name in names])
    scores = {name: draws.normal(size=len(names)) for name in ("first", "confidence")}
    labels = Labels(names != "", names, np.tile(np.arange(count), 1 + len(attacks)))
    wrong = {name: draws.normal(size=errors) for name in scores}
    return scores, labels, wrong, (5.0 + shift + draws.normal(size=len(names)), 3.0 + draws.normal(size=errors))


def auc_of(values: np.ndarray, labels: Labels) -> float:
    return float(roc_auc_score(labels.adversarial, values))


def test_trees_see_what_no_sum_of_alarms_does() -> None:
    fusion, how = Fusion.fit(*draw_margins(150, 0)[:3], FAMILY, draw_margins(150, 0)[3])
    scores, labels, _, (margins, _) = draw_margins(200, 1)
    assert fusion.grown is not None and fusion.grown.share == 1.0 and "share of the trees 1" in how
    assert auc_of(fusion.surprises(scores).sum(1), labels) < 0.6
    assert auc_of(fusion.combine(scores, margins).attack, labels) > 0.95


def test_the_share_is_that_of_two_log_odds_and_the_parts_sum_to_the_score() -> None:
    fusion = Fusion.fit(*draw_margins(150, 0)[:3], FAMILY, draw_margins(150, 0)[3])[0]
    assert fusion.grown is not None
    half = dataclasses.replace(fusion, grown=dataclasses.replace(fusion.grown, share=0.5))
    sums = dataclasses.replace(fusion, grown=None)
    scores, labels, _, (margins, _) = draw_margins(50, 2)
    one, other, both = (part.combine(scores, margins) for part in (sums, fusion, half))
    np.testing.assert_allclose(both.attack, (one.attack + other.attack) / 2, atol=1e-12)
    for found in (one, other, both):
        constant = found.attack - found.contributions.sum(1)
        np.testing.assert_allclose(constant, constant[0], atol=1e-9)
    natural = other.contributions[~labels.adversarial]
    assert np.abs(natural.mean(0)).max() < 0.5 < np.abs(other.contributions[labels.adversarial, 1]).mean()


def test_more_surprise_of_a_member_never_speaks_for_a_natural_image() -> None:
    scores, labels, wrong, margins = draw_margins(150, 0)
    scores["first"] = np.where(labels.adversarial, -1.0, 1.0) * np.abs(scores["first"])  # alarms on natural images
    fusion = Fusion.fit(scores, labels, wrong, FAMILY, margins)[0]
    assert fusion.grown is not None
    calm = {name: np.zeros(60) for name in scores}
    rising = fusion.combine(calm | {"first": np.linspace(-3, 3, 60)}, np.full(60, 2.0)).attack
    assert (np.diff(rising) >= -1e-12).all()


@pytest.mark.parametrize("known", [FAMILY[:1], FAMILY[:3]])
def test_where_few_attacks_are_known_a_sum_is_all(known: tuple[str, ...]) -> None:
    scores, labels, wrong, margins = draw_margins(100, 3, known)
    fusion, how = Fusion.fit(scores, labels, wrong, FAMILY, margins)
    assert fusion.grown is None
    assert ("equal weights" if len(known) == 1 else "3 attacks of 3 families are too few for trees") in how


def test_relatives_of_one_attack_are_not_several_kinds() -> None:
    kin, others = ("bim", "pgd", "pgd_l2", "mifgsm"), ("fgsm", "pgd", "deepfool", "jsma")
    assert len({family_of(name) for name in kin}) == 1 and len({family_of(name) for name in others}) == 4
    draws = np.random.default_rng(12)
    for known, grown in ((kin, False), (others, True)):
        names = np.repeat(["", *known], 150)
        labels = Labels(names != "", names, np.tile(np.arange(150), 5))
        scores = {name: draws.normal(size=len(names)) for name in ("first", "confidence")}
        shift = np.where(labels.adversarial, np.where(labels.groups % 2, -3.0, 3.0), 0.0)
        margins = 5.0 + shift + draws.normal(size=len(names))
        none = {name: np.empty(0) for name in scores}
        fusion, how = Fusion.fit(scores, labels, none, known, (margins, np.empty(0)))
        assert (fusion.grown is not None) == grown, how


def test_a_left_out_attack_takes_its_family_with_it() -> None:
    names = np.repeat(["", "fgsm", "bim", "pgd"], 20)
    labels = Labels(names != "", names, np.tile(np.arange(20), 4))
    for others, judged in _others_and_left_out(labels, ("pgd",)):
        assert set(labels.attacks[others]) == {"", "fgsm"} and set(labels.attacks[judged]) == {"", "pgd"}
        assert not set(labels.groups[others]) & set(labels.groups[judged])


def test_margins_are_read_where_the_confidence_is_a_member_and_asked_for_then() -> None:
    scores, labels, wrong, margins = draw_margins(100, 4)
    fusion = Fusion.fit(scores, labels, wrong, FAMILY, margins)[0]
    with pytest.raises(InputError, match="also needs the scores of margin"):
        fusion.combine(scores)
    without = {"first": scores["first"]}
    plain, _ = Fusion.fit(without, labels, {"first": wrong["first"]}, FAMILY, margins)
    assert plain.margins is None and plain.grown is None
    np.testing.assert_array_equal(plain.combine(without, margins[0]).attack, plain.combine(without).attack)


def test_arrays_bring_trees_and_margins_back() -> None:
    scores, labels, wrong, margins = draw_margins(100, 5)
    fusion = Fusion.fit(scores, labels, wrong, FAMILY, margins)[0]
    again = Fusion.restore(fusion.members, fusion.arrays())
    fresh, _, _, (asked, _) = draw_margins(40, 6)
    for part in ("attack", "error", "contributions"):
        np.testing.assert_array_equal(
            getattr(again.combine(fresh, asked), part), getattr(fusion.combine(fresh, asked), part)
        )
    one = {name: values[7:8] for name, values in fresh.items()}
    assert again.combine(one, asked[7:8]).attack[0] == again.combine(fresh, asked).attack[7]


def test_errors_are_told_by_the_margin_alone_where_members_only_add_noise() -> None:
    draws = np.random.default_rng(7)
    usual, wrong = (
        np.c_[draws.normal(size=(n, 8)), draws.normal(shift, 1.0, n)] for n, shift in ((400, 0.0), (25, 2.5))
    )
    weights = fit_error_weights(usual, wrong, margins=True)
    assert (weights[:8] == 0.0).all() and weights[8] > 0.5
    balance = np.repeat([0.5 * 425 / 400, 0.5 * 425 / 25], [400, 25])
    fits = []
    for penalty in (0.01, 0.1, 1.0):
        oracle = LogisticRegression(C=penalty, l1_ratio=0.0, solver="newton-cholesky", tol=1e-10)
        oracle.fit(np.r_[usual, wrong][:, 8:], np.repeat([False, True], [400, 25]), sample_weight=balance)
        fits.append(np.append(oracle.coef_[0], oracle.intercept_))
    assert any(np.allclose(weights[8:], fit, rtol=1e-3) for fit in fits)


def test_errors_are_told_by_members_where_they_know() -> None:
    draws = np.random.default_rng(8)
    usual, wrong = (draws.normal(shift, 1.0, (n, 9)) for n, shift in ((400, 0.0), (80, 1.0)))
    weights = fit_error_weights(usual, wrong, margins=True)
    assert (weights[:4] > 0.1).all()


def test_an_order_preserving_change_of_scale_hardly_matters() -> None:
    scores, labels, wrong = draw(200, 0)
    logs = {name: np.log(values) for name, values in scores.items()}
    other = Fusion.fit(logs, labels, {name: np.log(values) for name, values in wrong.items()}, MACRO)[0]
    fresh = draw(100, 3)[0]
    ours = fitted().combine(fresh).attack
    theirs = other.combine({name: np.log(values) for name, values in fresh.items()}).attack
    assert spearmanr(ours, theirs).statistic > 0.98


def test_false_alarms_on_fresh_natural_images_keep_to_the_stated_rate() -> None:
    fusion = fitted()

    def natural(count: int, seed: int) -> np.ndarray:
        draws = np.random.default_rng(seed)
        return fusion.combine({name: np.exp(draws.normal(size=count)) for name in MEMBERS}).attack

    alarms = {alpha: 0 for alpha in (0.01, 0.05, 0.1)}
    for trial in range(200):  # the guarantee is an average over calibration sets
        calibration = Calibration.of(natural(199, 2 * trial))
        fresh = natural(50, 2 * trial + 1)
        for alpha in alarms:
            alarms[alpha] += int((fresh >= calibration.threshold(alpha)).sum())
    for alpha, count in alarms.items():
        # 200 sets of 50 images share calibrations, so their spread is that of about 200 * 50 / (1 + 50 / 200) images.
        low, high = binom.interval(0.999, 8000, alpha)
        assert low / 8000 <= count / 10_000 <= high / 8000


def test_one_image_is_combined_as_in_a_batch() -> None:
    scores, _, _ = draw(20, 4)
    together = fitted().combine(scores)
    for i in (0, 7, 41):
        alone = fitted().combine({name: values[i : i + 1] for name, values in scores.items()})
        assert alone.attack[0] == together.attack[i]
        assert alone.error is not None and together.error is not None
        assert alone.error[0] == together.error[i]


def test_what_is_stored_comes_back() -> None:
    fusion = fitted()
    again = Fusion.restore(MEMBERS, fusion.arrays())
    scores, _, _ = draw(20, 5)
    np.testing.assert_array_equal(again.combine(scores).attack, fusion.combine(scores).attack)


def test_errors_are_told_from_natural_images_and_from_attacks() -> None:
    scores, _, wrong = draw(300, 6, errors=300)
    errors, others = fitted().combine(wrong), fitted().combine(scores)
    assert errors.error is not None and others.error is not None
    natural = slice(0, 300)
    target = np.repeat([0, 1], 300)
    assert roc_auc_score(target, np.concatenate([others.error[natural], errors.error])) > 0.9


def test_with_few_errors_nothing_is_learned_about_them() -> None:
    assert fitted(errors=9).combine(draw(5, 7)[0]).error is None
    assert fitted(errors=10).combine(draw(5, 7)[0]).error is not None


def test_missing_scores_are_named() -> None:
    with pytest.raises(InputError, match=r"^The fused verdict also needs the scores of second, noise\.$"):
        fitted().combine({"first": np.zeros(1)})


def test_without_detectors_or_one_kind_of_image_there_is_no_fusion() -> None:
    scores, labels, wrong = draw(20, 8)
    natural = np.flatnonzero(~labels.adversarial)
    for some, which in (({}, labels), ({k: v[natural] for k, v in scores.items()}, labels.take(natural))):
        with pytest.raises(InputError, match=r"^A fused verdict needs detectors, natural images and adversarial "):
            Fusion.fit(some, which, wrong, MACRO)


def verdict(score: float, alarm: bool) -> Verdict:
    return Verdict("fused", score, 0.01 if alarm else 0.5, 0.0, alarm, 0.05, 20)


@pytest.mark.parametrize(
    ("attack", "error", "kind"),
    [
        (verdict(1, False), verdict(1, False), "natural"),
        (verdict(1, False), None, "natural"),
        (verdict(1, True), None, "adversarial"),
        (verdict(2, True), verdict(1, True), "adversarial"),
        (verdict(1, True), verdict(2, True), "error"),
        (verdict(1, True), verdict(2, False), "adversarial"),
        (verdict(1, False), verdict(0, True), "error"),
        (uncalibrated_verdict("fused", 1.0, 0.05), verdict(1, True), "uncalibrated"),
    ],
)
def test_the_larger_odds_decide_between_attack_and_error(attack, error, kind) -> None:
    assert fused_kind(attack, error) == kind
