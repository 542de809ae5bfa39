"""Training images that were chosen on a map of all of them: listed below it, or opened."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import streamlit as st

from telltale.figures.points import Ids, positions_of
from telltale_app import catalogue, state, words
from telltale_app.corrections import Pick
from telltale_app.panels import selection
from telltale_app.panels.canvas_map import Choice
from telltale_app.panels.picking import pick_button, pick_many_button
from telltale_app.panels.selection import Thumbnail
from telltale_app.panels.training_images import TrainingImage

if TYPE_CHECKING:
    from telltale.bundle import Bundle

LASSO, OPENED = "map-lasso", "map-opened"
_REASON = "inside a lasso on the map of training images"


def take(choice: Choice, bundle: Bundle) -> None:
    """Keep what was chosen on the map until the page has run; for its callback."""
    if choice.rows is not None:
        ids = bundle.splits.train[choice.rows]
        st.session_state[LASSO] = {"scope": bundle.id, "ids": ids} if len(ids) else None
    if choice.opened is not None:
        st.session_state[OPENED] = choice.opened


def lassoed_rows(bundle: Bundle) -> Ids:
    """Return the training images that were chosen, as ascending positions among all."""
    lassoed = selection.selected(LASSO, bundle.id)
    return np.empty(0, np.int64) if lassoed is None else positions_of(np.unique(lassoed), bundle.splits.train)


def open_chosen(bundle: Bundle) -> None:
    """Open in the workbench what was chosen to be opened, if anything; a training image only where it can be seen."""
    row = st.session_state.pop(OPENED, None)
    if row is None or (row >= 0 and bundle.image_set is None):
        return
    if row >= 0:
        state.pick_image(f"train-{bundle.splits.train[row]}")
    st.switch_page("app_pages/workbench.py", query_params=state.current().to_query())


def show_lassoed(bundle: Bundle, lists: Mapping[str, Sequence[TrainingImage]]) -> None:
    """Show table, thumbnails, figures and file of the lassoed training images; a hint where there are none.

    Parameters
    ----------
    bundle : Bundle
    lists : mapping of str to sequence of TrainingImage
        The current image's nearest, most helpful and most harmful training images, where the page knows these.
    """
    rows = lassoed_rows(bundle)
    if not len(rows):
        return
    frame = _frame(bundle, rows, lists)
    with st.container(horizontal=True, vertical_alignment="center"):
        images = f"{catalogue.reference_word(bundle)} image{'' if len(frame) == 1 else 's'}"
        st.markdown(f":material/gesture: **{len(frame):,} {images}** inside the lasso.")
        st.button("Clear", icon=":material/close:", key="map-clear", on_click=selection.clear, args=(LASSO,))
        pick_many_button(
            bundle,
            len(frame),
            lambda: [Pick(int(i), _REASON) for i in frame["image"]],
            "Pick it" if len(frame) == 1 else f"Pick all {len(frame):,}",
            "map-pick",
        )
    selection.metrics(_figures(frame, lists))
    selection.table(frame, f"{len(frame)} lassoed images with class and lists", f"map-table-{bundle.name}", _COLUMNS)
    selection.download(frame, f"{bundle.name}-selection.csv", "map-csv")
    selection.thumbnails(
        bundle,
        len(frame),
        lambda i: _thumbnail(frame, i),
        "map",
        lambda i: pick_button(bundle, Pick(int(frame["image"].iloc[i]), _REASON), "map"),
    )


_COLUMNS: dict[str, object] = {
    "image": st.column_config.NumberColumn(format="%d", help="Data-set id"),
    "lists": st.column_config.TextColumn(help="Whether it is among this image's nearest, helpful or harmful ones."),
}


def _frame(bundle: Bundle, rows: Ids, lists: Mapping[str, Sequence[TrainingImage]]) -> pd.DataFrame:
    ids = bundle.splits.train[rows]
    members = {kind: {item.image_id for item in items} for kind, items in lists.items()}
    names = np.array(bundle.class_names)
    frame = pd.DataFrame(
        {
            "image": ids,
            "class": names[bundle.training_labels[rows]],
            "lists": [", ".join(kind for kind, known in members.items() if int(i) in known) for i in ids],
        }
    )
    if not lists:
        return frame.drop(columns="lists")
    # What decided comes first: it is a handful among hundreds.
    return frame.sort_values("lists", key=lambda lists: lists == "", kind="stable", ignore_index=True)


def _figures(frame: pd.DataFrame, lists: Mapping[str, Sequence[TrainingImage]]) -> list[tuple[str, str, str]]:
    counts = frame["class"].value_counts()
    listed = [
        (f"Among the {kind}", f"{int(frame['lists'].str.contains(kind).sum())} of {len(items)}", "On this layer.")
        for kind, items in lists.items()
    ]
    return [
        ("Images", f"{len(frame):,}", "Inside the lasso."),
        ("Classes", str(len(counts)), "How many different true classes they have."),
        ("Most frequent", str(counts.index[0]), f"True class of {words.percent(counts.iloc[0] / len(frame))} of them."),
        *listed,
    ]


def _thumbnail(frame: pd.DataFrame, row: int) -> Thumbnail:
    item = frame.iloc[row]
    image_id = int(item["image"])
    lists = item.get("lists")
    caption = f"**{item['class']}**" + (f"  \n{lists}" if lists else "")
    return Thumbnail(image_id, f"train-{image_id}", f"Training image {image_id}, class {item['class']}", caption)
