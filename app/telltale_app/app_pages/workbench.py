"""Workbench: choose an image, attack it, see who notices."""

from __future__ import annotations

import streamlit as st

from telltale_app import layout, state
from telltale_app.panels import controls, picker, pinned, verdicts
from telltale_app.panels.comparison import comparison, provenance
from telltale_app.panels.save_case import check_note

layout.opening(
    "Workbench",
    "Pick an image, let an attack change it, and see who notices: the pictures show what changed, "
    "and each row of the chart below them is one detector's answer.",
)
case = state.current()
bundle = state.current_bundle()
left, right = st.columns([3, 2], gap="medium")
with left.container(border=True, height="stretch"):
    st.header("1. Choose an image", anchor=False)
    picker.image_picker(bundle)
with right.container(border=True, height="stretch"):
    st.header("2. Attack it", anchor="attack-it")
    controls.attack_form(case, bundle.class_names, state.own_class())
    outcome_slot = st.container()

with st.container(horizontal=True, vertical_alignment="center"):
    st.header("3. See what changed", anchor=verdicts.WHAT_CHANGED)
    pin_slot = st.container(width="content")
analysed = layout.current_analysis(outcome_slot)
if state.remember_own_class(analysed.natural.prediction.label):
    st.rerun()  # the list of targets above was drawn before this image had been read
with pin_slot:
    pinned.pin_button(analysed)
with outcome_slot:
    verdicts.outcome(analysed)
check_note(analysed)
comparison(analysed)
st.header("4. See who notices", anchor=verdicts.WHO_NOTICES)
verdicts.panel(analysed)
provenance(analysed)
pinned.show_pinned(analysed)
