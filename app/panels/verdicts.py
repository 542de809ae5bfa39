"""The fused verdict, and one row per detector: what it says of either image, and where its evidence is."""

from __future__ import annotations

from typing import Literal

import streamlit as st

from app import catalogue, layout, words
from app.analyses import CaseAnalysis
from app.panels import controls
from core.detectors.fusion import FUSED
from core.results import FusedVerdict, Verdict
from core.views import count_noticing, strongest_contributions

LINKS = {
    "feature_response": ("app_pages/feature_responses.py", "Feature responses"),
    "trajectory": ("app_pages/trajectories.py", "Trajectories"),
    "knn_score": ("app_pages/neighbours.py", "Neighbours"),
    "dknn": ("app_pages/neighbours.py", "Neighbours"),
    "nnif": ("app_pages/neighbours.py", "Influence"),
    "idefender": ("app_pages/hidden_state_density.py", "Density"),
}
SHOWN_CONTRIBUTIONS = 3
FALLBACK_LINK = ("app_pages/detectors.py", "Detectors")


def panel(case: CaseAnalysis) -> None:
    """Show the count of noticing detectors, the operating point, and one row per detector."""
    shown = case.natural if case.attacked is None else case.attacked
    noticing, calibrated = count_noticing(shown.verdicts)
    words_column, slider_column = st.columns([3, 2], vertical_alignment="center")
    with words_column:
        st.markdown(f"### {words.headline(noticing, calibrated, case.case.alpha, case.attacked is not None)}")
        if case.attacked is not None:
            false_alarms, _ = count_noticing(case.natural.verdicts)
            st.caption(
                "On the natural image: none, as it should be."
                if false_alarms == 0
                else f"On the natural image: {false_alarms} of {calibrated}. Each of these is a false alarm."
            )
            if not case.fooled:
                st.caption("The attack failed, so this image is not adversarial: a notice here is a false alarm too.")
        if case.true_label is None:
            st.caption(
                f"The rate of false alarms holds for images like those of “{case.bundle.manifest.title}”. For any "
                "other picture a notice may only say that it is something else."
            )
    with slider_column:
        controls.alpha_slider()
    if shown.fused is not None:
        _row(case, FUSED, "### {}")
    for verdict in shown.verdicts:
        _row(case, verdict.detector)


def _row(case: CaseAnalysis, name: str, size: str = "**{}**") -> None:
    """Show one detector, or the fusion: its name in the given Markdown, its readings and where its evidence is."""
    with st.container(border=True):
        title, *readings, link = st.columns([3, 3, 3, 2], vertical_alignment="center")
        with title.container(gap="xxsmall"):
            st.markdown(size.format(catalogue.detector_title(name)))
            st.caption(catalogue.detector_summary(name))
        for column, (image, analysis) in zip(readings, case.views(), strict=False):
            with column.container(gap="xxsmall"):
                if name == FUSED:
                    _fused_reading(image, analysis.fused)
                else:
                    _reading(image, analysis.verdict(name))
        with link:
            page, label = LINKS.get(name, FALLBACK_LINK)
            layout.page_link(page, label, ":material/arrow_forward:")


def _fused_reading(image: str, fused: FusedVerdict | None) -> None:
    if fused is None:
        return
    _badge(image, *words.fused_words(fused.kind))
    verdict = fused.attack
    if verdict.p_value is None:
        st.caption("no natural images to compare with")
        return
    wrong = "" if fused.error is None else f", misclassified: p = {fused.error.p_value:.3f}"
    st.caption(
        f"attacked: p = {verdict.p_value:.3f}{wrong}",
        help=f"At most {words.percent(verdict.alpha)} of natural images like those of its calibration are called "
        f"adversarial, on average over draws of the {verdict.n_calibration} calibration images (split conformal)."
        + (" Its own errors were too few to learn what they look like." if fused.error is None else ""),
    )
    moved = strongest_contributions(fused.contributions, SHOWN_CONTRIBUTIONS)
    st.caption(
        "Moved most by " + words.listed([f"{catalogue.detector_title(name)} ({value:+.1f})" for name, value in moved]),
        help="What each detector adds to the log odds of an attack; negative speaks for a natural image.",
    )


def _badge(image: str, text: str, icon: str, colour: Literal["orange", "blue", "gray", "violet"]) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="xsmall"):
        st.caption(f"{image.capitalize()}:", width="content")
        st.badge(text, icon=icon, color=colour)


def _reading(image: str, verdict: Verdict) -> None:
    _badge(image, *words.verdict_words(verdict))
    if verdict.p_value is None:
        st.caption(f"score {words.number(verdict.score)}; no natural images to compare with")
    else:
        st.caption(
            f"score {words.number(verdict.score)}, p = {verdict.p_value:.3f}, "
            f"threshold {words.number(verdict.threshold)}"
        )
