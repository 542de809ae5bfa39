"""The map of a model's errors among the training images: what is shown stays strong, and a choice goes both ways."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import streamlit as st

from telltale.figures.packed_map import MapPoints
from telltale.figures.results.errors_map import ChosenError, error_points, packed_errors
from telltale_app import catalogue, state, words
from telltale_app.panels import canvas_map, error_selection, selection
from telltale_app.panels.errors import Errors

if TYPE_CHECKING:
    from telltale.model_errors.reasons import ErrorReasons

MAP, OPENED = "errors-map-of", "errors-opened"
HOW_TO = (
    "Point at an image to see it; click an error to choose it, or draw around several. The wheel zooms, and close up "
    "pictures stand in place of points; *Move*, or Shift, drags the map. By keyboard: arrows go through the errors, "
    "Enter chooses one, + and − zoom, Esc takes a choice back."
)


def show_map(errors: Errors, rows: npt.NDArray[np.int64]) -> None:
    """Show all errors among the training images of one layer; nothing is drawn while their places are not known.

    Parameters
    ----------
    errors : Errors
    rows : array of int64
        The errors that the page shows, in their order; all others are faint.
    """
    bundle, reasons = errors.bundle, errors.reasons
    if reasons is None:
        return
    methods = [name for name in words.MAP_TITLES if name in bundle.maps]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        layer_name = st.selectbox(
            "Layer", bundle.layers, index=len(bundle.layers) - 1, key="errors-layer", persist_state="session", width=200
        )
        method = st.segmented_control(
            "Map",
            methods,
            default=methods[0],
            format_func=words.MAP_TITLES.__getitem__,
            required=True,
            key="errors-map",
            persist_state="session",
        )
    layer = bundle.layers.index(layer_name)
    points = _points(errors, bundle.id, str(method), layer)
    chosen = error_selection.chosen_row(errors)
    said = (
        f"{words.MAP_TITLES[str(method)]} map at {layer_name}: {len(errors.wrong):,} misread images among "
        f"{points.first:,} {catalogue.reference_word(bundle)} images, {len(rows):,} of them shown. Arrow keys go "
        "through these, Enter chooses one, plus and minus zoom, Escape takes a choice back."
    )
    selected = chosen is not None or selection.selected(error_selection.LASSO, bundle.id) is not None
    packed = packed_errors(
        points,
        bundle,
        rows,
        None if chosen is None else ChosenError(chosen, _harmful(reasons, chosen)),
        error_selection.marked_cell(errors) or (),
        {"map": f"{bundle.id}-{method}-{layer}", **canvas_map.header(bundle, MAP, said, selected)},
    )
    canvas_map.show(packed, MAP, lambda: take(canvas_map.choice(MAP, points.count), errors))
    _open_chosen(errors)
    st.caption(
        f"{HOW_TO} Every error stands at the weighted mean of its nearest references' places; those that the page does "
        f"not show are faint. All other points are {catalogue.reference_word(bundle)} images; lines lead from the "
        "chosen error to those that most harm its true class."
    )


def take(choice: canvas_map.Choice, errors: Errors) -> None:
    """Keep what was chosen on the map; for its callback.

    Parameters
    ----------
    choice : Choice
        Errors lie behind the training images; of these, one can be opened, but none chosen.
    errors : Errors
    """
    first = len(errors.bundle.splits.train)
    if choice.rows is not None:
        error_selection.take_points(errors, choice.rows[choice.rows >= first] - first)
    if choice.opened is not None and choice.opened >= first:
        error_selection.choose(errors, choice.opened - first)
    elif choice.opened is not None:
        st.session_state[OPENED] = choice.opened


def _open_chosen(errors: Errors) -> None:
    """Open in the workbench what was chosen to be opened, if anything: a training image, or the chosen error."""
    row, chosen = st.session_state.pop(OPENED, None), error_selection.chosen_row(errors)
    if row is None:
        return
    if row >= 0:
        state.pick_image(f"train-{errors.bundle.splits.train[row]}")
    elif chosen is not None:
        state.pick_image(errors.reference(chosen))
    st.switch_page("app_pages/workbench.py", query_params=state.current().to_query())


def _harmful(reasons: ErrorReasons, row: int) -> npt.NDArray[np.int64]:
    return np.asarray(reasons["harmful_ids"][row] if "harmful_ids" in reasons else [], dtype=np.int64)


@st.cache_resource(max_entries=32, show_spinner=False)
def _points(_errors: Errors, bundle_id: str, method: str, layer: int) -> MapPoints:  # noqa: ARG001  # the id is the key
    reasons, frame = _errors.reasons, _errors.frame
    assert reasons is not None
    readings = [
        f"image {image_id}: {true}, read as {read}"
        for image_id, true, read in zip(frame["image"], frame["true class"], frame["read as"], strict=True)
    ]
    places = np.asarray(reasons["positions"][method][:, layer])
    return error_points(_errors.bundle, method, layer, places, reasons.ids, readings)
