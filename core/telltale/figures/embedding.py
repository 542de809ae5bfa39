"""Maps of the training images and of the hidden state, with the current images on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go

from telltale.figures import palette
from telltale.figures.base import BARE, LEGEND, MOST_CLASSES, styled
from telltale.figures.points import evenly

Points = npt.NDArray[np.floating]
Ids = npt.NDArray[np.int64]

# Drawn as SVG: without a GPU, WebGL's contexts alone would take up to 0.4 s whenever a page with a map opens. SVG wants
# few points; an outline selects those that are not drawn as well.
MOST_POINTS = 1_000
LEGEND_ROW = 29  # pixels; its markers are larger than elsewhere


def training_map(
    points: Points, labels: Ids, ids: Ids, class_names: Sequence[str], opacity: float = 0.6, legend: int = 2
) -> go.Figure:
    """Return the training images of one layer, evenly thinned to `MOST_POINTS`; constant per bundle and layer.

    Up to `MOST_CLASSES` classes have colours, shapes and a legend; the points of more are alike, and each says its
    class where one points at it.

    Parameters
    ----------
    points : array, shape (n, 2)
    labels, ids : array of int64, shape (n,)
        True classes and data-set ids; the ids travel as `customdata`.
    class_names : sequence of str
    opacity : float
        Of the points; the legend's samples are opaque, else nobody could match them on a dark page.
    legend : int
        Rows that the legend takes where the map is usually shown.
    """
    figure = go.Figure()
    present, drawn = np.unique(labels).tolist(), evenly(len(points), MOST_POINTS)
    points, labels, ids = points[drawn], labels[drawn], ids[drawn]
    if len(present) > MOST_CLASSES:
        _add_alike(figure, points, [class_names[label] for label in labels], ids, opacity)
        present = []
    for index in present:
        name, chosen = class_names[index], labels == index
        look = {"color": palette.class_colour(index), "symbol": palette.class_symbol(index)}
        figure.add_trace(
            go.Scatter(
                name=f"class {name}",
                legendgroup=name,
                showlegend=False,
                x=points[chosen, 0],
                y=points[chosen, 1],
                customdata=ids[chosen],
                mode="markers",
                marker=look | {"size": 6, "opacity": opacity},
                hovertemplate="class " + name + ", image %{customdata}<extra></extra>",
            )
        )
        sample = {"name": f"class {name}", "legendgroup": name, "hoverinfo": "skip", "mode": "markers"}
        figure.add_trace(go.Scatter(x=[None], y=[None], customdata=[], marker=look | {"size": 10}, **sample))
    styled(figure, height=520, left=BARE, bottom=BARE)
    figure.layout.margin.t = LEGEND + LEGEND_ROW * (legend - 1)
    figure.update_layout(dragmode="pan")
    figure.update_xaxes(showticklabels=False, showgrid=False, automargin=False)
    figure.update_yaxes(showticklabels=False, showgrid=False, automargin=False)
    return figure


def _add_alike(figure: go.Figure, points: Points, classes: list[str], ids: Ids, opacity: float) -> None:
    """Add points of many classes, told apart by what they say when one points at them."""
    look = {"color": palette.OF_ANY_CLASS, "symbol": "circle"}
    figure.add_scatter(
        name="training images",
        legendgroup="training images",
        showlegend=False,
        x=points[:, 0],
        y=points[:, 1],
        customdata=ids,
        text=classes,
        mode="markers",
        marker=look | {"size": 6, "opacity": opacity},
        hovertemplate="class %{text}, image %{customdata}<extra></extra>",
    )
    sample = {"name": "training images", "legendgroup": "training images", "hoverinfo": "skip", "mode": "markers"}
    figure.add_scatter(x=[None], y=[None], customdata=[], marker=look | {"size": 10}, **sample)


def mark(
    figure: go.Figure, name: str, points: Points, colour: str, symbol: str, size: int, ids: Ids | None = None
) -> go.Figure:
    """Add one named set of ringed points to a map and return it."""
    figure.add_trace(
        go.Scatter(
            name=name,
            x=points[:, 0],
            y=points[:, 1],
            customdata=ids,
            mode="markers",
            marker={"color": colour, "symbol": symbol, "size": size, "line": {"color": "#FFFFFF", "width": 1.5}},
            hovertemplate=name + (", image %{customdata}" if ids is not None else "") + "<extra></extra>",
        )
    )
    return figure


def add_ellipses(figure: go.Figure, outlines: Mapping[int, Points], class_names: Sequence[str]) -> go.Figure:
    """Draw one closed outline per class, by its label, over a map and return it."""
    for index, outline in outlines.items():
        figure.add_trace(
            go.Scatter(
                name=f"class {class_names[index]}",
                x=outline[:, 0],
                y=outline[:, 1],
                mode="lines",
                line={"color": palette.class_colour(index), "width": 2},
                showlegend=False,
                hoverinfo="skip",
            )
        )
    for index, outline in outlines.items():
        x, y = outline[:-1].mean(axis=0)
        text = f"<b>{class_names[index]}</b>"
        figure.add_annotation(
            x=x, y=y, text=text, showarrow=False, font=palette.LABEL_FONT, bgcolor=palette.LABEL_GROUND
        )
    return figure
