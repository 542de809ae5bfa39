"""Success against the budget: what an attacker achieves before and after images are rejected."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

from telltale.figures import palette
from telltale.figures.base import LAST_NUMBER, ROW, legend_below, line, styled

ONCE, WORST = 2.5, 4.5  # pixels: one attack, and the worst of several
BEFORE, FAINT = 1.25, 0.75  # pixels and opacity of what no rejection hinders


@dataclass(frozen=True)
class SuccessCurve:
    """What one attacker achieves within growing budgets.

    Attributes
    ----------
    name : str
        As the legend says it.
    budgets : sequence of int
        In levels of 255, ascending.
    before, after : sequence of float
        Shares of the attacked images, without and with rejection.
    low, high : sequence of float
        Interval of every share in `after`.
    images : int
        How many were attacked.
    adaptive : bool
        Whether the attacker knows the detectors: a dashed line.
    worst : bool
        Whether it is the worst case of several attacks: a thick line in a band, not a line with bars.
    """

    name: str
    budgets: Sequence[int]
    before: Sequence[float]
    after: Sequence[float]
    low: Sequence[float]
    high: Sequence[float]
    images: int
    adaptive: bool
    worst: bool


def success_curves(curves: Sequence[SuccessCurve]) -> go.Figure:
    """Return success after rejection against the budget, thin lines for success before it in the same colours."""
    figure = go.Figure()
    for index, curve in enumerate(curves):
        colour = _colour(curve, index)
        figure.add_traces([*_interval_of(curve, colour), _before(curve, colour), _after(curve, index, colour)])
    styled(
        figure,
        height=430 + ROW * len(curves),
        x="budget ε (L∞), levels of 255",
        y="wrong and not rejected",
        legend=2,
    )
    figure.layout.margin.r = LAST_NUMBER
    legend_below(figure, len(curves), "Thin: without rejection. Dashed: knows the detectors")
    figure.update_yaxes(range=[-0.02, 1.02], tickformat=".0%")
    budgets = sorted({budget for curve in curves for budget in curve.budgets})
    figure.update_xaxes(tickvals=budgets, ticktext=[str(budget) for budget in budgets])
    return figure


def _colour(curve: SuccessCurve, index: int) -> str:
    if curve.worst:
        return palette.ATTACKED if curve.adaptive else palette.NATURAL
    return palette.class_colour(index)


def _dash(curve: SuccessCurve) -> str:
    return "dash" if curve.adaptive else "solid"


def _interval_of(curve: SuccessCurve, colour: str) -> list[go.Scatter]:
    """Return the band around a worst case; the bars of single attacks belong to their line."""
    if not curve.worst:
        return []
    band = go.Scatter(
        x=[*curve.budgets, *reversed(curve.budgets)],
        y=[*curve.high, *reversed(curve.low)],
        fill="toself",
        fillcolor=colour,
        opacity=0.18,
        line={"width": 0},
        mode="lines",
        hoverinfo="skip",
        legendgroup=curve.name,
        showlegend=False,
    )
    return [band]


def _before(curve: SuccessCurve, colour: str) -> go.Scatter:
    trace = line(curve.name, curve.budgets, curve.before, colour, _dash(curve), width=BEFORE)
    said = "ε %{x}/255: %{y:.1%} wrong without rejection<extra>" + curve.name + "</extra>"
    trace.update(opacity=FAINT, legendgroup=curve.name, showlegend=False, hovertemplate=said)
    return trace


def _after(curve: SuccessCurve, index: int, colour: str) -> go.Scatter:
    width, symbol = (WORST, None) if curve.worst else (ONCE, palette.class_symbol(index))
    trace = line(curve.name, curve.budgets, curve.after, colour, _dash(curve), symbol, width)
    trace.update(
        legendgroup=curve.name,
        customdata=list(zip(curve.low, curve.high, strict=True)),
        hovertemplate="ε %{x}/255: %{y:.1%} wrong and not rejected (%{customdata[0]:.1%} – %{customdata[1]:.1%}) of "
        f"{curve.images:,} images<extra>{curve.name}</extra>",
    )
    if not curve.worst:
        above = [high - share for high, share in zip(curve.high, curve.after, strict=True)]
        below = [share - low for low, share in zip(curve.low, curve.after, strict=True)]
        trace.error_y = {"array": above, "arrayminus": below, "thickness": 1, "width": 3, "color": colour}
    return trace
