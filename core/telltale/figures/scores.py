"""Scores with their intervals, one line each: which method foretells how much."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

from telltale.figures import palette
from telltale.figures.base import beside, styled

LINE, AROUND = 30, 80  # pixels: one score, and what stands above and below all of them


@dataclass(frozen=True)
class Score:
    """One score with its interval.

    Attributes
    ----------
    name : str
    value, low, high : float
    ours : bool
        Whether it is what the page itself shows: another colour and shape.
    """

    name: str
    value: float
    low: float
    high: float
    ours: bool = False


def score_lines(scores: Sequence[Score], x: str, most: float | None = None) -> go.Figure:
    """Return one point with its interval per score, the first on top, and a dashed line at the most that is possible.

    Parameters
    ----------
    scores : sequence of Score
    x : str
        Axis title.
    most : float, optional
    """
    figure = go.Figure()
    for score in scores:
        colour = palette.ATTACKED if score.ours else palette.NATURAL
        figure.add_scatter(
            x=[score.value],
            y=[f"{score.name} "],
            mode="markers",
            marker={"size": 11, "color": colour, "symbol": "diamond" if score.ours else "circle"},
            error_x={
                "array": [score.high - score.value],
                "arrayminus": [score.value - score.low],
                "color": colour,
                "thickness": 2,
                "width": 4,
            },
            hovertemplate=f"{score.name}: %{{x:.2f}} ({score.low:.2f} to {score.high:.2f})<extra></extra>",
        )
    figure.add_vline(x=0.0, line={"color": palette.NEUTRAL, "width": 1})
    if most is not None:
        figure.add_vline(
            x=most,
            line={"color": palette.NEUTRAL, "width": 2, "dash": "dash"},
            annotation={"text": f"most possible {most:.2f}", "yanchor": "bottom"},
            annotation_position="top left",
        )
    names = [score.name for score in scores]
    styled(figure, AROUND + LINE * len(scores), x=x, legend=0, left=beside(names, title=False), top=24)
    figure.update_yaxes(autorange="reversed", type="category", showgrid=False)
    return figure
