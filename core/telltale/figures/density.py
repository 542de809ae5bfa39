"""How usual the hidden state is for each class, against each class's threshold."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go

from telltale.figures import palette
from telltale.figures.base import beside, styled
from telltale.figures.curves import signed_log

Doubles = npt.NDArray[np.float64]
TICKS = (-100_000, -10_000, -1_000, -100, -10, 0, 10, 100, 1_000)


def class_densities(
    class_names: Sequence[str],
    images: Sequence[tuple[str, Doubles, str, str]],
    thresholds: Sequence[tuple[str, Doubles]],
) -> go.Figure:
    """Return log p(H | class) per class for each image, with each class's thresholds as ticks.

    The axis is logarithmic on both sides of zero: attacked images may lie thousands of nats below natural ones.

    Parameters
    ----------
    class_names : sequence of str
    images : sequence of (name, log density per class, colour, marker symbol)
    thresholds : sequence of (name, threshold per class)
    """
    figure = go.Figure()
    names = list(class_names)
    for index, (name, values) in enumerate(thresholds):
        line = {"width": 4 - 2 * index, "color": palette.NEUTRAL}
        marker = {"symbol": "line-ew-open", "size": 28 - 10 * index, "color": palette.NEUTRAL, "line": line}
        figure.add_trace(_per_class(name, names, values, marker))
    for name, values, colour, symbol in images:
        outline = {"width": 1, "color": "#FFFFFF"}
        marker = {"symbol": symbol, "size": 12, "color": colour, "line": outline}
        figure.add_trace(_per_class(name, names, values, marker))
    styled(figure, height=380, x="class", y="log p(H | class), nats", left=beside(["−10,000"]))
    figure.update_xaxes(type="category")
    figure.update_yaxes(tickvals=signed_log(TICKS), ticktext=[f"{tick:,}".replace("-", "−") for tick in TICKS])
    return figure


def _per_class(name: str, class_names: list[str], values: Doubles, marker: dict[str, object]) -> go.Scatter:
    return go.Scatter(
        name=name,
        x=class_names,
        y=signed_log(values),
        customdata=values,
        mode="markers",
        marker=marker,
        hovertemplate="class %{x}: %{customdata:.1f} nats<extra>" + name + "</extra>",
    )
