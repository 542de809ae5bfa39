"""Small bars beside words and under pictures, where a chart would be too much."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import streamlit as st

from telltale_app import layout, words

_GRID = (
    '<div style="display:grid;grid-template-columns:fit-content(45%) minmax(2rem,1fr) max-content;'
    'gap:0.15rem 0.5rem;align-items:center;font-size:0.875rem">'
)
_NAME = '<span style="overflow:hidden;text-overflow:ellipsis;white-space:nowrap">'
_GROUND = '<span aria-hidden="true" style="display:block;height:0.4rem;border-radius:0.2rem;overflow:hidden;background:'


@dataclass(frozen=True)
class Bar:
    """One bar.

    Attributes
    ----------
    name : str
        Before it.
    share : float
        How much of it is filled, in [0, 1].
    number : str
        Behind it.
    """

    name: str
    share: float
    number: str


def percent_bar(name: str, share: float) -> Bar:
    """Return a bar with its share in percent behind it."""
    return Bar(name, share, words.percent(share))


def named_bars(bars: Sequence[Bar]) -> None:
    """Show bars below each other, each between its name and its number."""
    rows = "".join(
        f"{_NAME}{escape(bar.name)}</span>{_drawn(bar.share)}<span>{escape(bar.number)}</span>" for bar in bars
    )
    st.html(f"{_GRID}{rows}</div>")


def bare_bar(share: float) -> None:
    """Show one bar alone; what it says stands beside it in words."""
    st.html(_drawn(share))


def _drawn(share: float) -> str:
    filled = 100.0 * min(max(share, 0.0), 1.0)
    ground, colour = layout.theme_colour("borderColor"), layout.theme_colour("primaryColor")
    return (
        f'{_GROUND}{ground}"><span style="display:block;height:100%;width:{filled:.1f}%;background:{colour}">'
        "</span></span>"
    )
