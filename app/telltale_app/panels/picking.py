"""Picking training images to be corrected: a small button under each, and one for many."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import streamlit as st

from telltale_app import corrections
from telltale_app.corrections import Pick

if TYPE_CHECKING:
    from telltale.bundle import Bundle
    from telltale.model_errors.corrections import Correction


def pick_button(bundle: Bundle, pick: Pick, key: str) -> None:
    """Offer to pick a training image, to let it go again, or to undo its correction.

    Parameters
    ----------
    bundle : Bundle
    pick : Pick
    key : str
        Of the list in which it stands: the same image may stand in another one.
    """
    if bundle.training_problem is not None:
        return  # said at the end of the page
    correction = corrections.correction_of(bundle, pick.image_id)
    name = f"{key}-pick-{pick.image_id}"
    if correction is not None:
        st.caption(f":material/edit: {change_words(bundle, correction)}")
        undo_button(bundle, pick.image_id, name)
        return
    chosen = corrections.is_picked(bundle, pick.image_id)
    st.button(
        "Picked" if chosen else "Pick",
        icon=":material/check_box:" if chosen else ":material/check_box_outline_blank:",
        key=name,
        type="tertiary",
        on_click=corrections.toggle,
        args=(bundle, pick),
        help=f"Training image {pick.image_id}: pick it to remove or relabel it at the end of this page.",
    )


def pointer(bundle: Bundle) -> None:
    """Say how many training images are picked and corrected, with a way to the section about them; nothing for none."""
    if said := corrections.words(bundle):
        st.markdown(f":material/edit: Training images: {said}. [Go on at the end of this page](#correct)")


def undo_button(bundle: Bundle, image_id: int, key: str) -> None:
    """Offer to undo one correction."""
    st.button(
        "Undo",
        icon=":material/undo:",
        key=f"{key}-undo",
        type="tertiary",
        on_click=corrections.undo,
        args=(bundle, image_id),
        help=f"Training image {image_id}: leave it as it was.",
    )


def pick_many_button(bundle: Bundle, count: int, make: Callable[[], Sequence[Pick]], words: str, key: str) -> None:
    """Offer to pick several training images at once; nothing is offered where there are none.

    Parameters
    ----------
    bundle : Bundle
    count : int
    make : callable
        Returns the picks.
    words : str
        What they are, as in "Pick all 12 inside the lasso".
    key : str
    """
    if count and bundle.training_problem is None:
        st.button(
            words,
            icon=":material/library_add_check:",
            key=key,
            on_click=lambda: corrections.pick_all(bundle, make()),
            help="Picked images are removed or relabelled at the end of this page.",
        )


def change_words(bundle: Bundle, correction: Correction) -> str:
    """Return in a word or two what is done to an image."""
    return "removed" if correction.new_label is None else f"now {bundle.class_names[correction.new_label]}"
