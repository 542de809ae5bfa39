"""How the fused verdict is beaten: success after rejection, from the stored study, at the page's own alpha."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from telltale.base.errors import InputError
from telltale.figures.results.rejection import success_curves
from telltale.scores.rejection import success_after_rejection
from telltale.studies.rejection.results import full_command, stored_rejection
from telltale.studies.rejection.words import effort, sentences, title_of
from telltale_app import layout, words

if TYPE_CHECKING:
    from telltale.bundle import Bundle

CHECKLIST = "app_pages/evaluation.py"


def show_rejection(bundle: Bundle, alpha: float) -> None:
    """Show what gets past the model and the fused verdict, or the one command that computes it."""
    try:
        _show_study(bundle, alpha)
    except InputError as error:
        st.error(str(error), icon=":material/error:")
        _show_command(bundle, "This command, in Telltale's folder, computes it again:")
    layout.page_link(CHECKLIST, "Evaluation checklist: what is missing", ":material/checklist:")


def _show_study(bundle: Bundle, alpha: float) -> None:
    found = stored_rejection(bundle)
    if found is None:
        st.header("How it is beaten", anchor=False)
        _show_command(bundle, "No attacks at growing budgets are stored for this model. This command computes them:")
        return
    successes = success_after_rejection(found.table, alpha)
    said = sentences(successes, found.origin)
    st.header(title_of(found.origin), anchor=False)
    st.markdown("\n".join(f"- {sentence}" for sentence in said))
    layout.chart(
        success_curves(successes), f"Success after rejection at α {words.percent(alpha)}. {' '.join(said)}", "rejection"
    )
    tried = effort(found.origin)
    st.caption(
        f"Of {successes[0].after.total:,} test images that the model reads correctly: how many an attack turns wrong "
        f"without the fused verdict's alarm at α {words.percent(alpha)}, with 95 % intervals. An attack that fails or "
        "is rejected is no success. Thin lines grow with the budget, or the attack is at fault; thick ones may fall, "
        "as larger changes are noticed more often. The worst case takes the best attack on each image."
        + (f" Who knows the detectors, {tried}." if tried else "")
    )


def _show_command(bundle: Bundle, purpose: str) -> None:
    st.caption(purpose)
    st.code(full_command(bundle), language="sh", wrap_lines=True)
