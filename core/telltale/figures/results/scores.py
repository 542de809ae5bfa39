"""ROC curves, score densities and operating points of stored scores, with the current images marked."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go

from telltale.figures import curves, palette, roc
from telltale.figures.maps import distributions
from telltale.figures.results.shown import Shown, mark_name
from telltale.scores import metrics
from telltale.scores.contests import Contest, opponent_title
from telltale.scores.controls import CONTROLS
from telltale.scores.titles import detector_title, percent

Doubles = npt.NDArray[np.float64]


def areas_of(contests: Sequence[Contest]) -> list[float]:
    """Return the area under each contest's ROC curve."""
    return [metrics.auc(item.natural.values, item.adversarial.values) for item in contests]


def roc_curves(
    contests: Sequence[Contest], areas: Sequence[float], chosen: Contest, shown: Shown, logarithmic: bool
) -> go.Figure:
    """Return one ROC curve per contest; operating point and images on the chosen one.

    Of detectors, only the chosen curve, the best one and the best control's stand in the legend; the others are thin
    and grey, and say their names when they are pointed at.

    Parameters
    ----------
    contests : sequence of Contest
        Named by their attack where they share the detector, else by their detector.
    areas : sequence of float
        `areas_of` them, from the caller, who may have them already.
    chosen : Contest
    shown : Shown
        Empty marks nothing.
    logarithmic : bool
        Whether the false-positive axis is logarithmic.
    """
    one_detector = len({item.detector for item in contests}) == 1
    curves = []
    for item, area in zip(contests, areas, strict=True):
        curve = metrics.roc_curve(item.natural.values, item.adversarial.values)
        label = opponent_title(item.attack) if one_detector else detector_title(item.detector)
        curves.append((f"{label} {area:.3f}", *_drawn(curve, logarithmic, 1.0 / len(chosen.natural))))
    ranks = np.argsort(np.argsort(-np.asarray(areas), kind="stable")).tolist()
    strong = next((i for i, item in enumerate(contests) if _same(item, chosen)), None)
    named = {strong, _best(areas, range(len(contests)))}
    named.add(_best(areas, [i for i, item in enumerate(contests) if item.detector in CONTROLS]))
    muted = [] if one_detector else [i for i in range(len(contests)) if i not in named]
    least = 1.0 / len(chosen.natural)
    return roc.roc_curves(curves, _marks(chosen, shown), logarithmic, least, ranks, strong, muted)


def _best(areas: Sequence[float], indices: Sequence[int]) -> int | None:
    return max(indices, key=lambda index: areas[index], default=None)


def _drawn(curve: metrics.RocCurve, logarithmic: bool, least: float) -> tuple[Doubles, Doubles]:
    """Return the rates of a curve at as many points as can be told apart; a browser takes long to draw thousands."""
    turns = curves.corners(curve.fpr, curve.tpr)
    fpr, tpr = curve.fpr[turns], curve.tpr[turns]
    chosen = curves.distinguishable(np.log10(np.maximum(fpr, least)) if logarithmic else fpr, tpr)
    return fpr[chosen], tpr[chosen]


def _same(one: Contest, other: Contest) -> bool:
    return (one.detector, one.attack) == (other.detector, other.attack)


def _marks(chosen: Contest, shown: Shown) -> list[tuple[str, float, float, str, str]]:
    marks = []
    for name, analysis in shown:
        score = analysis.verdict(chosen.detector).score
        colour, symbol = palette.IMAGE_COLOURS[name], palette.MAP_SYMBOLS[name]
        marks.append((mark_name(name), *chosen.rates(score), colour, symbol))
    if shown:
        verdict = shown[0][1].verdict(chosen.detector)
        if verdict.threshold is not None:
            name = f"operating point, α {percent(verdict.alpha)}"
            marks.append((name, *chosen.rates(verdict.threshold), palette.NEUTRAL, "circle"))
    return marks


def score_densities(chosen: Contest, shown: Shown) -> go.Figure:
    """Return the densities of natural and adversarial scores with the threshold and each image's score."""
    groups = [
        ("natural", *curves.density_curve(chosen.natural.values), palette.NATURAL),
        (opponent_title(chosen.attack), *curves.density_curve(chosen.adversarial.values), palette.ATTACKED),
    ]
    marks = [
        (
            mark_name(name),
            analysis.verdict(chosen.detector).score,
            palette.IMAGE_COLOURS[name],
            palette.IMAGE_SYMBOLS[name],
        )
        for name, analysis in shown
    ]
    return distributions(groups, marks, "score", threshold_of(chosen, shown), legend=2)


def rates_against_threshold(chosen: Contest, shown: Shown) -> go.Figure:
    """Return catches and false alarms against the threshold, the calibrated one marked."""
    curve = metrics.roc_curve(chosen.natural.values, chosen.adversarial.values)
    thresholds, tpr, fpr = curve.thresholds[1:], curve.tpr[1:], curve.fpr[1:]  # the first threshold is infinite
    drawn = curves.distinguishable(thresholds, tpr, fpr)
    return roc.rates_against_threshold(thresholds[drawn], tpr[drawn], fpr[drawn], threshold_of(chosen, shown))


def threshold_of(chosen: Contest, shown: Shown) -> float | None:
    """Return the calibrated threshold behind the images' verdicts; None without images or calibration."""
    return shown[0][1].verdict(chosen.detector).threshold if shown else None
