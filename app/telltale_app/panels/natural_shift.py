"""Natural shift: which detectors alarm on natural images that were only processed, as it was measured and stored."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from telltale.base.errors import InputError
from telltale.scores.shift import shift_sentences
from telltale.studies.shift.results import shift_command, stored_shift
from telltale_app import catalogue, words

if TYPE_CHECKING:
    from telltale.bundle import Bundle


def show_shift(bundle: Bundle) -> None:
    """Show stored false alarms under every change, or say which command measures them."""
    try:
        found = stored_shift(bundle)
    except InputError as error:
        st.error(str(error), icon=":material/error:")
        return
    if found is None:
        st.markdown(f"Nothing is stored for this model; `{shift_command(bundle.name)}` measures it.")
        return
    st.markdown("\n".join(f"- {sentence}" for sentence in shift_sentences(found)))
    rows = [
        {
            "detector": catalogue.detector_title(name),
            **{shift.title: 100 * shift.alarms[name].share for shift in found.shifts},
        }
        for name in found.names
    ]
    st.dataframe(
        rows,
        hide_index=True,
        height="content",
        alt="Share of processed natural images that each detector and control alarms on, per change",
        column_config={
            "detector": st.column_config.TextColumn(pinned=True),
            **{shift.title: st.column_config.NumberColumn(format="%.1f %%") for shift in found.shifts},
        },
    )
    kept = "; ".join(f"{shift.title} {shift.kept:,}" for shift in found.shifts)
    st.caption(
        f"False alarms at α {words.percent(found.alpha)} among {found.images:,} natural test images, each changed a "
        f"little; those that are no longer read correctly are left out. Still read correctly: {kept}."
    )
