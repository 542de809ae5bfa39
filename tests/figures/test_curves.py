"""What lies behind drawn curves, against closed forms and integration."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import trapezoid

from telltale.figures import curves
from telltale.scores import metrics


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
