"""Choosing a model: those that are here, how good and how large they are, and what each lacks."""

from __future__ import annotations

import streamlit as st

from app import catalogue, state, words
from core.bundle.summary import BundleSummary

LIST = "models"
NEXT_LINE = "  \n"


def model_choice(current: str) -> None:
    """Draw the button that names the current model and opens the list; the list is made only when it is opened."""
    title = catalogue.bundle(current).manifest.title
    popover = st.popover(title, icon=":material/model_training:", width="stretch", key=LIST, on_change="rerun")
    if popover.open:
        with popover:
            _list(current)


def _list(current: str) -> None:
    summaries = {name: catalogue.summary(name) for name in catalogue.bundle_names()}
    usable = [name for name, summary in summaries.items() if summary.problem is None]
    key = f"model-{current}"
    st.radio(
        "Model",
        usable,
        index=usable.index(current),
        format_func=lambda name: str(summaries[name].title),
        captions=[caption(summaries[name]) for name in usable],
        key=key,
        on_change=_choose,
        args=(key,),
    )
    for summary in summaries.values():
        if summary.problem is not None:
            st.caption(f":material/error: **{summary.name}** cannot be used: {summary.problem}")
    for problem in catalogue.folder_problems():
        st.caption(f":material/folder_off: {problem}")


def _choose(key: str) -> None:
    state.change_bundle(key)
    st.session_state[LIST] = False  # the list closes: the page behind it is what was asked for


def caption(summary: BundleSummary) -> str:
    """Return what a model is and what it lacks, as one Markdown text."""
    facts = []
    if summary.accuracy is not None:
        facts.append(f"{words.percent(summary.accuracy)} of test images right")
    if summary.classes is not None:
        facts.append(f"{summary.classes} classes")
    if summary.image_shape is not None:
        channels, height, width = summary.image_shape
        facts.append(f"{'grey' if channels == 1 else 'colour'}, {width} × {height} pixels")
    if summary.size_bytes is not None:
        facts.append(words.megabytes(summary.size_bytes))
    lines = [", ".join(facts), *(f":material/info: {lack}" for lack in summary.lacks)]
    if summary.images_command is not None:
        lines.append(f":material/terminal: `{summary.images_command}` brings its images.")
    return NEXT_LINE.join(lines)
