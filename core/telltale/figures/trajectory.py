"""The path of an image through the layers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go

from telltale.figures import palette
from telltale.figures.base import BELOW_SLANTED, beside, line, styled

Doubles = npt.NDArray[np.floating]


def pivot_lines(
    layers: Sequence[str],
    lines: Sequence[tuple[str, Doubles]],
    band: tuple[Doubles, Doubles],
    y: str,
    limits: tuple[float, float],
    logarithmic: bool,
    departure: str | None = None,
) -> go.Figure:
    """Return the distance to named pivots over layers, over the band of all other classes.

    Parameters
    ----------
    layers : sequence of str
    lines : sequence of (name, one distance per layer)
        The original class first, drawn solid; the other dashed.
    band : (lowest, highest)
        Range over the remaining classes.
    y : str
        Axis title.
    limits : (low, high)
        Range of the axis, shared by the figures that are compared; exponents of ten where it is logarithmic.
    logarithmic : bool
        Whether the axis is logarithmic, which suits distances: they grow from layer to layer.
    departure : str, optional
        Layer to mark.
    """
    figure = go.Figure()
    names = list(layers)
    figure.add_scatter(x=names, y=band[0], mode="lines", line={"width": 0}, showlegend=False, hoverinfo="skip")
    figure.add_scatter(
        name="all other classes",
        x=names,
        y=band[1],
        mode="lines",
        line={"width": 0},
        fill="tonexty",
        fillcolor=palette.BAND,
        hoverinfo="skip",
    )
    looks = ((palette.NATURAL, "solid", "circle"), (palette.ATTACKED, "dash", "diamond"))
    for (name, values), (tone, dash, symbol) in zip(lines, looks, strict=False):
        figure.add_trace(line(name, names, values, tone, dash, symbol))
    styled(figure, height=340, y=y, left=beside(["10"]), bottom=BELOW_SLANTED)
    figure.update_yaxes(range=list(limits), type="log" if logarithmic else "linear", dtick=1 if logarithmic else None)
    figure.update_xaxes(type="category", tickangle=-40)
    if departure is not None:
        figure.add_vline(x=names.index(departure), line={"color": palette.NEUTRAL, "dash": "dot", "width": 2})
    return figure


def pivot_path(
    layers: Sequence[str], paths: Sequence[tuple[str, Doubles, Doubles, str]], x: str, y: str, similarity: bool
) -> go.Figure:
    """Return the 2-D path: distance to one pivot against distance to another, layer by layer.

    Parameters
    ----------
    layers : sequence of str
    paths : sequence of (name, x per layer, y per layer, colour)
    x, y : str
        Axis titles.
    similarity : bool
        Whether larger means nearer, as for the cosine; distances are drawn on logarithmic axes.
    """
    figure = go.Figure()
    word = "similarity" if similarity else "distance"
    for index, (name, across, up, colour) in enumerate(paths):
        trace = line(name, across, up, colour, "solid" if index == 0 else "dash", "circle" if index == 0 else "diamond")
        trace.update(
            customdata=list(layers), hovertemplate="%{customdata}: %{x:.3g}, %{y:.3g} (" + word + ")<extra></extra>"
        )
        figure.add_trace(trace)
        figure.add_scatter(
            x=[across[0], across[-1]],
            y=[up[0], up[-1]],
            mode="text",
            text=["first layer", "last layer"] if index == 0 else ["", "last layer"],
            textposition="top center" if index == 0 else "bottom center",  # two ends may lie side by side
            showlegend=False,
            hoverinfo="skip",
        )
    low = min(float(min(a.min(), u.min())) for _, a, u, _ in paths)
    high = max(float(max(a.max(), u.max())) for _, a, u, _ in paths)
    figure.add_scatter(
        name="equally near",
        x=[low, high],
        y=[low, high],
        mode="lines",
        line={"color": palette.NEUTRAL, "dash": "dot", "width": 1.5},
        hoverinfo="skip",
    )
    styled(figure, height=380, x=x, y=y, left=beside(["10"]))
    if not similarity:
        figure.update_xaxes(type="log", dtick=1)
        figure.update_yaxes(type="log", dtick=1)
    return figure


def suspicion(layers: Sequence[str], curves: Sequence[tuple[str, Doubles, str]]) -> go.Figure:
    """Return the detector's running probability of "adversarial" after each layer."""
    figure = go.Figure()
    for index, (name, values, colour) in enumerate(curves):
        symbol = "circle" if index == 0 else "diamond"
        figure.add_trace(line(name, list(layers), values, colour, "solid" if index == 0 else "dash", symbol))
    styled(figure, height=300, y="suspicion", bottom=BELOW_SLANTED)
    figure.update_yaxes(range=[-0.03, 1.03], tickformat=".0%")
    figure.update_xaxes(type="category", tickangle=-40)
    return figure


def sweep(
    strengths: Sequence[float], near: Sequence[tuple[str, Sequence[float], str]], current: float, y: str
) -> go.Figure:
    """Return the last layer's distance to some pivots as the perturbation grows from 0 to 1.5 of its size."""
    figure = go.Figure()
    for index, (name, values, colour) in enumerate(near):
        symbol = ("circle", "diamond", "square")[min(index, 2)]
        figure.add_trace(line(name, list(strengths), list(values), colour, "solid" if index == 0 else "dash", symbol))
    styled(figure, height=320, x="strength of the perturbation (1 = the attack)", y=y)
    figure.add_vline(x=current, line={"color": palette.NEUTRAL, "dash": "dot", "width": 2})
    return figure
