"""Two models: where they disagree, who is fooled by whose attack, and where each departs."""

from __future__ import annotations

import streamlit as st

from telltale_app import bundle_jobs, layout, state
from telltale_app.panels import versus
from telltale_app.panels.missing import only_model_note

layout.opening(
    "Two models",
    "The model in use beside another one that knows the same classes: where they disagree, whose attack fools whom, "
    "and at which layer each turns away.",
)
bundle = state.current_bundle()
only_model_note(bundle)
other = versus.choose_other(bundle)
if other is not None:
    answers_tab, attacks_tab, paths_tab = st.tabs(
        ["Where they disagree", "Whose attack fools whom", "One image in both"], on_change="rerun", key="versus-tab"
    )
    if answers_tab.open:
        with answers_tab:
            answers = bundle_jobs.result_of("two_answers", bundle, "Comparing the answers", other=other.name)
            if answers is not None:
                versus.show_answers(bundle, answers)
    if attacks_tab.open:
        with attacks_tab:
            versus.show_transfers(bundle, other)
    if paths_tab.open:
        with paths_tab:
            versus.show_paths(other)
    layout.how_computed(
        "Answers are those of natural images that both models hold out, from their stored scores; models of different "
        "data are compared on what the first one holds out, read once by the second. For attacks, test images that "
        "both read correctly are drawn under the seed and attacked on each model with the first one's settings. The "
        "control lays every perturbation on another of the images: what is misread then is misread for the noise, not "
        "for the attack. Departure layers lead from the true class to the class read, by each model's own pivots.",
        None,
        "Which model is right more often is McNemar's exact test on the images that only one reads correctly; "
        "intervals are Clopper–Pearson's at 95 %.",
    )
