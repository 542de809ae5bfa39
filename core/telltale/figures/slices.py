"""Groups of images that fail more often: error rates with intervals beside the rate of all images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from textwrap import wrap

import plotly.graph_objects as go

from telltale.figures import palette
from telltale.figures.base import BARE, BELOW, LAST_NUMBER, styled

ROW, LETTERS = 66, 44  # pixels of a group's name and bar; letters of a line that fits a telephone
BAR = 0.36


@dataclass(frozen=True)
class GroupRate:
    """The error rate of one group.

    Attributes
    ----------
    name : str
    rate, low, high : float
        Share that is misread, and its interval.
    errors, images : int
    """

    name: str
    rate: float
    low: float
    high: float
    errors: int
    images: int


def group_rates(groups: Sequence[GroupRate], overall: float) -> go.Figure:
    """Return a bar for every group, the first on top, with its interval, and a line at the rate of all images.

    Parameters
    ----------
    groups : sequence of GroupRate
    overall : float
    """
    places = list(range(len(groups)))
    figure = go.Figure(
        go.Bar(
            x=[group.rate for group in groups],
            y=places,
            width=BAR,
            orientation="h",
            marker={"color": palette.ATTACKED},
            error_x={
                "array": [group.high - group.rate for group in groups],
                "arrayminus": [group.rate - group.low for group in groups],
                "color": palette.NEUTRAL,
                "thickness": 2,
                "width": 5,
            },
            text=[_said(group) for group in groups],
            textposition="none",
            hovertemplate="%{text}<extra></extra>",
        )
    )
    for place in places:  # beside each bar, and not through the names above them
        figure.add_shape(
            type="line",
            x0=overall,
            x1=overall,
            y0=place - BAR / 2,
            y1=place + BAR,
            line={"color": palette.NATURAL, "dash": "dash", "width": 2},
        )
    styled(figure, ROW * len(groups) + BELOW + 24, x="misread; dashed: all images", legend=0, left=BARE)
    figure.layout.margin.r = LAST_NUMBER
    figure.update_layout(annotations=[_name(group, place) for place, group in enumerate(groups)])
    most = max([overall, *(group.high for group in groups)])
    figure.update_xaxes(range=[0.0, min(1.0, 1.05 * most)], tickformat=".0%")
    figure.update_yaxes(range=[len(groups) - 0.5, -0.9], visible=False)
    return figure


def _name(group: GroupRate, place: int) -> dict[str, object]:
    """Return a group's name above its bar, where long ones have room on a telephone."""
    return {
        "x": 0.0,
        "y": place - BAR / 2,
        "text": "<br>".join(wrap(group.name, LETTERS)),
        "align": "left",
        "xanchor": "left",
        "yanchor": "bottom",
        "showarrow": False,
    }


def _said(group: GroupRate) -> str:
    return (
        f"{group.name}<br>{group.rate:.1%} misread ({group.low:.1%} – {group.high:.1%}): "
        f"{group.errors:,} of {group.images:,} images"
    )
