"""Cases: what was saved with a note, to find, open, compare, hand on and delete."""

from __future__ import annotations

import streamlit as st

from telltale.base.errors import StorageError
from telltale.cases.store import open_store
from telltale_app import layout
from telltale_app.panels.case_comparison import comparison
from telltale_app.panels.case_import import case_import
from telltale_app.panels.case_list import case_list
from telltale_app.panels.save_case import allowed, switched_off_note

layout.opening(
    "Cases",
    "Cases that were worth keeping, each with its pictures, settings and numbers. Open one to go on with it, tick two "
    "to compare them, or export one as a report for people or as a zip for another Telltale.",
)
try:
    store = open_store()
    if problem := st.session_state.pop("case-problem", None):
        st.error(problem, icon=":material/error:")
    if done := st.session_state.pop("case-done", None):
        st.success(done, icon=":material/check:")
    if allowed():
        case_import(store)
    else:
        switched_off_note()
    comparison(store)
    case_list(store)
except StorageError as error:
    st.error(str(error), icon=":material/error:")
