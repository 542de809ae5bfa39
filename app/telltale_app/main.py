"""Entry script: the pages, the case beside them, and the address that carries it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

from telltale.base.errors import InputError
from telltale_app import corrections, layout, pins, state
from telltale_app.lessons import course
from telltale_app.lessons.lesson_bar import lesson_bar
from telltale_app.login import require_login
from telltale_app.pages import PAGES, Page
from telltale_app.places import ICON, LOGO
from telltale_app.sidebar import show_sidebar


def navigation(pages: Sequence[Page]) -> dict[str, list[Any]]:
    """Return the pages by heading, as Streamlit takes them."""
    offered: dict[str, list[Any]] = {}
    for entry in pages:
        shown = st.Page(
            f"app_pages/{entry.file}",
            title=entry.title,
            icon=entry.icon,
            url_path=entry.path or None,
            default=not entry.path,
            help=entry.help,
        )
        offered.setdefault(entry.heading, []).append(shown)
    return offered


st.set_page_config(page_title="Telltale", page_icon=ICON, layout="wide")
st.logo(LOGO, icon_image=ICON, size="large")
require_login()

page = st.navigation(navigation(PAGES), expanded=True)  # of many, Streamlit would hide the last
try:
    course.synchronise()
    state.synchronise()
    pins.synchronise()
    corrections.synchronise()
except InputError as error:
    st.error(str(error), icon=":material/error:")
    st.stop()
show_sidebar()
layout.start_at_top(page.url_path)
lesson_bar(page.url_path)
page.run()
