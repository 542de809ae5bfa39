"""An attacked image at every strength of its change: the picture, what it is read as, and the fused verdict.

The figure carries all of its pictures, so that a browser moves through them without asking the server.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go

from telltale.figures import palette
from telltale.figures.base import BARE, line, styled
from telltale.scores.titles import kind_title
from telltale.scores.verdicts import FusedKind

HEIGHT, TOP = 250, 24  # pixels: of the figure, and of its one row of legend
PICTURE_ENDS, PLOT_BEGINS = 0.22, 0.35  # shares of the figure's width
PICTURE_TOP, PICTURE_HEIGHT = 1.18, 1.62  # shares of the plot's height: from beside the legend to above Play
FRAME_MS = 180  # that Play asks for
SLIDER_ROOM = 104  # pixels below the plot: axis title, slider and what it says
PLOT_TOP, BAND_BEGINS = 0.83, 0.92  # shares of the plot's height, where verdicts stand above the lines
MARKS: dict[FusedKind, tuple[str, str]] = {
    "natural": (palette.NATURAL, "circle"),
    "error": (palette.MISREAD, "square"),
    "adversarial": (palette.ATTACKED, "diamond"),
    "uncalibrated": (palette.NEUTRAL, "circle-open"),
}
DASHES = ("solid", "dash", "dot", "dashdot")


@dataclass(frozen=True)
class StrengthFrame:
    """What is shown at one strength.

    Attributes
    ----------
    strength : float
        0 is the natural image, 1 the attacked one.
    picture : str
        Address of the picture, such as a data URI.
    said : str
        Strength, size of the change and reading, in words.
    """

    strength: float
    picture: str
    said: str


@dataclass(frozen=True)
class StrengthVerdict:
    """What the fused verdict takes the image for at one strength.

    Attributes
    ----------
    strength : float
    kind : {"natural", "error", "adversarial", "uncalibrated"}
    said : str
        For whoever points at it.
    """

    strength: float
    kind: FusedKind
    said: str


def leading_classes(probabilities: npt.NDArray[np.floating], always: Sequence[int] = ()) -> list[int]:
    """Return the classes of `always`, then every other one that has the largest probability at some strength.

    Parameters
    ----------
    probabilities : array, shape (strengths, C)
    always : sequence of int
    """
    return list(dict.fromkeys([*always, *(int(label) for label in probabilities.argmax(axis=1))]))


def along_strength(
    strengths: Sequence[float],
    probabilities: Sequence[tuple[str, Sequence[float], str]],
    frames: Sequence[StrengthFrame],
    shown: int,
    changes_at: float | None,
    verdicts: Sequence[StrengthVerdict] = (),
) -> go.Figure:
    """Return probabilities against the strength of a change, beside the picture at one strength, with slider and Play.

    The fused verdict at every strength, where there is one, stands in a row above the lines.

    Parameters
    ----------
    strengths : sequence of float
        Ascending.
    probabilities : sequence of (class name, one probability per strength, colour)
    frames : sequence of StrengthFrame
        Of some or all strengths.
    shown : int
        Index of the frame that is shown at first.
    changes_at : float or None
        Strength from which the class stays another; None where it does not.
    verdicts : sequence of StrengthVerdict
    """
    figure = go.Figure()
    for index, (name, values, colour) in enumerate(probabilities):
        trace = line(name, list(strengths), list(values), colour, DASHES[index % len(DASHES)])
        trace.update(hovertemplate="× %{x}: %{y:.1%}<extra>" + name + "</extra>")
        figure.add_trace(trace)
    if verdicts:
        figure.add_trace(_band(verdicts))
    figure.add_trace(_here(frames[shown].strength))
    styled(figure, HEIGHT, x="strength of the change (1 = the attack)", left=BARE, bottom=SLIDER_ROOM)
    figure.layout.margin.t = TOP
    figure.update_yaxes(range=[-0.02, 1.02], tickformat=".0%")
    if verdicts:
        _make_room(figure)
    figure.update_xaxes(domain=[PLOT_BEGINS, 1.0], range=[min(strengths) - 0.02, max(strengths) + 0.02])
    figure.layout.legend.x = PLOT_BEGINS
    figure.layout.images = [_picture(frames[shown])]
    if changes_at is not None:
        figure.add_vline(x=changes_at, line={"color": palette.NEUTRAL, "dash": "dot", "width": 1.5})
    moved = len(figure.data) - 1
    figure.frames = [
        go.Frame(
            name=str(index),
            data=[_here(frame.strength)],
            traces=[moved],
            layout={"images": [_picture(frame)]},
        )
        for index, frame in enumerate(frames)
    ]
    figure.layout.sliders = [_slider(frames, shown)]
    figure.layout.updatemenus = [_play()]
    return figure


def _band(verdicts: Sequence[StrengthVerdict]) -> go.Scatter:
    return go.Scatter(
        x=[verdict.strength for verdict in verdicts],
        y=[0.0] * len(verdicts),
        yaxis="y2",
        mode="markers",
        marker={
            "color": [MARKS[verdict.kind][0] for verdict in verdicts],
            "symbol": [MARKS[verdict.kind][1] for verdict in verdicts],
            "size": 10,
        },
        customdata=[f"{kind_title(verdict.kind)}, {verdict.said}" for verdict in verdicts],
        hovertemplate="× %{x}: %{customdata}<extra></extra>",
        showlegend=False,
        cliponaxis=False,  # the row is lower than a mark
    )


def _make_room(figure: go.Figure) -> None:
    """Let the lines end below the row of verdicts."""
    figure.update_layout(
        yaxis={"domain": [0.0, PLOT_TOP]},
        yaxis2={
            "domain": [BAND_BEGINS, 1.0],
            "range": [-1.0, 1.0],
            "tickvals": [0.0],
            "ticktext": ["verdict"],
            "showgrid": False,
            "zeroline": False,
        },
    )


def _here(strength: float) -> go.Scatter:
    return go.Scatter(
        x=[strength, strength],
        y=[0.0, 1.0],
        mode="lines",
        line={"color": palette.NEUTRAL, "width": 3},
        showlegend=False,
        hoverinfo="skip",
    )


def _picture(frame: StrengthFrame) -> dict[str, object]:
    return {
        "source": frame.picture,
        "xref": "paper",
        "yref": "paper",
        "x": 0.0,
        "y": PICTURE_TOP,
        "sizex": PICTURE_ENDS,
        "sizey": PICTURE_HEIGHT,
        "sizing": "contain",
        "xanchor": "left",
        "yanchor": "top",
    }


def _animation(duration: int) -> dict[str, object]:
    return {
        "mode": "immediate",
        "fromcurrent": True,
        "frame": {"duration": duration, "redraw": True},
        "transition": {"duration": 0},
    }


def _slider(frames: Sequence[StrengthFrame], shown: int) -> dict[str, object]:
    return {
        "active": shown,
        "x": PLOT_BEGINS,
        "len": 1.0 - PLOT_BEGINS,
        "y": 0.0,
        "yanchor": "top",
        "pad": {"t": 52, "b": 0},
        "currentvalue": {"xanchor": "left", "offset": 6, "font": {"size": 14, "color": palette.NEUTRAL}},
        "font": {"size": 1, "color": "rgba(0, 0, 0, 0)"},  # every step's words would stand on the others'
        "ticklen": 0,
        "minorticklen": 0,
        "steps": [
            {"method": "animate", "args": [[str(index)], _animation(0)], "label": frame.said}
            for index, frame in enumerate(frames)
        ],
    }


def _play() -> dict[str, object]:
    return {
        "type": "buttons",
        "showactive": False,
        "x": 0.0,
        "xanchor": "left",
        "y": 0.0,
        "yanchor": "top",
        "pad": {"t": 66, "l": 0},
        "direction": "left",
        "buttons": [
            {"label": "Play", "method": "animate", "args": [None, _animation(FRAME_MS)]},
            {"label": "Pause", "method": "animate", "args": [[None], _animation(0)]},
        ],
    }
