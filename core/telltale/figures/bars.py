"""Bars with words: class probabilities and neighbour votes."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from telltale.figures import palette
from telltale.figures.base import BARE, beside, styled


def top_classes(names: Sequence[str], shares: Sequence[float], colour: str) -> go.Figure:
    """Return horizontal bars of the likeliest classes, the likeliest on top.

    Parameters
    ----------
    names, shares : sequences of the same length
        Class names and probabilities in [0, 1], in descending order.
    colour : str
    """
    figure = go.Figure(
        go.Bar(
            x=[100 * share for share in shares],
            y=[f"{name} " for name in names],
            orientation="h",
            text=[f"{share:.1%}" for share in shares],
            textposition="auto",
            marker={"color": [colour] + [palette.NEUTRAL] * (len(names) - 1)},
            hovertemplate="%{y}: %{x:.2f} %<extra></extra>",
        )
    )
    styled(figure, 12 + 28 * len(names), legend=0, left=beside(names, title=False), bottom=BARE)
    figure.layout.xaxis.update(range=[0, 112], visible=False)
    figure.layout.yaxis.update(autorange="reversed", type="category", showgrid=False)
    return figure


def class_bars(
    names: Sequence[str], groups: Sequence[tuple[str, Sequence[float], str]], y: str, number: str = ".0%"
) -> go.Figure:
    """Return grouped bars per class.

    Parameters
    ----------
    names : sequence of str
    groups : sequence of (name, one value per class, colour)
    y : str
        Axis title.
    number : str
        Tick format.
    """
    figure = go.Figure()
    for index, (name, values, colour) in enumerate(groups):
        figure.add_bar(
            name=name,
            x=list(names),
            y=list(values),
            marker={"color": colour, "pattern": {"shape": "/" if index else ""}},
            hovertemplate="class %{x}: %{y:" + number + "}<extra>" + name + "</extra>",
        )
    styled(figure, height=300, x="class", y=y)
    figure.update_xaxes(type="category", showgrid=False)
    figure.update_yaxes(tickformat=number)
    return figure
