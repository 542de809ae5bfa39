"""The checklist of an evaluation, as the documentation has it, section by section."""

from __future__ import annotations

import streamlit as st

from telltale_app.places import CHECKLIST

SECTION = "\n## "
FENCE = "\n```\n"


def show_checklist() -> None:
    """Show the document under headings of the page's own; its title is the page's."""
    opening, *sections = CHECKLIST.read_text(encoding="utf-8").split(SECTION)
    st.markdown(opening.partition("\n")[2])
    for section in sections:
        heading, _, text = section.partition("\n")
        st.header(heading, anchor=False)
        _show_text(text)


def _show_text(text: str) -> None:
    """Show text whose commands wrap: what scrolls sideways cannot be read with a keyboard."""
    for place, part in enumerate(text.split(FENCE)):
        if place % 2:
            st.code(part.strip(), language="sh", wrap_lines=True)
        elif part.strip():
            st.markdown(part)
