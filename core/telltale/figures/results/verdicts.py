"""Likeliest classes and verdicts of the images that are shown."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from telltale.analysis import reading
from telltale.analysis.results import Analysis
from telltale.figures import bars, palette
from telltale.figures import verdicts as rows
from telltale.figures.results.shown import Shown
from telltale.scores.titles import detector_title, verdict_figures

SHOWN_CLASSES = 3


def top_classes(analysis: Analysis, class_names: Sequence[str], colour: str) -> go.Figure:
    """Return the likeliest classes of one image."""
    likeliest = reading.top_classes(analysis.prediction, SHOWN_CLASSES)
    return bars.top_classes([class_names[c] for c, _ in likeliest], [share for _, share in likeliest], colour)


def verdict_rows(shown: Shown, others: Sequence[tuple[str, str, Analysis]] = ()) -> go.Figure:
    """Return every detector's p-value for each image, and beside the rows what moved the last image's fused verdict.

    The fused verdict stands on top.

    Parameters
    ----------
    shown : Shown
    others : sequence of (letter, name, Analysis)
        Images to compare with, perhaps of other models: a detector that these lack has no letter in its row.
    """
    first, last = shown[0][1], shown[-1][1]
    names = [verdict.detector for verdict in first.verdicts]
    moved = None
    if last.fused is not None:
        moved = [None, *(last.fused.contributions.get(name) for name in names)]
        names.insert(0, last.fused.attack.detector)
    images = [
        rows.Marks(
            name,
            [analysis.verdict(detector).p_value for detector in names],
            [verdict_figures(analysis.verdict(detector)) for detector in names],
            palette.IMAGE_COLOURS[name],
            palette.IMAGE_SYMBOLS[name],
        )
        for name, analysis in shown
    ]
    titles, alpha = [detector_title(name) for name in names], first.verdicts[0].alpha
    return rows.verdict_rows(titles, images, alpha, moved, [_lettered(*other, names) for other in others])


def _lettered(letter: str, name: str, analysis: Analysis, detectors: Sequence[str]) -> rows.Marks:
    known = {verdict.detector: verdict for verdict in analysis.verdicts}
    if analysis.fused is not None:
        known[analysis.fused.attack.detector] = analysis.fused.attack
    found = [known.get(detector) for detector in detectors]
    return rows.Marks(
        f"{letter}: {name}",
        [None if verdict is None else verdict.p_value for verdict in found],
        ["" if verdict is None else verdict_figures(verdict) for verdict in found],
        palette.NEUTRAL,
        letter,
    )
