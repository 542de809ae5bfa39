"""The bootstrap against explicit resampling in loops, scikit-learn's curves and a closed form."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score
from sklearn.metrics import roc_curve as sklearn_roc_curve

from telltale.base.errors import InputError
from telltale.scores import resampling
from telltale.scores.metrics import tpr_at_fpr
from telltale.scores.resampling import Draw, draw_apart, draw_together, interval, resample

RATES = (0.0, 0.01, 0.05, 0.1, 0.5, 1.0)


def explicit(natural, adversarial, drawn_natural, drawn_adversarial):
    """Measure one resample as its definition says: repeat what was drawn, and read scikit-learn's curve."""
    clean, attacked = np.repeat(natural, drawn_natural), np.repeat(adversarial, drawn_adversarial)
    labels = np.r_[np.zeros(len(clean)), np.ones(len(attacked))]
    fpr, tpr, _ = sklearn_roc_curve(labels, np.r_[clean, attacked], drop_intermediate=False)
    return roc_auc_score(labels, np.r_[clean, attacked]), [tpr[fpr <= rate].max() for rate in RATES]


def images(seed: int, tied: bool):
    """Draw natural scores of 40 images, and of versions of some of them by two attacks, one with twins."""
    rng = np.random.default_rng(seed)
    natural = rng.normal(0, 1, 40)
    ids = rng.permutation(40) + 100
    groups = [rng.choice(ids, 25, replace=False), np.tile(rng.choice(ids, 9, replace=False), 2)]
    scores = [rng.normal(1, 1, len(group)) for group in groups]
    if tied:
        natural, scores = np.round(2 * natural) / 2, [np.round(2 * values) / 2 for values in scores]
    return natural, ids, scores, groups


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("seed", range(2))
def test_resamples_are_those_of_explicit_loops_with_the_same_draws(seed, tied) -> None:
    natural, ids, scores, groups = images(seed, tied)
    draw = draw_together(ids, groups, seed, 30)
    found = resample(natural, scores, draw, RATES)
    for values, drawn, resampled in zip(scores, draw.groups, found, strict=True):
        for b in range(30):
            area, rates = explicit(natural, values, draw.natural[:, b], drawn[:, b])
            assert resampled.auc[b] == pytest.approx(area, abs=1e-12)
            assert [resampled.tpr[rate][b] for rate in RATES] == pytest.approx(rates, abs=1e-12)


def test_an_image_is_drawn_with_all_its_versions_as_often_as_chance_says() -> None:
    _, ids, _, groups = images(0, False)
    draw = draw_together(ids, groups, 1, 2000)
    place = {int(image): row for row, image in enumerate(ids)}
    for group, drawn in zip(groups, draw.groups, strict=True):
        np.testing.assert_array_equal(drawn, draw.natural[[place[int(image)] for image in group]])
    assert (draw.natural.sum(axis=0) == 40).all()
    expected = stats.binom.pmf(np.arange(4), 40, 1 / 40)
    np.testing.assert_allclose([(draw.natural == count).mean() for count in range(4)], expected, atol=0.01)


def test_images_outside_the_natural_ones_are_drawn_too_and_an_empty_side_gives_no_answer() -> None:
    draw = draw_together([1], [[2]], 0, 200)
    found = resample(np.array([0.0]), [np.array([1.0])], draw, RATES)[0]
    both = (draw.natural[0] > 0) & (draw.groups[0][0] > 0)
    assert 0 < both.sum() < 200
    np.testing.assert_array_equal(np.isnan(found.auc), ~both)
    np.testing.assert_array_equal(np.isnan(found.tpr[0.05]), ~both)
    with pytest.raises(InputError, match="too few images"):
        interval(np.full(3, np.nan))


