"""About: what the model was built from, its limits, and the papers."""

from __future__ import annotations

import streamlit as st

from telltale_app import layout, state
from telltale_app.panels import about

layout.opening(
    "About",
    "What stands behind the numbers: the model and its data, how often the attacks work on it, what the project "
    "decided where papers leave a choice, and where the limits are.",
)
bundle = state.current_bundle()
st.header("The model", anchor=False)
about.show_numbers(bundle)
st.header("Attacks on test images", anchor=False)
about.show_attacks(bundle)
st.header("Detectors", anchor=False)
about.show_detectors(bundle)
about.show_versions(bundle)
st.header("Choices of this project", anchor=False)
st.markdown(about.CHOICES)
st.header("Limits", anchor=False)
st.markdown(about.LIMITS)
st.header("The five papers", anchor=False)
about.show_papers()
st.header("Licences", anchor=False)
about.show_licences()
about.show_contact()
