"""Tiles that pair a small picture with words, a page at a time; chips of words alone where there are no pictures."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import streamlit as st

from telltale_app.panels import selection

if TYPE_CHECKING:
    from telltale.bundle import Bundle

PICTURES, CHIPS = 12, 24  # tiles on one page, with pictures and without
PICTURES_WIDTH, CHIPS_WIDTH = 290, 190
SIDE = 96


def tiles(bundle: Bundle, count: int, draw: Callable[[int], None], key: str) -> None:
    """Show `count` tiles.

    Parameters
    ----------
    bundle : Bundle
    count : int
    draw : callable
        Draws what stands in the tile of one row.
    key : str
    """
    chips, per_page = bundle.image_set is None, _per_page(bundle)
    pages = max(1, -(-count // per_page))
    grid = st.container()
    page = st.pagination(pages, key=f"{key}-page") if pages > 1 else 1
    first = (min(page, pages) - 1) * per_page
    with grid, st.grid("auto", min_column_width=CHIPS_WIDTH if chips else PICTURES_WIDTH, gap="small"):
        for row in range(first, min(first + per_page, count)):
            with st.container(border=True, gap="xsmall", height="stretch"):
                draw(row)


def turn_to(bundle: Bundle, place: int, key: str) -> None:
    """Turn to the page on which the tile of one row stands; before `tiles`."""
    st.session_state[f"{key}-page"] = place // _per_page(bundle) + 1


def _per_page(bundle: Bundle) -> int:
    return CHIPS if bundle.image_set is None else PICTURES


def beside_picture(bundle: Bundle, image_id: int, said: str, write: Callable[[], None]) -> None:
    """Write beside the picture of a data-set image; without the picture where it is not on this machine."""
    if bundle.image_set is None:
        write()
        return
    with st.container(horizontal=True, gap="small"):
        with st.container(width=SIDE):
            selection.picture(bundle, image_id, said, side=SIDE)
        with st.container(width="stretch", gap="xxsmall"):
            write()
