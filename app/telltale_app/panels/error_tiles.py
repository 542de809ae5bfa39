"""A model's errors as tiles: the picture, what was read and what the label says, how surely, why, and who is right."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import streamlit as st

from telltale.kinds.trajectory import NO_LAYER
from telltale.model_errors.sentences import label_conclusion, votes_of, why_misread
from telltale_app import catalogue
from telltale_app.link_images import image_words
from telltale_app.panels import error_selection, selection
from telltale_app.panels.bars import named_bars, percent_bar
from telltale_app.panels.errors import Errors
from telltale_app.panels.tiles import PICTURES, beside_picture, tiles, turn_to

FOLLOWED = "errors-followed"


def show_tiles(errors: Errors, rows: npt.NDArray[np.int64]) -> None:
    """Show errors as tiles, a page at a time; as chips with the names of their classes where there are no pictures."""
    st.caption(_reading_words(errors))
    draw = _chip if errors.bundle.image_set is None else _tile
    _follow(errors, rows)
    tiles(errors.bundle, len(rows), lambda place: draw(errors, int(rows[place])), "errors")


def show_first(errors: Errors) -> None:
    """Show the most confident errors, as many as stand on one page, while the reasons of all are looked for."""
    rows = np.argsort(-errors.wrong.confidences, kind="stable")[:PICTURES]
    st.caption(_reading_words(errors))
    tiles(errors.bundle, len(rows), lambda place: _with_picture(errors, int(rows[place])), "errors-first")


def why_words(errors: Errors, row: int) -> str:
    """Return in one sentence why an image is misread; empty while its reasons are not known."""
    reasons, wrong = errors.reasons, errors.wrong
    if reasons is None or "true_share" not in reasons:
        return ""
    shares = float(reasons["true_share"][row]), float(reasons["predicted_share"][row])
    votes = votes_of(*_names(errors, row), *shares, int(reasons["k"]))
    departs = "departures" in reasons and not catalogue.outside_words(errors.bundle, int(wrong.predictions[row]))
    departure = int(reasons["departures"][row]) if departs else NO_LAYER
    return why_misread(votes, None if departure == NO_LAYER else errors.layer(departure), departs)


def label_words(errors: Errors, row: int) -> str:
    """Return what the doubt of an error's label concludes; empty while it is not known."""
    if errors.reasons is None or "label_error" not in errors.reasons:
        return ""
    return label_conclusion(float(errors.reasons["label_error"][row]))


def _reading_words(errors: Errors) -> str:
    """Return how the tiles are read."""
    reasons = errors.reasons
    if reasons is None or "label_confidence" not in reasons:
        return "Bars: the softmax probability of the class that was read."
    said = "Bars: the softmax probabilities of the class that was read, and of the label's."
    if "k" not in reasons:
        return said
    word = catalogue.reference_word(errors.bundle)
    return f"{said} Neighbours: the {reasons['k']} nearest {word} images on {errors.bundle.layers[-1]}."


def _names(errors: Errors, row: int) -> tuple[str, str]:
    """Return the names of an error's true class and of the one that it is read as."""
    return errors.name(int(errors.wrong.labels[row])), errors.name(int(errors.wrong.predictions[row]))


def _tile(errors: Errors, row: int) -> None:
    _with_picture(errors, row)
    if why := why_words(errors, row):
        st.markdown(why)
    if doubt := label_words(errors, row):
        st.caption(doubt)
    reference = errors.reference(row)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        selection.open_button(errors.bundle, reference, f"errors-open-{reference}")
        _choose_button(errors, row)


def _with_picture(errors: Errors, row: int) -> None:
    true, read = _names(errors, row)
    image_id = int(errors.wrong.ids[row])
    said = f"Image {image_id}, class {true}, read as {read}"
    beside_picture(errors.bundle, image_id, said, lambda: _heading(errors, row))


def _follow(errors: Errors, rows: npt.NDArray[np.int64]) -> None:
    """Turn to the tile of the chosen error once it has been chosen; a person may turn on from there."""
    row = error_selection.chosen_row(errors)
    if row == st.session_state.get(FOLLOWED):
        return
    st.session_state[FOLLOWED] = row
    for place in np.flatnonzero(rows == row):
        turn_to(errors.bundle, int(place), "errors")


def _choose_button(errors: Errors, row: int) -> None:
    """Offer to choose an error, or say that it is the chosen one."""
    if row == error_selection.chosen_row(errors):
        st.markdown(":material/my_location: **Chosen**")
        return
    st.button(
        "Choose",
        icon=":material/my_location:",
        key=f"errors-choose-{errors.reference(row)}",
        type="tertiary",
        help="Marks it on the map and in the confusion matrix, and says more of it below them.",
        on_click=error_selection.choose,
        args=(errors, row),
    )


def _chip(errors: Errors, row: int) -> None:
    _heading(errors, row)
    st.caption(image_words(errors.reference(row)))
    _choose_button(errors, row)


def _heading(errors: Errors, row: int) -> None:
    """Say what was read and what the label says, and draw how surely."""
    true, read = _names(errors, row)
    st.markdown(f"Read as **{read}**, labelled **{true}**")
    bars = [percent_bar(read, float(errors.wrong.confidences[row]))]
    if errors.reasons is not None and "label_confidence" in errors.reasons:
        bars.append(percent_bar(true, float(errors.reasons["label_confidence"][row])))
    named_bars(bars)
