"""What every figure shares: transparent ground, quiet grid, a legend that fits a telephone."""

from __future__ import annotations

import plotly.graph_objects as go

from core.figures import palette

TRANSPARENT = "rgba(0, 0, 0, 0)"


def styled(figure: go.Figure, height: int, x: str = "", y: str = "", legend: bool = True) -> go.Figure:
    """Apply the shared layout to `figure` and return it.

    Parameters
    ----------
    figure : Figure
    height : int
        Pixels; the width always follows the page.
    x, y : str
        Axis titles, with units.
    legend : bool
        Whether the legend is shown, above the plot.
    """
    # Set one by one: Plotly's `update` methods take three times as long, which every page would wait for.
    layout = figure.layout
    layout.height = height
    layout.margin = {"l": 8, "r": 8, "t": 36 if legend else 12, "b": 8}
    layout.paper_bgcolor = layout.plot_bgcolor = TRANSPARENT
    layout.showlegend = legend
    layout.legend = {"orientation": "h", "x": 0, "xanchor": "left", "y": 1.02, "yanchor": "bottom"}
    layout.hovermode = "closest"
    layout.dragmode = False
    for axes, title in ((figure.select_xaxes(), x), (figure.select_yaxes(), y)):
        for axis in axes:
            axis.title.text = title
            axis.gridcolor = palette.GRID
            axis.zeroline = False
            axis.automargin = True
    return figure


def line(
    name: str, x: object, y: object, colour: str, dash: str = "solid", symbol: str | None = None, width: float = 2.5
) -> go.Scatter:
    """Return a line trace; `symbol` adds markers so that lines differ by more than colour."""
    return go.Scatter(
        name=name,
        x=x,
        y=y,
        mode="lines" if symbol is None else "lines+markers",
        line={"color": colour, "width": width, "dash": dash},
        marker={"symbol": symbol, "size": 8} if symbol else None,
    )
