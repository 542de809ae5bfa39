"""ROC curves, operating points, and rates against the threshold."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go

from telltale.figures import palette
from telltale.figures.base import LAST_NUMBER, ROW, legend_below, line, styled

Doubles = npt.NDArray[np.floating]
DASHES = ("solid", "dash", "dot", "dashdot", "longdash")
FEW = 4  # entries of a legend that still leave the plot in sight below them


def roc_curves(
    curves: Sequence[tuple[str, Doubles, Doubles]],
    points: Sequence[tuple[str, float, float, str, str]],
    logarithmic: bool,
    floor: float,
    ranks: Sequence[int] | None = None,
    strong: int | None = None,
    muted: Sequence[int] = (),
) -> go.Figure:
    """Return ROC curves with marked points; the legend of many curves stands below the plot.

    Parameters
    ----------
    curves : sequence of (name, false-positive rates, true-positive rates)
    points : sequence of (name, false-positive rate, true-positive rate, colour, marker symbol)
    logarithmic : bool
        Whether the false-positive axis is logarithmic.
    floor : float
        Smallest rate that the natural images can resolve: where a logarithmic axis starts.
    ranks : sequence of int, optional
        Place of every curve in the legend; as given without them.
    strong : int, optional
        Index of the curve that is drawn thicker than the others.
    muted : sequence of int
        Indices of curves that are drawn thin and grey, and not named in the legend.
    """
    figure = go.Figure()
    for index, (name, false_rates, true_rates) in enumerate(curves):
        across = np.maximum(false_rates, floor) if logarithmic else false_rates
        dash = DASHES[(index // len(palette.CLASS_COLOURS) + index) % len(DASHES)]
        colour, width = (palette.FAINT, 1.2) if index in muted else (palette.class_colour(index), 2.0)
        trace = line(name, across, true_rates, colour, dash, width=4.5 if index == strong else width)
        trace.update(legendrank=ranks[index] if ranks else index, showlegend=index not in muted)
        trace.update(hovertemplate="FPR %{x:.1%}, TPR %{y:.1%}<extra>" + name + "</extra>")
        figure.add_trace(trace)
    chance = np.geomspace(floor, 1.0, 40) if logarithmic else np.array([0.0, 1.0])
    figure.add_trace(line("chance", chance, chance, palette.NEUTRAL, "dot", width=1.5))
    for name, across_at, up_at, colour, symbol in points:
        figure.add_scatter(
            name=name,
            x=[max(across_at, floor) if logarithmic else across_at],
            y=[up_at],
            mode="markers",
            marker={"symbol": symbol, "size": 14, "color": colour, "line": {"color": "#FFFFFF", "width": 1.5}},
            hovertemplate="FPR %{x:.1%}, TPR %{y:.1%}<extra>" + name + "</extra>",
        )
    entries = len(figure.data) - len(muted)
    styled(figure, height=430 + ROW * entries, x="false alarms (FPR)", y="caught (TPR)", legend=2)
    figure.layout.margin.r = LAST_NUMBER
    if entries > FEW:
        legend_below(figure, entries, "Each curve with the area under it (AUC)")
    figure.update_yaxes(range=[-0.02, 1.02], tickformat=".0%")
    if logarithmic:
        figure.update_xaxes(type="log", range=[np.log10(floor), 0.01], tickformat=".1%", dtick=1)
    else:
        figure.update_xaxes(range=[-0.02, 1.02], tickformat=".0%")
    return figure


def rates_against_threshold(
    thresholds: Doubles, true_rates: Doubles, false_rates: Doubles, chosen: float | None
) -> go.Figure:
    """Return TPR and FPR against the threshold, the chosen one marked."""
    figure = go.Figure()
    figure.add_trace(line("caught (TPR)", thresholds, true_rates, palette.ATTACKED, "dash"))
    figure.add_trace(line("false alarms (FPR)", thresholds, false_rates, palette.NATURAL))
    styled(figure, height=320, x="threshold on the score", y="share of images")
    figure.layout.margin.r = LAST_NUMBER
    figure.update_yaxes(range=[-0.02, 1.02], tickformat=".0%")
    if chosen is not None:
        figure.add_vline(x=chosen, line={"color": palette.NEUTRAL, "dash": "dot", "width": 2})
    return figure
