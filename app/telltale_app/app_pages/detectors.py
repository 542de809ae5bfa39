"""Detectors & ROC: how well each detector does, and at which false-alarm rate."""

from __future__ import annotations

import streamlit as st

from telltale.detectors.fusion import FUSED
from telltale.scores.contests import EVERY_ATTACK, NATURAL_ERRORS, contest, opponent_title, opponents
from telltale.scores.controls import controls_in
from telltale.scores.table import attacks_in, scored_detectors
from telltale_app import catalogue, layout
from telltale_app.panels import controls, found_and_missed, natural_shift, rejection, roc, standing, who_catches
from telltale_app.panels.live import live_run
from telltale_app.panels.missing import only_model_note

layout.opening(
    "Detectors & ROC",
    "What each detector catches on test images at the false-alarm rate that you allow. Choose a cell for its curve and "
    "the images behind it.",
)
current = layout.evidence_case()
bundle = current.bundle
only_model_note(bundle)
detectors = scored_detectors(bundle.scores)
attacks = attacks_in(bundle.scores)
others = opponents(bundle.scores)
with st.container(horizontal=True, vertical_alignment="bottom", horizontal_alignment="distribute"):
    st.header("Who catches what", anchor="who-catches-what", width="content")
    with st.container(width=320):
        controls.alpha_slider()
who_catches.show_matrix(bundle, current.case.alpha)
with st.container(horizontal=True, vertical_alignment="bottom"):
    compare = st.segmented_control(
        "Compare", ["Attacks", "Detectors"], default="Detectors", required=True, key="compare", bind="query-params"
    )
    detector = st.selectbox(
        "Detector",
        detectors,
        index=detectors.index(FUSED) if FUSED in detectors else 0,
        format_func=catalogue.detector_title,
        key="detector",
        bind="query-params",
        width=220,
    )
    opponent = st.selectbox(
        "Against", others, format_func=opponent_title, key="against", bind="query-params", width=220
    )
    logarithmic = st.toggle("Logarithmic false-alarm axis", key="log", bind="query-params")

chosen = contest(bundle.scores, detector, opponent)
if compare == "Attacks":
    contests = [contest(bundle.scores, detector, name) for name in (EVERY_ATTACK, *attacks, NATURAL_ERRORS)]
else:
    contests = [contest(bundle.scores, name, opponent) for name in (*detectors, *controls_in(bundle.scores))]
contests = [item for item in contests if item.possible]
if chosen.possible and contests:
    curve_column, point_column = st.columns([3, 2], gap="medium")
    with curve_column:
        roc.show_roc(bundle, contests, chosen, current, logarithmic)
    with point_column:
        st.markdown(f"**{catalogue.detector_title(detector)}** against **{opponent_title(opponent)}**")
        roc.show_operating_point(bundle, chosen, current)
    images_place = st.container()  # filled last, as attacking them again may take a while
    standing.show_standings(bundle)
    with layout.folded("Scores, and rates against the threshold", "scores", "area_chart") as section:
        if section.open:
            roc.show_scores(chosen, current)
    with layout.folded("All figures", "figures", "table") as section:
        if section.open:
            roc.show_table(bundle, contests, current)
            standing.show_macro(bundle, detector)
    with layout.folded("What images are shown as", "shown", "label") as section:
        if section.open:
            standing.show_shown_as(bundle, current)
    with layout.folded("Natural images that were only processed", "processed", "photo_filter") as section:
        if section.open:
            natural_shift.show_shift(bundle)
else:
    st.info("There are no stored test scores for this choice.", icon=":material/info:")
rejection.show_rejection(bundle, current.case.alpha)
live_run(bundle, detector)
if chosen.possible and contests:
    threshold = standing.threshold_of(bundle, detector, current.case.alpha)
    with images_place:
        found_and_missed.show_found_and_missed(bundle, chosen, threshold)
layout.how_computed(
    "A curve that hugs the upper left corner catches nearly every attack at hardly any false alarm; the dotted line is "
    "guessing. Scores of held-out test images, higher is more suspicious. A threshold at false-alarm rate α is the "
    "smallest score that at most that share of held-out natural calibration images reach (split conformal), so the "
    "stated rate holds, on average over draws of calibration images, for new natural images that are read correctly. "
    "Intervals come from 1,000 bootstrap resamples of whole images. Controls are what costs nothing: figures read off "
    "the model's own output, which a detector has to beat.",
    None,
    "Only attacks that changed the label after rounding to 8 bits count as adversarial; failed ones are counted in the "
    "success rate. Natural images that the model gets wrong are reported on their own, as natural errors. The same "
    "measures are used for the methods of all five papers.",
)