def test_neither_other_groups_nor_memory_nor_order_change_a_resample(monkeypatch) -> None:
    natural, ids, scores, groups = images(2, True)
    draw = draw_together(ids, groups, 3, 50)
    whole = resample(natural, scores, draw, RATES)
    alone = resample(natural, scores[1:], draw_together(ids, groups[1:], 3, 50), RATES)[0]
    np.testing.assert_array_equal(alone.auc, whole[1].auc)
    shuffled = np.random.default_rng(0).permutation(40)
    moved = resample(natural[shuffled], scores, draw_together(ids[shuffled], groups, 3, 50), RATES)
    np.testing.assert_array_equal(moved[0].tpr[0.05], whole[0].tpr[0.05])
    monkeypatch.setattr(resampling, "CELLS", 7 * 40)
    resampling._counts.cache_clear()
    chunked = resample(natural, scores, draw_together(ids, groups, 3, 50), RATES)
    for one, other in zip(whole, chunked, strict=True):
        np.testing.assert_array_equal(one.auc, other.auc)
        np.testing.assert_array_equal(one.tpr[0.1], other.tpr[0.1])


def test_sets_drawn_apart_keep_their_sizes_and_have_the_distribution_of_an_explicit_bootstrap() -> None:
    rng = np.random.default_rng(3)
    natural, adversarial = np.round(rng.normal(0, 1, 40)), np.round(rng.normal(1, 1, 25))
    draw = draw_apart(40, 25, 1, 2000)
    assert (draw.natural.sum(axis=0) == 40).all() and (draw.groups[0].sum(axis=0) == 25).all()
    ours = resample(natural, [adversarial], draw, RATES)[0].auc
    loops = []
    for _ in range(400):
        clean, attacked = rng.choice(natural, 40), rng.choice(adversarial, 25)
        loops.append(roc_auc_score(np.r_[np.zeros(40), np.ones(25)], np.r_[clean, attacked]))
    assert stats.ks_2samp(ours, loops).pvalue > 1e-3
    assert ours.std() == pytest.approx(np.std(loops), rel=0.2)


def test_paired_images_move_together() -> None:
    rng = np.random.default_rng(4)
    shift = rng.normal(0, 2, 30)
    natural, groups = shift + rng.normal(0, 0.3, 30), np.repeat(np.arange(30), 2)
    adversarial = shift[groups] + rng.normal(0.7, 0.3, 60)
    together = resample(natural, [adversarial], draw_together(np.arange(30), [groups], 1, 2000), RATES)[0].auc
    apart = resample(natural, [adversarial], draw_apart(30, 60, 1, 2000), RATES)[0].auc
    # Resampling them apart would claim far more doubt than there is.
    assert together.std() < 0.7 * apart.std()


def test_the_interval_of_a_rate_is_binomial_where_the_threshold_is_certain() -> None:
    # All natural scores are equal, so every resample has the same threshold, and catches are a binomial count.
    adversarial = np.repeat([1.0, -1.0], [70, 30])
    rate = resample(np.zeros(50), [adversarial], draw_apart(50, 100, 0, 20_000), [0.05])[0].tpr[0.05]
    expected = stats.binom.ppf([0.025, 0.975], 100, 0.7) / 100
    assert interval(rate) == pytest.approx(expected, abs=0.0101)
    assert rate.mean() == pytest.approx(0.7, abs=2e-3) and rate.std() == pytest.approx(np.sqrt(0.21 / 100), rel=0.03)


@pytest.mark.parametrize("n", [3, 49, 100, 300])
def test_a_rate_that_is_met_exactly_counts_as_met_as_for_the_images_themselves(n) -> None:
    rng = np.random.default_rng(n)
    natural, adversarial = rng.normal(0, 1, n), rng.normal(0.5, 1, 200)
    rates = [k / n for k in range(n + 1)] + [0.29, 0.57, 0.58]  # 0.29 * 100 is a float below 29
    rates += [float(np.nextafter(k / n, 0.0)) for k in range(1, n)]  # one k less, though times n it rounds to k
    once = Draw(np.ones((n, 1), dtype=np.uint16), (np.ones((200, 1), dtype=np.uint16),))
    found = resample(natural, [adversarial], once, rates)[0]
    assert [found.tpr[rate][0] for rate in rates] == [tpr_at_fpr(natural, adversarial, rate) for rate in rates]
