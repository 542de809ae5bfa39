"""Pictures of the same pixels that are looked at together: a pixel that is pointed at is read out in each of them."""

from __future__ import annotations

from functools import cache

import streamlit as st

from telltale.figures.packed_picture import PackedPicture, pack
from telltale_app import components

COMPONENT = "pictures"
HTML = '<div class="linked"><canvas role="img" tabindex="0"></canvas><output aria-live="polite"></output></div>'


def show(picture: PackedPicture, said: str, group: str, key: str, side: int | None = None) -> None:
    """Show one picture of a group.

    Parameters
    ----------
    picture : PackedPicture
    said : str
        What a person who cannot see it should know.
    group : str
        Pictures with this name are looked at together.
    key : str
    side : int, optional
        Width on the page in pixels, at most; as wide as its container where None.
    """
    components.declare()
    component = st.components.v2.component(f"{components.OWNER}.{COMPONENT}", html=HTML, css=_style(), js="pictures.js")
    component(key=key, data=pack(picture, said=said, group=group, side=side))


@cache
def _style() -> str:
    return (components.PACKAGE / components.FOLDERS[COMPONENT] / "pictures.css").read_text(encoding="utf-8")
