"""Choosing a model: those that are here, how good and how large they are, and what each lacks."""

from __future__ import annotations

import streamlit as st

from telltale.bundle.summary import BundleSummary
from telltale_app import catalogue, emphasis, state, words
from telltale_app.panels.missing import show_command


def model_button(current: str) -> bool:
    """Draw the button that names the current model; return whether the list was asked for."""
    title = catalogue.bundle(current).manifest.title
    return st.button(
        title, icon=":material/model_training:", width="stretch", key="models", help="Choose another model"
    )


@st.dialog("Models", width="medium")
def model_list(current: str) -> None:
    """Show every model with a button to go to it."""
    for problem in catalogue.folder_problems():
        st.warning(problem, icon=":material/folder_off:")
    for name in catalogue.bundle_names():
        with st.container(border=True):
            _card(catalogue.summary(name), name == current)


def _card(summary: BundleSummary, current: bool) -> None:
    if summary.problem is not None:
        st.markdown(f":material/error: **{summary.name}** cannot be used. {summary.problem}")
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        with st.container(gap="xxsmall"):
            st.markdown(f"**{summary.title}**")
            st.caption(facts(summary))
        if st.button(
            "In use" if current else "Use",
            key=f"model-{summary.name}",
            type=emphasis.filled(not current),
            disabled=current,
            help=f"{summary.title} is shown now" if current else f"Go on with {summary.title}",
            on_click=state.change_bundle,
            args=(summary.name,),
        ):
            st.rerun()  # the whole page, which closes the list
    for lack in summary.lacks:
        st.caption(f":material/info: {lack}")
    if summary.images_command is not None:
        show_command(summary.images_command)


def facts(summary: BundleSummary) -> str:
    """Return accuracy, classes, images and size of a model in one line."""
    said = []
    if summary.accuracy is not None:
        said.append(f"{words.percent(summary.accuracy)} of test images right")
    if summary.classes is not None:
        said.append(f"{summary.classes} classes")
    if summary.image_shape is not None:
        channels, height, width = summary.image_shape
        said.append(f"{'grey' if channels == 1 else 'colour'}, {width} × {height} pixels")
    if summary.size_bytes is not None:
        said.append(words.megabytes(summary.size_bytes))
    return ", ".join(said)
