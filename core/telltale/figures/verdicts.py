"""The p-value of every detector against the chosen false-alarm rate."""

from __future__ import annotations

import math
from collections.abc import Sequence

import plotly.graph_objects as go

from telltale.figures import palette
from telltale.figures.base import beside, styled


def p_values(
    detectors: Sequence[str], images: Sequence[tuple[str, Sequence[float | None], str, str]], alpha: float
) -> go.Figure:
    """Return one row per detector with each image's p-value; left of `alpha`, on a band, means adversarial.

    Parameters
    ----------
    detectors : sequence of str
        Titles, from top to bottom.
    images : sequence of (name, p-value per detector, colour, marker symbol)
        None where a detector is not calibrated: its row says so and holds no marker.
    alpha : float
        False-positive rate, in (0, 1).
    """
    figure = go.Figure()
    silent = [all(values[row] is None for _, values, _, _ in images) for row in range(len(detectors))]
    rows = [f"{name} (not calibrated)" if none else name for name, none in zip(detectors, silent, strict=True)]
    for name, values, colour, symbol in images:
        figure.add_scatter(
            name=name,
            x=list(values),
            y=rows,
            mode="markers",
            marker={"symbol": symbol, "size": 13, "color": colour, "line": {"width": 1, "color": "#FFFFFF"}},
            hovertemplate="%{y}: p = %{x:.3f}<extra>" + name + "</extra>",
        )
    styled(figure, 90 + 30 * len(rows), x="p-value among held-out natural images", left=beside(rows, title=False))
    smallest = min((p for _, values, _, _ in images for p in values if p is not None), default=alpha)
    low = min(smallest, alpha) / 1.5
    figure.add_vrect(x0=low, x1=alpha, fillcolor=palette.BAND, line_width=0, layer="below")
    figure.add_vline(x=alpha, line={"color": palette.NEUTRAL, "dash": "dot", "width": 2})
    figure.update_xaxes(type="log", range=[math.log10(low), 0.05])
    figure.update_yaxes(type="category", autorange="reversed", categoryorder="array", categoryarray=rows)
    return figure
