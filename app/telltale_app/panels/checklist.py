"""The checklist of an evaluation, as the documentation has it, section by section."""

from __future__ import annotations

import streamlit as st

from telltale_app.places import CHECKLIST

SECTION = "\n## "


def show_checklist() -> None:
    """Show the document under headings of the page's own; its title is the page's."""
    opening, *sections = CHECKLIST.read_text(encoding="utf-8").split(SECTION)
    st.markdown(opening.partition("\n")[2])
    for section in sections:
        heading, _, text = section.partition("\n")
        st.header(heading, anchor=False)
        st.markdown(text)
