"""What a model gets wrong: a confusion matrix whose cells can be chosen, and its errors on a training map."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go

from telltale.figures import palette
from telltale.figures.base import BARE, TRANSPARENT, beside, styled
from telltale.figures.embedding import training_map

Points = npt.NDArray[np.floating]
Ids = npt.NDArray[np.int64]

SHADES = [[0.0, "rgba(213, 94, 0, 0.04)"], [1.0, "rgba(213, 94, 0, 0.65)"]]
HEIGHT = 560
SHORT_NAME = 2  # letters; longer names of columns would run into each other on a telephone
MOST_WRITTEN = 20  # classes; numbers of more would overlap
FEW_ERRORS = 200  # larger markers of more would hide the map, on a telephone altogether
LARGE_COUNT, SMALL_TYPE, USUAL_TYPE = 1_000, 9, 12  # four digits fit into a cell on a telephone
ERRORS = "misread images"


def confusion_matrix(
    counts: Ids,
    class_names: Sequence[str],
    x: str = "read as",
    y: str = "true class",
    labels: Sequence[int] | None = None,
) -> go.Figure:
    """Return a confusion matrix, true classes downwards, predicted ones across, that knows which cell was chosen.

    Plotly reports no click on a heat map's cell, so an invisible marker lies over each one off the diagonal; its
    `customdata` holds the true and the predicted class.

    Parameters
    ----------
    counts : array of int64, shape (C, C)
        Images by true class (row) and predicted class (column). The diagonal is written but not shaded.
    class_names : sequence of str
    x, y : str
        Titles of the axes, where the counts are of something else.
    labels : sequence of int, optional
        What `customdata` calls the classes; their places where left out.
    """
    names = list(class_names)
    wrong = ~np.eye(len(names), dtype=bool)
    shades = np.where(wrong & (counts > 0), np.sqrt(counts), np.nan)  # a few errors stay visible beside hundreds
    darkest = float(np.nanmax(shades, initial=1.0))  # without it Plotly takes the fewest errors for none
    looks = {"colorscale": SHADES, "zmin": 0, "zmax": darkest, "showscale": False, "xgap": 2, "ygap": 2}
    figure = go.Figure(go.Heatmap(x=names, y=names, z=shades, hoverinfo="skip", **looks))
    figure.add_trace(_cells(names, counts, x, y, np.arange(len(names)) if labels is None else np.asarray(labels)))
    room = beside(names)
    styled(figure, HEIGHT, x=x, y=y, legend=0, left=room, top=room + BARE, bottom=BARE)
    if len(names) <= MOST_WRITTEN:
        figure.update_layout(annotations=_numbers(counts))
    figure.update_layout(clickmode="event+select")
    slanted = -45 if max(map(len, names)) > SHORT_NAME else 0
    figure.update_xaxes(type="category", showgrid=False, side="top", tickangle=slanted)
    figure.update_yaxes(type="category", showgrid=False, autorange="reversed")
    return figure


def _cells(names: list[str], counts: Ids, x: str, y: str, labels: Ids) -> go.Scatter:
    """Return an invisible marker for every cell off the diagonal."""
    rows, columns = np.nonzero(~np.eye(len(names), dtype=bool))
    return go.Scatter(
        x=[names[column] for column in columns],
        y=[names[row] for row in rows],
        customdata=np.stack([labels[rows], labels[columns]], axis=1),
        text=[str(n) for n in counts[rows, columns]],
        mode="markers",
        marker={"symbol": "square", "size": 26 if len(names) <= MOST_WRITTEN else 6, "color": TRANSPARENT},
        selected={"marker": {"color": palette.NATURAL, "opacity": 0.35}},
        unselected={"marker": {"opacity": 0.0}},
        hovertemplate=f"{y} %{{y}}, {x} %{{x}}: %{{text}} images<extra></extra>",
    )


def _numbers(counts: Ids) -> list[dict[str, object]]:
    """Return every count as an annotation, which keeps the page's own colour and does not fade in a selection."""
    filled = zip(*np.nonzero(counts), strict=True)
    return [
        {
            "x": int(c),
            "y": int(r),
            "text": str(counts[r, c]),
            "showarrow": False,
            "font": {"size": SMALL_TYPE if counts[r, c] >= LARGE_COUNT else USUAL_TYPE},
        }
        for r, c in filled
    ]


def errors_map(
    training: tuple[Points, Ids, Ids],
    errors: tuple[Points, Ids],
    readings: Sequence[str],
    class_names: Sequence[str],
) -> go.Figure:
    """Return a thinned map of the training images with all errors on top; constant per bundle, method and layer.

    Parameters
    ----------
    training : (points (N, 2), labels (N,), ids (N,))
        Thinned evenly to `MOST_POINTS`.
    errors : (points (n, 2), ids (n,))
        The trace `ERRORS`, always the last one.
    readings : sequence of str, length n
        What each was read as, for the hover text.
    class_names : sequence of str
    """
    figure = training_map(*training, class_names, opacity=0.3, legend=3)
    places, error_ids = errors
    figure.add_trace(
        go.Scatter(
            name=ERRORS,
            x=places[:, 0],
            y=places[:, 1],
            customdata=error_ids,
            text=list(readings),
            mode="markers",
            marker={
                "color": palette.ATTACKED,
                "symbol": "diamond",
                "size": 9 if len(places) <= FEW_ERRORS else 5,
                "line": {"color": "#FFFFFF", "width": 1 if len(places) <= FEW_ERRORS else 0.3},
            },
            hovertemplate="image %{customdata}: %{text}<extra></extra>",
        )
    )
    figure.update_layout(dragmode="lasso")
    return figure
