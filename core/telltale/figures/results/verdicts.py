"""Likeliest classes and verdicts of the images that are shown."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from telltale.analysis import reading
from telltale.analysis.results import Analysis
from telltale.figures import bars, palette
from telltale.figures.results.shown import Shown
from telltale.figures.verdicts import p_values
from telltale.scores.titles import detector_title

SHOWN_CLASSES = 3


def top_classes(analysis: Analysis, class_names: Sequence[str], colour: str) -> go.Figure:
    """Return the likeliest classes of one image."""
    likeliest = reading.top_classes(analysis.prediction, SHOWN_CLASSES)
    return bars.top_classes([class_names[c] for c, _ in likeliest], [share for _, share in likeliest], colour)


def verdict_rows(shown: Shown) -> go.Figure:
    """Return every detector's p-value for each image, the fused verdict on top."""
    first = shown[0][1]
    names = [verdict.detector for verdict in first.verdicts]
    if first.fused is not None:
        names.insert(0, first.fused.attack.detector)
    images = [
        (
            name,
            [analysis.verdict(detector).p_value for detector in names],
            palette.IMAGE_COLOURS[name],
            palette.IMAGE_SYMBOLS[name],
        )
        for name, analysis in shown
    ]
    return p_values([detector_title(name) for name in names], images, first.verdicts[0].alpha)
