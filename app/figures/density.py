"""How usual the hidden state is for each class, against each class's threshold."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go

from app import palette
from app.figures.base import styled

Doubles = npt.NDArray[np.float64]


def class_densities(
    class_names: Sequence[str],
    images: Sequence[tuple[str, Doubles, str, str]],
    thresholds: Sequence[tuple[str, Doubles]],
) -> go.Figure:
    """Return log p(H | class) per class for each image, with each class's thresholds as ticks.

    Parameters
    ----------
    class_names : sequence of str
    images : sequence of (name, log density per class, colour, marker symbol)
    thresholds : sequence of (name, threshold per class)
    """
    figure = go.Figure()
    names = list(class_names)
    for index, (name, values) in enumerate(thresholds):
        figure.add_scatter(
            name=name,
            x=names,
            y=values,
            mode="markers",
            marker={
                "symbol": "line-ew-open",
                "size": 28 - 10 * index,
                "color": palette.NEUTRAL,
                "line": {"width": 4 - 2 * index, "color": palette.NEUTRAL},
            },
            hovertemplate="class %{x}: %{y:.1f} nats<extra>" + name + "</extra>",
        )
    for name, values, colour, symbol in images:
        figure.add_scatter(
            name=name,
            x=names,
            y=values,
            mode="markers",
            marker={"symbol": symbol, "size": 12, "color": colour, "line": {"width": 1, "color": "#FFFFFF"}},
            hovertemplate="class %{x}: %{y:.1f} nats<extra>" + name + "</extra>",
        )
    styled(figure, height=380, x="class", y="log p(H | class), nats")
    figure.update_xaxes(type="category")
    return figure
