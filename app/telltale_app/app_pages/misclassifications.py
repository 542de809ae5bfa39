"""Misclassifications: what the model gets wrong by itself, why, where most, and which labels are probably wrong."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import streamlit as st

from telltale_app import bundle_jobs, layout, state, words
from telltale_app.panels import (
    correcting,
    error_choice,
    error_map,
    error_table,
    error_tiles,
    errors,
    slices,
    suspicious,
)
from telltale_app.panels.missing import missing_images_note, missing_labels_note

layout.opening(
    "Misclassifications",
    "What the model gets wrong by itself, without any attack, and why: images that look like another class, layers "
    "that turn away, training images that mislead, and labels that are simply wrong.",
)
bundle = state.current_bundle()
missing_labels_note(bundle)
missing_images_note(
    bundle, "What is read off the images (neighbours, layers, harmful training images, the map) is left out below."
)
wrong_tab, slices_tab, labels_tab = st.tabs(
    [slices.ERRORS_TAB, "Groups that fail more often", "Suspicious training images"], on_change="rerun", key=slices.TAB
)
if wrong_tab.open:
    with wrong_tab:
        known = errors.errors_of(bundle)
        st.markdown(errors.summary_words(known))
        if len(known.wrong):
            if bundle.image_set is not None:
                reasons = bundle_jobs.result_of(
                    "explain_errors", bundle, "Looking into every error", partial(error_tiles.show_first, known)
                )
                known = replace(known, reasons=reasons)
            rows = error_choice.chosen_rows(known)
            if len(rows):
                error_tiles.show_tiles(known, rows)
            else:
                error_choice.nothing_note()
            left, right = st.columns(2, gap="medium")
            with left:
                st.header("What is taken for what", anchor=False)
                error_choice.show_confusion(known)
            if bundle.image_set is not None:
                with right:
                    st.header("Where the errors lie", anchor=False)
                    error_map.show_map(known, rows)
            asked = None
            if len(rows):
                st.header("Why this one", anchor=False)
                asked = error_table.show_image(known, rows)
                st.header("The errors in numbers", anchor=False)
                error_table.show_numbers(known, rows)
            correcting.show(bundle, asked)
        layout.how_computed(
            "Every natural image of the fitting, calibration and test splits that the model misreads. Neighbours are "
            "the nearest training images on the last layer. The departure layer is the first from which, up to the "
            "last, the image is nearer to the pivot of the class it is read as than to that of its true class. "
            "Harmful training images raise the loss of the true class; their influence goes through the softmax head. "
            "The label-error score is the mean doubt of the network and of the neighbours: half of one minus the "
            "label's margin over the strongest other class.",
            None,
            "The loss behind harmful images is taken at the true class here, and not at the predicted one as on the "
            "other pages, because the question is what made the model err. Margins follow confident learning "
            "(Northcutt, Jiang & Chuang 2021; Kuan & Mueller 2022)." + errors.departure_words(known),
        )
if slices_tab.open:
    with slices_tab:
        groups = bundle_jobs.result_of(
            "failure_slices", bundle, "Looking for groups that fail more often", without=slices.choose_without()
        )
        if groups is not None:
            slices.show_slices(bundle, groups)
            layout.how_computed(
                "A group is described by at most three conditions on what is known of every image, right or wrong: "
                f"{words.listed(groups.features)}. Of numbers the lowest and the highest quarter and half are tried "
                "(*dark*, *rather dark*). The departure layer is here the first from which, up to the last, the image "
                "is nearer to the pivot of the class it is read as than to that of the runner-up; agreeing neighbours "
                "are those of the class it is read as. One half of the images, drawn at random, is searched; groups "
                "must get better with every condition, and of two that share more than half of their images or of "
                "their errors one is kept. **Rates and intervals come from the other half**, the pictures from both.",
                None,
                "The search (a beam of 40) maximises the square root of the number of images times how far their "
                "error rate lies above that of all (Klösgen 1996). A group is shown where errors are more frequent "
                "inside than outside by Fisher's exact test at 5 %, corrected for the number of groups by Holm; where "
                "errors follow nothing, that happens in at most one search of twenty. Intervals are Clopper–Pearson's "
                "and hold for all groups at once with at least 95 %.",
            )
if labels_tab.open:
    with labels_tab:
        found = None
        if bundle.training_problem is not None:
            st.info(bundle.training_problem, icon=":material/do_not_disturb_on:")
        else:
            found = bundle_jobs.result_of("suspicious_images", bundle, "Ranking the training images")
        if found is not None:
            st.markdown(suspicious.summary_words(bundle, found))
            suspicious.show_list(bundle, found)
            correcting.show(bundle, correcting.current_asked(bundle))
            layout.how_computed(
                "Two signs of a wrong label, each turned into the share of training images that show less of it; the "
                "suspicion is their mean. **Self-influence**: by how much the loss of the given label would rise if "
                f"the image were removed from training ({found.method}). The network had to learn such a label by "
                f"heart. **Disagreement**: the share of the {found.k} nearest other training images, on the last "
                "layer, that carry another label.",
                None,
                "Self-influence follows Koh & Liang (2017, section 5.4) and Feldman & Zhang (2020), disagreement "
                "Bahri, Jiang & Gupta (2020). An image never votes on itself. How many planted errors the list "
                "finds is in docs/measurements.md.",
            )
