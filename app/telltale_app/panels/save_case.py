"""Saving the current case, from beside every page, and what a reopened case says of itself."""

from __future__ import annotations

import streamlit as st

from telltale.base.errors import InputError, TelltaleError
from telltale.cases import wording
from telltale.cases.making import LONGEST_NOTE
from telltale.cases.settings import saving_allowed, switched_off_by
from telltale_app import cases, emphasis, state, words
from telltale_app.analyses import CaseAnalysis, analyse

SHOWN_DIFFERENCES = 4


def save_button() -> None:
    """Offer to save the current case with a note and tags; nothing where saving is switched off."""
    if allowed():
        with st.popover("Save case", icon=":material/bookmark_add:", key="save-case"):
            _form()


def allowed() -> bool:
    """Return whether cases may be saved and deleted here; a setting that says neither is shown as its sentence."""
    try:
        return saving_allowed()
    except InputError as error:
        st.error(str(error), icon=":material/error:")
        return False


def check_note(analysed: CaseAnalysis) -> None:
    """Say of a reopened case whether its numbers are those that were saved."""
    record = cases.opened()
    if record is None:
        return
    found = cases.check(record, analysed)
    said = f"Opened from the cases saved on {wording.moment(record.saved_at)}."
    if found.changed:
        listed = words.listed([*found.changed[:SHOWN_DIFFERENCES], *_more(len(found.changed) - SHOWN_DIFFERENCES)])
        reason = "" if found.same_bundle else " The model of that name has been built again since."
        st.warning(f"{said}{reason} Other numbers than saved: {listed}.", icon=":material/difference:")
    elif not found.same_bundle:
        st.info(
            f"{said} The model of that name has been built again since; the numbers are still the same.",
            icon=":material/info:",
        )
    else:
        st.caption(f":material/bookmark: {said} Every number is as it was saved.")


def _form() -> None:
    with st.form("save-case-form", border=False, clear_on_submit=True):
        note = st.text_area("Note", max_chars=LONGEST_NOTE, key="save-note", placeholder="What is worth remembering?")
        tags = st.text_input("Tags", key="save-tags", placeholder="teaching, odd sevens", help="Separated by commas.")
        sent = st.form_submit_button("Save", type=emphasis.filled(), icon=":material/bookmark_add:", width="stretch")
    st.caption("Pictures, settings and numbers are kept where everyone who uses this server sees them.")
    if sent:
        _save(note, tags)


def _save(note: str, tags: str) -> None:
    from telltale.cases.store import open_store

    analysed = analyse(state.current(), announce=False)
    try:
        open_store().save(cases.from_analysis(analysed, note, tags.split(",")))
    except TelltaleError as error:
        st.error(str(error), icon=":material/error:")
        return
    st.success("Saved.", icon=":material/bookmark_added:")
    st.page_link("app_pages/cases.py", label="All saved cases", query_params=state.current().to_query())


def _more(count: int) -> list[str]:
    return [f"{count} more"] if count > 0 else []


def switched_off_note() -> None:
    """Say on the page of cases why nothing can be saved."""
    st.info(f"Saving and deleting are switched off on this server ({switched_off_by()}).", icon=":material/lock:")
