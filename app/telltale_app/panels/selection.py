"""Linked views of images: what is chosen on a chart or a map becomes a table, thumbnails, figures and a file.

The selection is kept in the session, because Plotly forgets its own as soon as the figure changes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
import streamlit as st

from telltale.base.csv_cells import as_text
from telltale_app import layout, pictures, state

if TYPE_CHECKING:
    from telltale.bundle import Bundle

Ids = npt.NDArray[np.int64]

PER_PAGE = 16
MOST_ROWS, SCROLLED_HEIGHT = 11, 420  # half a row says that there are more


@dataclass(frozen=True)
class Thumbnail:
    """One image of a selection, as it is shown and opened.

    Attributes
    ----------
    image_id : int
    reference : str
        As a case names it, such as "test-12".
    said : str
        Text alternative.
    caption : str
        A few words in Markdown.
    """

    image_id: int
    reference: str
    said: str
    caption: str


def selectable_cells(figure: Any, alt: str, key: str, on_choice: Callable[[], None]) -> None:
    """Show a figure of which one point at a time can be chosen; `on_choice` finds it by `take`."""
    layout.placed(figure, alt, key, layout.CHART_CONFIG, on_select=on_choice, selection_mode="points")


def selected(name: str, scope: str) -> Ids | None:
    """Return what was selected, flat; None where nothing is, or where it was selected in another scope."""
    kept = st.session_state.get(name)
    if kept is None or kept["scope"] != scope:
        return None
    return np.asarray(kept["ids"], dtype=np.int64)


def clear(*names: str) -> None:
    """Forget selections; for widget callbacks."""
    for name in names:
        st.session_state.pop(name, None)


def take(key: str, name: str, scope: str) -> None:
    """Keep the `customdata` of the points that a chart reports, for `selected`; for its callback."""
    ids = _reported(st.session_state[key]["selection"]["points"])
    st.session_state[name] = {"scope": scope, "ids": ids} if ids else None


def _reported(points: Sequence[Any]) -> list[int]:
    return [value for point in points for value in _numbers(point.get("customdata"))]


def _numbers(customdata: Any) -> list[int]:
    """Return a point's `customdata`, which the browser sends as a number, a list, or a row as {"0": ..., "1": ...}."""
    if customdata is None:
        return []
    return [int(value) for value in np.ravel(list(customdata.values()) if isinstance(customdata, dict) else customdata)]


def table(frame: pd.DataFrame, alt: str, key: str, columns: dict[str, Any]) -> None:
    """Show a table that sorts by a click on a column's name."""
    st.dataframe(frame, hide_index=True, key=key, alt=alt, column_config=columns, height=_height(frame))


def pickable_table(frame: pd.DataFrame, alt: str, key: str, columns: dict[str, Any]) -> list[int]:
    """Show a table that sorts by a click on a column's name; return the rows that are ticked."""
    event = st.dataframe(
        frame,
        hide_index=True,
        key=key,
        alt=alt,
        column_config=columns,
        height=_height(frame),
        on_select="rerun",
        selection_mode="multi-row",
    )
    return [int(row) for row in event["selection"]["rows"] if row < len(frame)]


def choosable_table(
    frame: pd.DataFrame, alt: str, key: str, columns: dict[str, Any], on_choice: Callable[[int], None]
) -> None:
    """Show a table that sorts by a click on a column's name; a click in a row calls `on_choice` with its place."""

    def choose() -> None:
        chosen = st.session_state[key]["selection"]
        rows = [*chosen["rows"], *(row for row, _ in chosen["cells"])]
        if rows and rows[0] < len(frame):
            on_choice(int(rows[0]))

    st.dataframe(
        frame,
        hide_index=True,
        key=key,
        alt=alt,
        column_config=columns,
        height=_height(frame),
        on_select=choose,
        selection_mode=("single-row", "single-cell"),  # a row by its checkbox, or by a click anywhere in it
    )


def _height(frame: pd.DataFrame) -> int | Literal["content"]:
    return "content" if len(frame) <= MOST_ROWS else SCROLLED_HEIGHT


def metrics(figures: Sequence[tuple[str, str, str]]) -> None:
    """Show (label, value, help) of a selection."""
    with st.grid("auto", min_column_width=165):
        for label, value, explained in figures:
            st.metric(label, value, help=explained, border=True)


def download(frame: pd.DataFrame, file: str, key: str) -> None:
    """Offer every row of a selection as CSV."""
    st.download_button(
        "Download as CSV",
        frame.map(as_text).to_csv(index=False),
        file,
        "text/csv",
        icon=":material/download:",
        key=key,
        on_click="ignore",
    )


def thumbnails(
    bundle: Bundle,
    count: int,
    make: Callable[[int], Thumbnail],
    key: str,
    below: Callable[[int], None] | None = None,
) -> None:
    """Show images of a selection, a page at a time, each with a button that opens it in the workbench.

    Parameters
    ----------
    bundle : Bundle
    count : int
    make : callable
        Returns the thumbnail of one of `count` rows.
    key : str
    below : callable, optional
        Draws what else stands under the image of a row.
    """
    pages = max(1, -(-count // PER_PAGE))
    grid = st.container()
    page = st.pagination(pages, key=f"{key}-page") if pages > 1 else 1
    first = (min(page, pages) - 1) * PER_PAGE
    with grid, st.grid("auto", min_column_width=112, gap="xsmall"):
        for row in range(first, min(first + PER_PAGE, count)):
            with st.container(gap="xxsmall"):
                _thumbnail(bundle, make(row), key)
                if below is not None:
                    below(row)


def picture(bundle: Bundle, image_id: int, said: str, caption: str | None = None, side: int | None = None) -> None:
    """Show a data-set image; only its caption, as a chip, where it is not on this machine."""
    if bundle.image_set is not None:
        pictures.show(bundle.image_set.images([image_id])[0], said, caption, side)
    elif caption is not None:
        with st.container(border=True):
            st.caption(caption)


def open_button(bundle: Bundle, reference: str, key: str, small: bool = False) -> None:
    """Offer to open a data-set image in the workbench; not where it is not on this machine."""
    if bundle.image_set is None:
        return
    look: dict[str, Any] = {"type": "tertiary"} if small else {"icon": ":material/science:"}
    if st.button("Open", key=key, help=f"Open image {reference} in the workbench.", **look):
        state.pick_image(reference)
        st.switch_page("app_pages/workbench.py", query_params=state.current().to_query())


def _thumbnail(bundle: Bundle, item: Thumbnail, key: str) -> None:
    picture(bundle, item.image_id, item.said, item.caption)
    open_button(bundle, item.reference, f"{key}-open-{item.reference}")
