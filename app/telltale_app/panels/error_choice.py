"""Which of a model's errors are shown, and in what order: filters, what is chosen, and the confusion matrix."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go
import streamlit as st

from telltale.figures.errors import confusion_matrix
from telltale.model_errors.confusion import MOST_ROWS, OUTSIDE, OUTSIDE_NAME, WORST_ROWS, confusion_of
from telltale.model_errors.evaluated import Evaluated
from telltale_app import catalogue, layout, words
from telltale_app.panels import selection
from telltale_app.panels.error_selection import LASSO, chosen_cell, clear, in_cell, marked_cell, take_cell
from telltale_app.panels.errors import Errors, summary_words
from telltale_app.panels.slices import chosen_slice

if TYPE_CHECKING:
    from telltale.bundle import Bundle

Mask = npt.NDArray[np.bool_]

ORDERS = {
    "Most doubtful label first": ("label error", False),
    "Most confident first": ("confidence", False),
    "Least confident first": ("confidence", True),
    "Fewest agreeing neighbours first": ("neighbours of true class", True),
    "By image": ("image", True),
}
SPLITS = {"test": "Test", "calibration": "Calibration", "fit": "Fitting"}


def chosen_rows(errors: Errors) -> npt.NDArray[np.int64]:
    """Draw order and filters; return the rows of the chosen errors in that order, and say how many they are."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        offered = [title for title, (column, _) in ORDERS.items() if column in errors.frame]
        order = st.selectbox("Order", offered, key=f"errors-order-{errors.reasons is not None}", width=320)
        with st.popover("Narrow down", icon=":material/filter_alt:"):
            passing = _filters(errors)
    rows = np.flatnonzero(_narrowed(errors, passing))
    if len(rows) < len(errors.wrong):
        st.caption(f"{len(rows):,} of {len(errors.wrong):,} errors are shown.")
    column, ascending = ORDERS[order]
    values = errors.frame[column].to_numpy()[rows]
    return np.asarray(rows[np.argsort(values if ascending else -values, kind="stable")])


def nothing_note() -> None:
    """Say that no error is chosen."""
    st.info("No error passes these filters. Widen them, or choose another cell.", icon=":material/filter_alt_off:")


def _filters(errors: Errors) -> Mask:
    """Draw the filters and return which errors pass them, shape (n,)."""
    bundle, wrong = errors.bundle, errors.wrong
    held_out = errors.evaluated
    classes = np.unique(np.concatenate([held_out.labels, held_out.predictions])).tolist()
    splits = st.pills(
        "Split",
        list(SPLITS),
        default=list(SPLITS),
        format_func=SPLITS.__getitem__,
        selection_mode="multi",
        key="errors-splits",
        persist_state="session",
        help=f"Images {catalogue.unseen_words(bundle)}. Thresholds were set on the calibration images.",
    )
    true, read = (
        st.multiselect(
            title,
            classes,
            format_func=errors.name,
            key=f"errors-{title}-{bundle.name}",
            placeholder="any",
            persist_state="session",
        )
        for title in ("True class", "Read as")
    )
    low, high = st.slider(
        "Confidence", 0, 100, (0, 100), format="%d %%", key="errors-confidence", persist_state="session"
    )
    confidences = 100.0 * wrong.confidences
    passing = np.isin(wrong.splits, splits) & (confidences >= low) & (confidences <= high)
    for chosen, values in ((true, wrong.labels), (read, wrong.predictions)):
        if chosen:
            passing &= np.isin(values, chosen)
    return np.asarray(passing)


def show_confusion(errors: Errors) -> None:
    """Show the confusion matrix of all splits; a chosen cell is kept in the session."""
    bundle, marked = errors.bundle, marked_cell(errors)
    key = f"errors-matrix-{bundle.name}"
    selection.selectable_cells(
        _confusion(errors.evaluated, bundle, bundle.id, layout.theme_colour("textColor"), marked),
        f"Confusion matrix of {len(errors.evaluated):,} held-out natural images. {summary_words(errors)}",
        key,
        lambda: take_cell(errors, key),
    )
    said = "Rows are true classes, columns what the model says. Choose a cell to see its images here and on the map."
    known = catalogue.with_references(bundle)
    if known.sum() + (not known.all()) > MOST_ROWS:
        said += f" Of {known.sum():,} classes, the {WORST_ROWS} with most errors are drawn."
    if not known.all():
        said += f" *{OUTSIDE_NAME.capitalize()}* are all classes without a reference image here."
    st.caption(said)


@st.cache_resource(max_entries=32, show_spinner=False)
def _confusion(
    _evaluated: Evaluated,
    _bundle: Bundle,
    bundle_id: str,  # noqa: ARG001  # the id is the key
    colour: str,
    marked: tuple[int, int] | None,
) -> go.Figure:
    found = confusion_of(
        _evaluated.labels, _evaluated.predictions, _bundle.class_names, catalogue.with_references(_bundle)
    ).shown()
    return layout.legible(confusion_matrix(found.counts, found.names, labels=found.labels, marked=marked), colour)


def _narrowed(errors: Errors, passing: Mask) -> Mask:
    """Narrow the filtered errors to the chosen cell, lasso and group, and say what they are, with a way out."""
    wrong, scope, said = errors.wrong, errors.bundle.id, []
    cell, lasso = chosen_cell(errors), selection.selected(LASSO, scope)
    chosen = passing.copy()
    if cell is not None:
        chosen &= in_cell(errors, cell)
        true, read = (OUTSIDE_NAME if label == OUTSIDE else errors.name(label) for label in cell)
        said.append(f"**{true}** read as **{read}**")
    if lasso is not None:
        chosen &= np.isin(wrong.ids, lasso)
        said.append("inside the lasso")
    group = chosen_slice(scope)
    if group is not None:
        chosen &= np.isin(wrong.ids, group[1])
        said.append(f"in the group **{group[0]}**")
    if said:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f":material/filter_alt: Only {words.listed(said)}.")
            st.button(
                "Show all",
                icon=":material/close:",
                key="errors-clear",
                on_click=clear,
            )
    return chosen
