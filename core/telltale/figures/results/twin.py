"""What two networks make of the same image: both probabilities of every class that either thinks possible."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from telltale.figures import palette
from telltale.figures.base import beside, styled
from telltale.figures.results.shown import Shown
from telltale.kinds.twin import TwinView

MOST = 6  # classes
LEAST = 0.005  # probability, below which no bar can be seen
FIRST, SECOND = "classifier", "second network"


def opinions(shown: Shown, class_names: Sequence[str]) -> go.Figure:
    """Return bars: each image's probabilities by the classifier, full, and by its twin, hatched."""
    figure = go.Figure()
    classes = _classes([view for _, analysis in shown for view in [analysis.view(TwinView)]])
    names = [class_names[c] for c in classes]
    for name, analysis in shown:
        view, colour = analysis.view(TwinView), palette.IMAGE_COLOURS[name]
        for who, probabilities, pattern in (
            (FIRST, view.probabilities, ""),
            (SECOND, view.twin_probabilities, "/"),
        ):
            figure.add_bar(
                name=f"{name}, {who}",
                y=names,
                x=probabilities[classes],
                orientation="h",
                marker={"color": colour, "pattern": {"shape": pattern, "fgcolor": colour, "fillmode": "replace"}},
                hovertemplate=f"%{{y}}: %{{x:.1%}}<extra>{name}, {who}</extra>",
            )
    styled(figure, height=140 + 30 * len(names) * len(shown), x="probability", left=beside(names))
    figure.update_layout(barmode="group")
    figure.update_xaxes(range=[0, 1], tickformat=".0%")
    figure.update_yaxes(autorange="reversed")
    return figure


def _classes(views: Sequence[TwinView]) -> list[int]:
    """Return the classes that any network thinks possible of any image, the likeliest first."""
    largest = np.max([part for view in views for part in (view.probabilities, view.twin_probabilities)], axis=0)
    order = np.argsort(-largest, kind="stable")[:MOST]
    return [int(c) for i, c in enumerate(order) if i == 0 or largest[c] >= LEAST]
