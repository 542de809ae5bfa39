"""Response and entropy maps on a locked colour scale, and reference distributions of their mean."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go
from plotly.colors import sample_colorscale

from telltale.base.images import FloatImages
from telltale.data.uploads import QUICK_COMPRESSION, png_address, png_bytes
from telltale.figures import palette
from telltale.figures.base import BARE, beside, styled

COLOUR_BAR = 60  # pixels below a map
CRISP_SIDE = 224  # a picture under a map is enlarged by whole pixels to this: browsers blur what they enlarge
LUMA = np.array([0.299, 0.587, 0.114])
FADED = 0.3  # share of a diverging scale, from its middle, within which a map laid over a picture fades out


def heatmap(
    values: npt.NDArray[np.floating],
    low: float,
    high: float,
    diverging: bool,
    unit: str,
    show_scale: bool = True,
    first: int = 0,
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
    first : int
        Row and column of the first value in the image that the map is of: more than 0 where the border is left out.
    """
    figure = go.Figure(
        go.Heatmap(
            z=values,
            x0=first,
            y0=first,
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


def over_picture(figure: go.Figure, image: FloatImages, opacity: float) -> go.Figure:
    """Lay a map over the picture that it is of, which is drawn in grey, and return the map.

    Zero of a diverging map shows the picture as it is; the map fades in up to 30 % of its scale. Other maps are equally
    opaque everywhere.

    Parameters
    ----------
    figure : Figure
        As `heatmap` returns it.
    image : array of float32, shape (C, H, W), in [0, 1]
    opacity : float
        Of the map, in [0, 1].
    """
    height, width = image.shape[1:]
    grey = image if len(image) == 1 else np.einsum("chw,c->hw", image, LUMA)[None]
    scale = max(1, -(-CRISP_SIDE // min(height, width)))
    png = png_bytes(np.clip(grey, 0.0, 1.0).astype(np.float32), scale, QUICK_COMPRESSION)
    figure.add_layout_image(
        source=png_address(png),
        layer="below",
        xref="x",
        yref="y",
        x=-0.5,
        y=-0.5,
        sizex=width,
        sizey=height,
        sizing="stretch",
    )
    figure.layout.xaxis.range = [-0.5, width - 0.5]
    figure.layout.yaxis.update(autorange=None, range=[height - 0.5, -0.5])
    shown = figure.data[0]
    if shown.zmin < 0.0:
        shown.colorscale = _fading(opacity)
    else:
        shown.opacity = opacity
    return figure


def _fading(opacity: float) -> list[tuple[float, str]]:
    """Return the diverging colours, see-through in their middle and `opacity` beyond `FADED` of either side."""
    places = sorted({*(place for place, _ in palette.DIVERGING), 0.5 - FADED / 2, 0.5 + FADED / 2})
    colours = sample_colorscale([list(stop) for stop in palette.DIVERGING], places)
    shares = [opacity * min(1.0, abs(2.0 * place - 1.0) / FADED) for place in places]
    return [
        (place, f"rgba({colour.removeprefix('rgb(').removesuffix(')')}, {share:.3f})")
        for place, colour, share in zip(places, colours, shares, strict=True)
    ]


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
