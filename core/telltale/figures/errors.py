"""What a model gets wrong: a confusion matrix whose cells can be chosen."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go

from telltale.figures import palette
from telltale.figures.base import BARE, TRANSPARENT, beside, styled

Ids = npt.NDArray[np.int64]

SHADES = [[0.0, "rgba(213, 94, 0, 0.04)"], [1.0, "rgba(213, 94, 0, 0.65)"]]
HEIGHT = 560
SHORT_NAME = 2  # letters; longer names of columns would run into each other on a telephone
MOST_WRITTEN = 20  # classes; numbers of more would overlap
LARGE_COUNT, SMALL_TYPE, USUAL_TYPE = 1_000, 9, 12  # four digits fit into a cell on a telephone


def confusion_matrix(
    counts: Ids,
    class_names: Sequence[str],
    x: str = "read as",
    y: str = "true class",
    labels: Sequence[int] | None = None,
    marked: tuple[int, int] | None = None,
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
    marked : (int, int), optional
        True and predicted class, as `customdata` calls them, of a cell with a frame around it; none where these are not
        among the classes.
    """
    names = list(class_names)
    known = list(range(len(names)) if labels is None else labels)
    wrong = ~np.eye(len(names), dtype=bool)
    shades = np.where(wrong & (counts > 0), np.sqrt(counts), np.nan)  # a few errors stay visible beside hundreds
    darkest = float(np.nanmax(shades, initial=1.0))  # without it Plotly takes the fewest errors for none
    looks = {"colorscale": SHADES, "zmin": 0, "zmax": darkest, "showscale": False, "xgap": 2, "ygap": 2}
    figure = go.Figure(go.Heatmap(x=names, y=names, z=shades, hoverinfo="skip", **looks))
    figure.add_trace(_cells(names, counts, x, y, np.array(known, np.int64)))
    room = beside(names)
    styled(figure, HEIGHT, x=x, y=y, legend=0, left=room, top=room + BARE, bottom=BARE)
    if len(names) <= MOST_WRITTEN:
        figure.update_layout(annotations=_numbers(counts))
    figure.update_layout(clickmode="event+select")
    if marked is not None and {*marked} <= {*known}:
        figure.add_shape(_frame(known.index(marked[0]), known.index(marked[1])))
    slanted = -45 if max(map(len, names)) > SHORT_NAME else 0
    figure.update_xaxes(type="category", showgrid=False, side="top", tickangle=slanted)
    figure.update_yaxes(type="category", showgrid=False, autorange="reversed")
    return figure


def _frame(row: int, column: int) -> dict[str, object]:
    """Return a frame around a cell, whose middle lies at whole numbers."""
    sides = {"x0": column - 0.5, "x1": column + 0.5, "y0": row - 0.5, "y1": row + 0.5}
    return {"type": "rect", **sides, "line": {"color": palette.NATURAL, "width": 3}}


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
