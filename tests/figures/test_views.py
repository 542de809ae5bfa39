"""Small computations behind the pages, against brute force."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from scipy.integrate import trapezoid

from telltale.analysis import reading
from telltale.analysis.results import Prediction
from telltale.base import changes
from telltale.figures import curves
from telltale.figures.points import evenly, positions_of, shared_ids
from telltale.scores import metrics, table
from telltale.scores.verdicts import Verdict


def verdict(answer: bool | None) -> Verdict:
    return Verdict("d", 0.0, None, None, answer, 0.05, 0)


def test_pivot_distances_leave_out_both_named_classes() -> None:
    table = np.array([[1.0, 9.0, 3.0, 4.0], [5.0, -9.0, 7.0, 8.0]])
    found = reading.pivot_distances(table, 0, 1)
    assert found.own.tolist() == [1, 5] and found.rival.tolist() == [9, -9]
    assert found.low.tolist() == [3, 7] and found.high.tolist() == [4, 8]


def test_two_classes_leave_a_band_over_themselves() -> None:
    found = reading.pivot_distances(np.array([[1.0, 2.0]]), 0, 1)
    assert (found.low[0], found.high[0]) == (1.0, 2.0)


@pytest.mark.parametrize(("similarity", "expected"), [(False, 2), (True, 1)])
def test_nearest_other(similarity: bool, expected: int) -> None:
    assert reading.nearest_other(np.array([[0.1, 9.0, 3.0]]), 0, similarity) == expected


def test_gain_never_clips_where_a_smaller_one_does_not() -> None:
    assert changes.sensible_gain(0.1, (1, 2, 5, 10, 20)) == 10
    assert changes.sensible_gain(0.0, (1, 2, 5)) == 5
    assert changes.sensible_gain(2.0, (1, 2, 5)) == 1


def test_amplified_change_is_grey_where_nothing_changed() -> None:
    change = np.array([[[0.0, 0.1, -0.1, 1.0]]], np.float32)
    assert changes.amplified(change, 5.0).ravel().tolist() == pytest.approx([0.5, 0.75, 0.25, 1.0])


@pytest.mark.parametrize(("strength", "expected"), [(0.0, 0.2), (0.5, 0.5), (1.0, 0.8), (1.5, 1.0)])
def test_scaled_perturbation(strength: float, expected: float) -> None:
    image = changes.scaled(np.full((1, 1, 1), 0.2, np.float32), np.full((1, 1, 1), 0.8, np.float32), strength)
    assert float(image[0, 0, 0]) == pytest.approx(round(255 * expected) / 255, abs=1 / 255)


@pytest.mark.parametrize(
    ("labels", "expected"), [([1, 1, 2, 2], 2), ([1, 2, 1, 2], 3), ([1, 2, 1], None), ([1, 1], None)]
)
def test_first_lasting_change(labels: list[int], expected: int | None) -> None:
    assert reading.first_lasting_change(labels) == expected


def test_uncalibrated_detectors_are_not_counted() -> None:
    assert reading.count_noticing([verdict(True), verdict(False), verdict(None)]) == (1, 2)


def test_top_classes_descend() -> None:
    prediction = Prediction(1, "b", 0.6, np.array([0.3, 0.6, 0.1]))
    assert reading.top_classes(prediction, 2) == ((1, 0.6), (0, 0.3))


def test_positions_of_ids_in_any_order() -> None:
    reference = np.array([40, 10, 30], dtype=np.int64)
    assert positions_of(np.array([30, 99, 40, 10]), reference).tolist() == [2, 0, 1]


def test_shared_ids_keep_the_first_order() -> None:
    assert shared_ids(np.array([5, 1, 3]), np.array([3, 5])).tolist() == [5, 3]


def test_density_curve_integrates_to_one() -> None:
    position, density = curves.density_curve(np.random.default_rng(0).normal(size=400))
    assert np.trapezoid(density, position) == pytest.approx(1.0, abs=0.03)


@pytest.mark.parametrize("values", [[], [1.0], [2.0, 2.0], [np.nan, 3.0]])
def test_density_curve_of_next_to_nothing_is_finite(values: list[float]) -> None:
    position, density = curves.density_curve(np.array(values))
    assert np.isfinite(position).all() and np.isfinite(density).all()


def test_ellipse_lies_two_deviations_away() -> None:
    covariance = np.array([[2.0, 0.6], [0.6, 1.0]])
    outline = curves.ellipse([3.0, -1.0], covariance) - np.array([3.0, -1.0])
    distances = np.sqrt(np.einsum("ni,ij,nj->n", outline, np.linalg.inv(covariance), outline))
    assert distances == pytest.approx(np.full(len(outline), 2.0))


@pytest.fixture
def scores() -> pa.Table:
    columns = ["image_id", "split", "kind", "attack", "label", "linf", "l2", "score_x"]
    rows = [
        (1, "test", "natural", "", 0, 0.0, 0.0, 0.1),
        (2, "test", "natural", "", 1, 0.0, 0.0, 0.2),
        (3, "fit", "natural", "", 1, 0.0, 0.0, 0.3),
        (1, "test", "adversarial", "pgd", 0, 0.1, 1.0, 0.9),
        (2, "test", "failed", "pgd", 1, 0.1, 1.0, 0.4),
        (1, "test", "adversarial", "fgsm", 0, 0.3, 3.0, float("nan")),
    ]
    return pa.Table.from_pylist([dict(zip(columns, row, strict=True)) for row in rows])


def test_select_scores(scores: pa.Table) -> None:
    assert table.select_scores(scores, "score_x", "natural").values.tolist() == [0.1, 0.2]
    chosen = table.select_scores(scores, "score_x", "adversarial")
    assert (chosen.values.tolist(), chosen.ids.tolist()) == ([0.9], [1])
    assert len(table.select_scores(scores, "score_x", "adversarial", attack="fgsm")) == 0


def test_the_most_usual_natural_image_comes_first() -> None:
    names = ["image_id", "split", "kind", "label", "score_x", "score_y"]
    rows = [
        (1, "test", "natural", 0, 0.1, 9.0),  # odd to one detector
        (2, "test", "natural", 0, 0.2, 2.0),
        (3, "test", "natural", 1, 0.9, 1.0),  # odd to the other
        (4, "test", "natural", 1, 0.3, 3.0),
        (5, "test", "natural_error", 1, 0.0, 0.0),
    ]
    table = pa.Table.from_pylist([dict(zip(names, row, strict=True)) for row in rows])
    assert table.natural_test_ids(table).tolist() == [2, 4, 1, 3]
    assert table.natural_test_ids(table, label=1).tolist() == [4, 3]


def test_natural_test_ids(scores: pa.Table) -> None:
    assert table.natural_test_ids(scores).tolist() == [1, 2]
    assert table.natural_test_ids(scores, label=1).tolist() == [2]
    assert sorted(table.draw_test_ids(scores, 2, seed=0).tolist()) == [1, 2]


def test_success_counts_failures(scores: pa.Table) -> None:
    pgd, fgsm = table.success_rows(scores)
    assert (pgd.attack, pgd.tried, pgd.succeeded, pgd.rate, pgd.median_l2) == ("pgd", 2, 1, 0.5, 1.0)
    assert fgsm.rate == 1.0


def test_share_at_least() -> None:
    assert table.share_at_least(np.array([1.0, 2.0, 3.0]), 2.0) == pytest.approx(2 / 3)
    assert np.isnan(table.share_at_least(np.empty(0), 2.0))


def test_signed_log_is_odd_and_keeps_order() -> None:
    values = np.array([-1000.0, -1.0, 0.0, 0.5, 99.0])
    shown = curves.signed_log(values)
    assert shown.tolist() == sorted(shown.tolist())
    assert curves.signed_log(-values).tolist() == pytest.approx((-shown).tolist())
    assert curves.signed_log(99.0) == pytest.approx(2.0)


def test_log_limits_ignore_what_a_logarithm_cannot_hold() -> None:
    low, high = curves.log_limits(np.array([[0.0, 0.1]]), np.array([[100.0]]))
    assert low < -1.0 and high > 2.0
    assert curves.log_limits(np.zeros(3)) == (-1.0, 1.0)


def test_what_a_chart_cannot_tell_apart_is_left_out_and_nothing_else() -> None:
    draws = np.random.default_rng(0)
    curve = metrics.roc_curve(draws.normal(0, 1, 9000), draws.normal(1, 1, 4000))
    kept = curves.distinguishable(curve.fpr, curve.tpr, steps=200)
    assert kept[0] == 0 and kept[-1] == len(curve.fpr) - 1 and len(kept) < 0.05 * len(curve.fpr)
    before = kept[np.searchsorted(kept, np.arange(len(curve.fpr)), side="right") - 1]
    for values in (curve.fpr, curve.tpr):
        assert np.abs(values - values[before]).max() <= 1 / 200
        assert (np.diff(values[kept]) >= 0).all()
    areas = trapezoid(curve.tpr[kept], curve.fpr[kept]), trapezoid(curve.tpr, curve.fpr)
    assert abs(areas[0] - areas[1]) < 1 / 200
    coarse = np.linspace(0.0, 1.0, 50)
    assert curves.distinguishable(coarse, coarse**2, steps=200).tolist() == list(range(50))
    assert curves.distinguishable(np.zeros(5), steps=200).tolist() == [0, 4]


def test_corners_draw_the_same_line() -> None:
    rng = np.random.default_rng(0)
    curve = metrics.roc_curve(rng.normal(0, 1, 400), np.round(rng.normal(1, 1, 60), 1))
    kept = curves.corners(curve.fpr, curve.tpr)
    assert len(kept) < 0.5 * len(curve.fpr)
    assert trapezoid(curve.tpr[kept], curve.fpr[kept]) == pytest.approx(trapezoid(curve.tpr, curve.fpr), abs=1e-12)
    inner = curve.tpr[1:-1] - np.interp(curve.fpr[1:-1], curve.fpr[kept], curve.tpr[kept])
    upright = np.isin(curve.fpr[1:-1], curve.fpr[kept])  # several heights at one place
    assert np.abs(inner[~upright]).max() < 1e-12
    assert curves.corners(np.array([0.0, 1.0]), np.array([0.0, 1.0])).tolist() == [0, 1]


@pytest.mark.parametrize(("count", "most"), [(0, 5), (3, 5), (5, 5), (49_000, 10_000), (10_001, 10_000)])
def test_evenly_spaced_rows_are_in_order_and_as_many_as_allowed(count, most) -> None:
    rows = evenly(count, most)
    assert len(rows) == min(count, most)
    assert len(set(rows.tolist())) == len(rows) and (np.diff(rows) > 0).all()
    assert count <= most or np.diff(rows).max() - np.diff(rows).min() <= 1
