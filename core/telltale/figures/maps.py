"""Response and entropy maps on a locked colour scale, and reference distributions of their mean."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go

from telltale.figures import palette
from telltale.figures.base import BARE, beside, styled

COLOUR_BAR = 60  # pixels below a map


def heatmap(
    values: npt.NDArray[np.floating], low: float, high: float, diverging: bool, unit: str, show_scale: bool = True
) -> go.Figure:
    """Return one map, square pixels, row 0 on top.

    Parameters
    ----------
    values : array, shape (H, W)
    low, high : float
        Ends of the colour scale; the caller passes the same pair for maps that are compared.
    diverging : bool
        Whether zero is the middle of the scale.
    unit : str
        Named in the hover text.
    show_scale : bool
        Whether the colour bar is drawn.
    """
    figure = go.Figure(
        go.Heatmap(
            z=values,
            zmin=low,
            zmax=high,
            colorscale=[list(stop) for stop in palette.DIVERGING] if diverging else palette.SEQUENTIAL,
            showscale=show_scale,
            colorbar={"orientation": "h", "thickness": 10, "y": -0.02, "yanchor": "top", "len": 1.0, "nticks": 5},
            hovertemplate="row %{y}, column %{x}: %{z:.3g} " + unit + "<extra></extra>",
        )
    )
    styled(figure, height=330, legend=0, left=BARE, bottom=COLOUR_BAR)
    figure.layout.xaxis.update(visible=False, constrain="domain")
    figure.layout.yaxis.update(visible=False, autorange="reversed", scaleanchor="x", constrain="domain")
    return figure


def distributions(
    groups: Sequence[tuple[str, npt.NDArray[np.floating], npt.NDArray[np.floating], str]],
    marks: Sequence[tuple[str, float, str, str]],
    x: str,
    threshold: float | None = None,
    legend: int = 1,
) -> go.Figure:
    """Return density curves with the current images marked on them.

    Parameters
    ----------
    groups : sequence of (name, x, density, colour)
    marks : sequence of (name, position, colour, marker symbol)
    x : str
        Axis title.
    threshold : float, optional
        Drawn as a dashed line.
    legend : int
        Rows that the legend takes where the figure is usually shown.
    """
    figure = go.Figure()
    top = max((float(np.max(density)) for _, _, density, _ in groups), default=1.0)
    for index, (name, position, density, colour) in enumerate(groups):
        figure.add_scatter(
            name=name,
            x=position,
            y=density,
            mode="lines",
            fill="tozeroy",
            line={"color": colour, "width": 2, "dash": "solid" if index == 0 else "dash"},
            hovertemplate="%{x:.3f}<extra>" + name + "</extra>",
        )
    for name, place, colour, symbol in marks:
        figure.add_scatter(
            name=name,
            x=[place, place],
            y=[0, top],
            mode="lines+markers",
            line={"color": colour, "width": 2},
            marker={"symbol": symbol, "size": [0, 13], "color": colour},
            hovertemplate="%{x:.4f}<extra>" + name + "</extra>",
        )
    styled(figure, height=320, x=x, y="density", legend=legend, left=beside([]))
    figure.update_yaxes(showticklabels=False)
    if threshold is not None:
        figure.add_vline(x=threshold, line={"color": palette.NEUTRAL, "dash": "dot", "width": 2})
    return figure
