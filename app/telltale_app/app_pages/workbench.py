"""Workbench: choose an image, attack it, see who notices."""

from __future__ import annotations

import streamlit as st

from telltale_app import layout, state
from telltale_app.panels import controls, hands, picker, pinned, verdicts
from telltale_app.panels.comparison import comparison, provenance
from telltale_app.panels.save_case import check_note
from telltale_app.panels.strength import show_strength

case = state.current()
bundle = state.current_bundle()
with st.container(horizontal=True, vertical_alignment="bottom"):
    with st.container(width="stretch", key="workbench-opening"):
        layout.opening("Workbench", "Pick an image, let an attack change it, and see who notices.")
    hands.hands(bundle)
with st.container(border=True):
    picker.image_picker(bundle, "1. Choose an image")
attacking, changing = st.columns([2, 5], gap="medium")
with attacking.container(border=True):
    st.subheader("2. Attack it", anchor="attack-it")
    controls.attack_form(case, bundle.class_names, state.own_class())
    outcome_slot = st.container(key=f"{controls.RESULT}-outcome")

with changing, st.container(horizontal=True, vertical_alignment="center"):
    st.subheader("3. See what changed", anchor=verdicts.WHAT_CHANGED)
    pin_slot = st.container(width="content")
with changing:
    analysed = layout.current_analysis(outcome_slot)
if state.remember_own_class(analysed.natural.prediction.label):
    st.rerun()  # the list of targets above was drawn before this image had been read
with pin_slot:
    pinned.pin_button(analysed)
with outcome_slot:
    verdicts.outcome(analysed)
check_note(analysed)
with changing.container(key=f"{controls.RESULT}-pictures"):
    comparison(analysed)
strength_slot = st.container(key=f"{controls.RESULT}-strength")
with st.container(key=f"{controls.RESULT}-verdicts"):
    verdicts.panel(analysed)
with st.container(key=f"{controls.RESULT}-record", horizontal=True):
    verdicts.in_words(analysed)
    provenance(analysed)
pinned.show_pinned(analysed)
with strength_slot:  # last, as it takes sixteen more readings; where they are cancelled, the rest of the page is there
    show_strength(analysed)
