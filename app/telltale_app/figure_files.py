"""A chart as a file: one quiet button at its corner, and what it opens. PNG and SVG are made in the browser."""

from __future__ import annotations

from html import escape
from typing import Any

import streamlit as st

from telltale.figures.drawn_data import drawn_csv

PICTURES = {"png": "PNG", "svg": "SVG"}
STYLE = """
[class*="st-key-chart-of-"] { position: relative; }
[class*="st-key-chart-of-"] .modebar:not(:has([data-attr="zoom"])) { display: none; }
[class*="st-key-chart-of-"] .modebar:has([data-attr="zoom"]) { right: 2rem !important; }
[class*="st-key-save-chart-"] { position: absolute; top: 0; right: 0; width: auto; z-index: 2; opacity: 0.6; }
[class*="st-key-save-chart-"]:is(:hover, :focus-within) { opacity: 1; }
[class*="st-key-save-chart-"] button { min-height: 1.5rem; padding: 0.1rem; }
[class*="st-key-save-chart-"] button [data-testid="stMarkdownContainer"] {
  position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%);
}
.telltale-files { display: flex; gap: 0.75rem; }
.telltale-files button {
  font: inherit; color: inherit; background: none; padding: 0.4rem 1rem; border: 1px solid; border-radius: 0.4rem;
  cursor: pointer;
}
"""
"""The button lies over the corner of its chart and takes no room; its words are there for who cannot see the icon.
Plotly's own buttons, where a chart has them, stand beside it."""


def save_button(figure: Any, alt: str, key: str) -> None:
    """Offer the chart as PNG, SVG and CSV; the table is only written for whoever asks."""
    title = alt.partition(":")[0].partition(";")[0].replace("*", "")
    if st.button(f"Save the chart: {title}", icon=":material/download:", type="tertiary", key=f"save-chart-{key}"):
        _files(figure, title, key)


@st.dialog("Save this chart", icon=":material/download:")
def _files(figure: Any, title: str, key: str) -> None:
    st.markdown(title)
    buttons = "".join(
        f'<button type="button" data-save-as="{form}" data-save-of="{escape(key)}">{name}</button>'
        for form, name in PICTURES.items()
    )
    with st.container(horizontal=True, vertical_alignment="center"):
        st.html(f'<div class="telltale-files">{buttons}</div>', width="content")
        st.download_button(
            "CSV",
            drawn_csv(figure),
            f"telltale-{key}.csv",
            "text/csv",
            key=f"csv-{key}",
            on_click="ignore",
        )
    st.caption("Pictures are as you see the chart, on a see-through ground. The table holds every point that is drawn.")
