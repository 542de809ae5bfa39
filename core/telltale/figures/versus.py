"""Two models side by side: who is fooled by whose attack, and at which layers each departs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

from telltale.figures import palette
from telltale.figures.base import BELOW_SLANTED, LAST_NUMBER, beside, styled

ROW = 62  # pixels of two bars


@dataclass(frozen=True)
class CrossingRate:
    """How often images attacked on one model are misread by one.

    Attributes
    ----------
    name : str
        As the axis says it.
    fooled, low, high : float
        Share that is misread, and its interval.
    control : float
        Share that is misread with every perturbation laid on another image.
    images : int
    """

    name: str
    fooled: float
    low: float
    high: float
    control: float
    images: int


def crossing_bars(crossings: Sequence[CrossingRate]) -> go.Figure:
    """Return a bar with its interval for every crossing, the first on top, with its control below it."""
    names = [crossing.name for crossing in crossings]
    figure = go.Figure()
    figure.add_bar(
        name="the attack",
        x=[crossing.fooled for crossing in crossings],
        y=names,
        orientation="h",
        marker={"color": palette.ATTACKED},
        error_x={
            "array": [crossing.high - crossing.fooled for crossing in crossings],
            "arrayminus": [crossing.fooled - crossing.low for crossing in crossings],
            "color": palette.NEUTRAL,
            "thickness": 2,
        },
        customdata=[crossing.images for crossing in crossings],
        hovertemplate="%{y}: %{x:.1%} of %{customdata} misread<extra></extra>",
    )
    figure.add_bar(
        name="its perturbations on other images",
        x=[crossing.control for crossing in crossings],
        y=names,
        orientation="h",
        marker={"color": palette.NEUTRAL, "pattern": {"shape": "/"}},
        hovertemplate="%{y}: %{x:.1%} misread with perturbations of other images<extra></extra>",
    )
    styled(figure, 110 + ROW * len(crossings), x="misread", legend=2, left=beside(names, title=False))
    figure.layout.margin.r = LAST_NUMBER
    figure.update_xaxes(range=[0.0, 1.02], tickformat=".0%")
    figure.update_yaxes(type="category", autorange="reversed", showgrid=False)
    return figure


def departure_bars(layers: Sequence[str], groups: Sequence[tuple[str, Sequence[int]]]) -> go.Figure:
    """Return how many misread images depart at every layer.

    Parameters
    ----------
    layers : sequence of str
    groups : sequence of (name, count per layer)
        At most two.
    """
    figure = go.Figure()
    for index, (name, counts) in enumerate(groups):
        figure.add_bar(
            name=name,
            x=list(layers),
            y=list(counts),
            marker={
                "color": palette.ATTACKED if index else palette.NATURAL,
                "pattern": {"shape": "/" if index else ""},
            },
            hovertemplate="%{x}: %{y} images<extra>" + name + "</extra>",
        )
    styled(figure, height=330, y="misread images", legend=2, bottom=BELOW_SLANTED)
    figure.update_xaxes(type="category", tickangle=-40, showgrid=False)
    return figure
