"""Every detector's p-value on one axis, and what moved the fused verdict."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

from telltale.figures import palette
from telltale.figures.base import beside, styled

ROW_HEIGHT, AROUND, UNDER = 21, 102, 48  # pixels: a row, above and below all of them, below alone
TICKS = (1e-6, 1e-5, 1e-4, 1e-3, 0.01, 0.1, 1.0)
MOVED_FROM = 0.8  # of the width: left of it the p-values, right of it what moved the fused verdict
GAP = 0.04
ALPHA_ROOM = 20  # pixels between plot and legend, where α stands


@dataclass(frozen=True)
class Marks:
    """One image's mark in every row.

    Attributes
    ----------
    name : str
        Of the image, as the legend writes it.
    p_values : sequence of float or None
        One per detector; None where it is not calibrated.
    words : sequence of str
        What is said of each mark that a pointer rests on.
    colour, symbol : str
    """

    name: str
    p_values: Sequence[float | None]
    words: Sequence[str]
    colour: str
    symbol: str


def verdict_rows(
    detectors: Sequence[str],
    images: Sequence[Marks],
    alpha: float,
    moved: Sequence[float | None] | None = None,
    others: Sequence[Marks] = (),
) -> go.Figure:
    """Return one row per detector with each image's p-value; left of `alpha`, on a band, means adversarial.

    Parameters
    ----------
    detectors : sequence of str
        Titles, from top to bottom; the first is set in bold where `moved` is given.
    images : sequence of Marks
        A thin line leads from one image's mark to the next one's. A row whose detector is not calibrated says so and
        holds no mark.
    alpha : float
        False-positive rate, in (0, 1).
    moved : sequence of float or None, optional
        What each detector added to the fused log odds of an attack, as bars beside the rows; None for a row without.
    others : sequence of Marks
        Images to compare with; their symbols are letters, and no line leads to them.
    """
    rows = _rows(detectors, images, bold_first=moved is not None)
    figure = go.Figure()
    figure.add_scatter(**_between(rows, images))
    for marks in images:
        figure.add_scatter(
            name=marks.name,
            x=list(marks.p_values),
            y=rows,
            customdata=list(marks.words),
            mode="markers",
            cliponaxis=False,
            marker={
                "symbol": marks.symbol,
                "size": 13,
                "color": marks.colour,
                "line": {"width": 1, "color": "#FFFFFF"},
            },
            hovertemplate="%{y}<br>%{customdata}<extra>" + marks.name + "</extra>",
        )
    for marks in others:
        figure.add_scatter(**_letters(rows, marks))
    height, left = AROUND + ROW_HEIGHT * len(rows), beside(detectors, title=False)
    styled(figure, height, x=_x_title(moved), left=left, bottom=UNDER)
    figure.layout.legend.y = 1.0 + ALPHA_ROOM / (ROW_HEIGHT * len(rows))
    _p_axis(figure, [*images, *others], alpha)
    if moved is not None:
        _add_moved(figure, rows, moved)
    figure.update_yaxes(type="category", autorange="reversed", categoryorder="array", categoryarray=rows)
    return figure


def _rows(detectors: Sequence[str], images: Sequence[Marks], bold_first: bool) -> list[str]:
    silent = [all(marks.p_values[row] is None for marks in images) for row in range(len(detectors))]
    rows = [f"{name} (not calibrated)" if none else name for name, none in zip(detectors, silent, strict=True)]
    return [f"<b>{rows[0]}</b>", *rows[1:]] if bold_first else rows


def _between(rows: Sequence[str], images: Sequence[Marks]) -> dict[str, object]:
    """Return a trace that leads from one image's mark to the next one's, row by row."""
    x: list[float | None] = []
    y: list[str | None] = []
    for index, row in enumerate(rows):
        known = [marks.p_values[index] for marks in images if marks.p_values[index] is not None]
        x += [*known, None]
        y += [*[row] * len(known), None]
    line = {"color": palette.NEUTRAL, "width": 1.5}
    return {"x": x, "y": y, "mode": "lines", "line": line, "hoverinfo": "skip", "showlegend": False}


def _letters(rows: Sequence[str], marks: Marks) -> dict[str, object]:
    """Return a trace that writes one image's letter into every row."""
    return {
        "name": marks.name,
        "x": list(marks.p_values),
        "y": rows,
        "customdata": list(marks.words),
        "mode": "markers+text",
        "text": marks.symbol,
        "cliponaxis": False,
        "marker": {"symbol": "square", "size": 15, "color": "#FFFFFF", "line": {"width": 1.5, "color": marks.colour}},
        "textfont": {"size": 11, "color": "#1B2A30"},
        "hovertemplate": "%{y}<br>%{customdata}<extra>" + marks.name + "</extra>",
    }


def _x_title(moved: Sequence[float | None] | None) -> str:
    return "p-value" if moved is not None else "p-value among held-out natural images"


def _p_axis(figure: go.Figure, images: Sequence[Marks], alpha: float) -> None:
    smallest = min((p for marks in images for p in marks.p_values if p is not None), default=alpha)
    low = min(smallest, alpha) / 1.5
    figure.add_vrect(x0=low, x1=alpha, fillcolor=palette.BAND, line_width=0, layer="below")
    figure.add_vline(x=alpha, line={"color": palette.NEUTRAL, "dash": "dot", "width": 2})
    # On logarithmic axes Plotly takes lines where they are, and annotations by their logarithm.
    above = {"yref": "paper", "y": 1.0, "yanchor": "bottom", "showarrow": False}
    figure.add_annotation(x=math.log10(alpha), text="α", **above)
    texts = [f"{tick:g}" for tick in TICKS]
    figure.update_xaxes(type="log", range=[math.log10(low), 0.05], tickvals=list(TICKS), ticktext=texts)


def _add_moved(figure: go.Figure, rows: Sequence[str], moved: Sequence[float | None]) -> None:
    """Draw signed bars on an axis of their own, beside the p-values and in the same rows."""
    figure.update_xaxes(domain=[0.0, MOVED_FROM - GAP])
    figure.add_bar(
        x=list(moved),
        y=list(rows),
        orientation="h",
        xaxis="x2",
        width=0.45,
        marker={"color": [palette.ATTACKED if value is not None and value > 0 else palette.NATURAL for value in moved]},
        hovertemplate="%{y}<br>%{x:+.2f} log odds of an attack<extra></extra>",
        showlegend=False,
    )
    most = max((abs(value) for value in moved if value is not None), default=1.0) or 1.0
    figure.layout.xaxis2 = {
        "domain": [MOVED_FROM, 1.0],
        "anchor": "y",
        "range": [-1.1 * most, 1.1 * most],
        "showticklabels": False,
        "showgrid": False,
        "zeroline": True,
        "zerolinecolor": palette.NEUTRAL,
        "title": {"text": "− +"},
    }
