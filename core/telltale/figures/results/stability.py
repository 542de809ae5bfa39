"""What small movements do to the predicted class's lead: one place per transform, each image's own lead beside it."""

from __future__ import annotations

import plotly.graph_objects as go

from telltale.figures import palette
from telltale.figures.base import beside, styled
from telltale.figures.results.shown import Shown
from telltale.kinds.stability import StabilityView

UNMOVED = "as it is"
LOST = "another class wins"


def transformed_margins(shown: Shown) -> go.Figure:
    """Return the margin of each image's predicted class as it is and after each transform.

    A dotted line carries the unmoved image's margin across; below zero the image moved is read as another class. A
    transform that does not count for the image's class is an open marker.
    """
    figure = go.Figure()
    for name, analysis in shown:
        view, colour, symbol = analysis.view(StabilityView), palette.IMAGE_COLOURS[name], palette.IMAGE_SYMBOLS[name]
        places = [UNMOVED, *view.margins]
        counted = [place == UNMOVED or place in view.counted for place in places]
        figure.add_scatter(
            x=[places[0], places[-1]],
            y=[view.margin] * 2,
            mode="lines",
            line={"color": colour, "width": 1.5, "dash": "dot"},
            hoverinfo="skip",
            showlegend=False,
        )
        figure.add_scatter(
            name=name,
            x=places,
            y=[view.margin, *view.margins.values()],
            mode="markers",
            marker={
                "symbol": [symbol if counts else f"{symbol}-open" for counts in counted],
                "size": 12,
                "color": colour,
                "line": {"width": 2, "color": colour},
            },
            hovertemplate="%{x}: margin %{y:.2f}<extra>" + name + "</extra>",
        )
    styled(figure, height=320, x="moved by one pixel, or mirrored", y="margin, logits", left=beside(["−100"]))
    figure.add_hline(y=0.0, line={"color": palette.NEUTRAL, "width": 1.5})
    figure.add_annotation(
        text=LOST, x=0.0, xref="paper", xanchor="left", y=0.0, yanchor="top", showarrow=False, font={"size": 12}
    )
    figure.update_xaxes(type="category", categoryorder="array", categoryarray=places)
    return figure
