"""Taking a case from a zip that was exported here or elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from telltale.base.errors import TelltaleError
from telltale.cases.importing import MOST_BYTES, from_zip

if TYPE_CHECKING:
    from telltale.cases.store import CaseStore


def case_import(store: CaseStore) -> None:
    """Draw the place to drop a zip; what is wrong with it is said in one sentence."""
    with st.expander("Import a case", icon=":material/upload_file:", key="case-import"):
        st.file_uploader(
            "Case (zip)",
            type=["zip"],
            key="case-zip",
            max_upload_size=MOST_BYTES // 2**20,
            on_change=_take,
            args=(store,),
        )
        st.caption("Exported by Telltale, here or elsewhere. Nothing in it is run; the numbers are shown as saved.")


def _take(store: CaseStore) -> None:
    file = st.session_state.get("case-zip")
    if file is None:
        return
    try:
        saved = from_zip(file.getvalue())
        store.save(saved)
    except TelltaleError as error:
        st.session_state["case-problem"] = f"{error} Nothing was imported."
    else:
        st.session_state["case-done"] = f"Imported: {saved.record.title}."
