"""The fused verdict, and every detector in one row of one chart: what it says of either image."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from telltale.analysis.reading import count_noticing, strongest_contributions
from telltale.analysis.results import Analysis
from telltale.detectors.fusion import FUSED
from telltale.figures.results.verdicts import verdict_rows
from telltale.scores.verdicts import FusedVerdict, Verdict
from telltale_app import catalogue, layout, words
from telltale_app.analyses import CaseAnalysis
from telltale_app.panels import controls, pinned

Others = Sequence[tuple[str, str, Analysis]]  # pinned cases: letter, name, analysis

SHOWN_CONTRIBUTIONS = 3
WHAT_CHANGED, WHO_NOTICES = "what-changed", "who-notices"  # anchors on the workbench


def panel(case: CaseAnalysis) -> None:
    """Show the count of noticing detectors, the operating point, the fused verdict, and every detector in a chart."""
    shown = case.natural if case.attacked is None else case.attacked
    noticing, calibrated = count_noticing(shown.verdicts)
    words_column, slider_column = st.columns([3, 2], vertical_alignment="bottom")
    with words_column, st.container(gap="xxsmall"):
        st.subheader("4. See who notices", anchor=WHO_NOTICES)
        few = words.too_few(shown.verdicts, case.case.alpha)
        said = words.headline(noticing, calibrated, case.case.alpha, case.attacked is not None)
        st.markdown(f"**{said if calibrated or not few else 'No verdict yet.'}**")
        if few:
            st.caption(f"{words.UNCALIBRATED} {few}")
        if case.bundle.alone:
            st.caption(f"{words.UNCALIBRATED} Scores have no p-values. {case.bundle.data_problem}")
        if case.attacked is not None and calibrated:
            st.caption(_false_alarm_words(case, calibrated))
        if case.true_label is None and calibrated:
            st.caption(
                f"The rate of false alarms holds for images like those of “{case.bundle.manifest.title}”. For any "
                "other picture a notice may only say that it is something else."
            )
    with slider_column:
        controls.alpha_slider()
    if case.contradicted_label is not None:
        _misread_note()
    others = pinned.lettered(case)
    _card_and_chart(case, others)
    _how_to_read(case, bool(others))
    _evidence_links(shown)
    for name, reason in case.bundle.missing_detectors.items():
        st.caption(f"{words.UNCALIBRATED} {catalogue.detector_title(name)} is not available here. {reason}")


def _false_alarm_words(case: CaseAnalysis, calibrated: int) -> str:
    """Say how many detectors notice the natural image, and the attacked one where it is not adversarial."""
    false_alarms, _ = count_noticing(case.natural.verdicts)
    said = "On the natural image: none, as it should be."
    if false_alarms:
        said = f"On the natural image: {false_alarms} of {calibrated}. Each of these is a false alarm."
    if case.fooled:
        return said
    return f"{said} The attack failed, so this image is not adversarial: a notice here is a false alarm too."


def _card_and_chart(case: CaseAnalysis, others: Others) -> None:
    """Show the fused verdict's card and the chart of all rows, beside each other where both are there."""
    if case.views()[-1][1].fused is None:
        _chart(case, others)
        return
    card, rows = st.columns([3, 7], gap="small")
    with card:
        _fused_card(case)
    with rows:
        _chart(case, others)


def _misread_note() -> None:
    """Say that the model errs without any attack, so that a notice is not taken for proof of one."""
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(
            f"{words.ERROR} The model misreads this image by itself. Such images often look like attacked ones: a "
            "notice on the natural image is a false alarm.",
            width="stretch",
        )
        layout.page_link("app_pages/misclassifications.py", "Why it errs", ":material/arrow_forward:")


def outcome(case: CaseAnalysis) -> None:
    """Say below the button what the attack has done: pictures and verdicts lie further down the page."""
    if case.attacked is None:
        return
    name = case.attacked.prediction.name
    reading = f"Read as **{name}** now." if case.fooled else f"It failed within its budget: still read as **{name}**."
    st.markdown(f"{reading} [What changed](#{WHAT_CHANGED}) · [Who notices](#{WHO_NOTICES})")


def _fused_card(case: CaseAnalysis) -> None:
    """Show the answer of all detectors together, in words that need no statistics."""
    with st.container(border=True, key="fused-card"):
        st.markdown(
            f"### {catalogue.detector_title(FUSED)}",
            help=f"All detectors' answers weighed into one, at {words.percent(case.case.alpha)} false alarms of its "
            "own.",
        )
        for image, analysis in case.views():
            if analysis.fused is not None:
                with st.container(gap="xxsmall"):
                    _fused_reading(image, analysis.fused)


def _fused_reading(image: str, fused: FusedVerdict) -> None:
    text, icon, colour = words.fused_words(fused.kind)
    st.caption(f"The {image} image")
    st.markdown(f"#### :{colour}[{icon} {text}]")
    verdict = fused.attack
    if verdict.p_value is None:
        st.markdown("There are no natural images to compare it with, so it cannot be judged.")
        return
    st.markdown(
        words.rarity(verdict.p_value),
        help=f"p = {verdict.p_value:.3f}, from {verdict.n_calibration} held-out natural images (split conformal). At "
        f"most {words.percent(verdict.alpha)} of natural images like these are called adversarial.",
    )
    if fused.kind == "error" and fused.error is not None and fused.error.p_value is not None:
        st.markdown("It looks like the images that this model gets wrong without any attack.")
    st.caption(
        _contribution_words(fused),
        help="What each detector adds to the log odds of an attack, beside an average natural image: "
        + words.listed([f"{catalogue.detector_title(name)} {value:+.1f}" for name, value in _strongest(fused)])
        + "."
        + (" The model's own errors were too few to learn what they look like." if fused.error is None else ""),
    )


def _strongest(fused: FusedVerdict) -> Sequence[tuple[str, float]]:
    return strongest_contributions(fused.contributions, SHOWN_CONTRIBUTIONS)


def _contribution_words(fused: FusedVerdict) -> str:
    """Return which detectors moved the answer most, and which way."""
    sides = {
        "Speaks for an attack": [catalogue.detector_title(name) for name, value in _strongest(fused) if value > 0],
        "Against": [catalogue.detector_title(name) for name, value in _strongest(fused) if value <= 0],
    }
    return " ".join(f"{side}: {words.listed(names)}." for side, names in sides.items() if names)


def _chart(case: CaseAnalysis, others: Others) -> None:
    """Draw every detector's p-value on one axis, and beside them what moved the fused verdict."""
    if all(verdict.p_value is None for _, analysis in case.views() for verdict in analysis.verdicts):
        return
    said = [
        f"{catalogue.detector_title(name)} "
        + words.listed([f"{image} {_p_words(analysis.verdict(name))}" for image, analysis in case.views()])
        for name in _row_names(case)
    ]
    alt = f"p-values of every detector, α {words.percent(case.case.alpha)}: {'; '.join(said)}"
    layout.chart(verdict_rows(case.views(), others), alt + _pinned_words(case, others), "verdict-rows")


def _how_to_read(case: CaseAnalysis, with_letters: bool) -> None:
    """Say below the chart what its marks are; nothing where there is no chart."""
    if all(verdict.p_value is None for _, analysis in case.views() for verdict in analysis.verdicts):
        return
    last = case.views()[-1][0]
    moved = f" Bars: what moved the fused verdict on the {last} image, towards an attack (+) or away (−)."
    st.caption(
        "Each row is one detector; a mark on the band, left of α, is an alarm."
        + (moved if case.natural.fused else "")
        + (" Letters: pinned cases, compared further down." if with_letters else ""),
        help="p-value: the share of held-out natural images that look at least as suspicious.",
    )


def _pinned_words(case: CaseAnalysis, others: Others) -> str:
    """Return what the letters say, for those who cannot see them."""
    said = []
    for letter, name, analysis in others:
        known = {verdict.detector: verdict for verdict in analysis.verdicts}
        told = [f"{catalogue.detector_title(row)} {_p_words(known[row])}" for row in _row_names(case) if row in known]
        said.append(f". {letter}, {name}: {'; '.join(told)}")
    return "".join(said)


def _p_words(verdict: Verdict) -> str:
    return "not calibrated" if verdict.p_value is None else f"{verdict.p_value:.3f}"


def _evidence_links(shown: Analysis) -> None:
    """Link to every page that shows the evidence behind a row, each once."""
    wanted: dict[str, list[str]] = {}
    for verdict in shown.verdicts:
        page, label = catalogue.detector_page(verdict.detector)
        labels = wanted.setdefault(page, [])
        if label not in labels:
            labels.append(label)
    with st.container(horizontal=True, gap="medium"):
        for page, labels in wanted.items():
            layout.page_link(page, " · ".join(labels), ":material/arrow_forward:")


def in_words(case: CaseAnalysis) -> None:
    """Fold away what the chart says in words, with scores and thresholds."""
    with st.expander("Words, scores and thresholds", icon=":material/table_rows:"):
        st.table(table(case), hide_index=True, alt="What every detector says of each image, with score and threshold")


def table(case: CaseAnalysis) -> list[dict[str, str]]:
    """Return what the chart says in words: one row per detector, one column per image."""
    return [
        {"Detector": catalogue.detector_title(name), "Asks": catalogue.detector_summary(name)}
        | {image.capitalize(): _reading(analysis, name) for image, analysis in case.views()}
        for name in _row_names(case)
    ]


def _row_names(case: CaseAnalysis) -> list[str]:
    """Return the rows of chart and table: the fused verdict, where there is one, and every detector."""
    fused = [] if case.natural.fused is None else [case.natural.fused.attack.detector]
    return [*fused, *(verdict.detector for verdict in case.natural.verdicts)]


def _reading(analysis: Analysis, name: str) -> str:
    verdict = analysis.verdict(name)
    if analysis.fused is not None and name == analysis.fused.attack.detector:
        text, icon, _ = words.fused_words(analysis.fused.kind)
    else:
        text, icon, _ = words.verdict_words(verdict)
    return f"{icon} {text}: {words.verdict_figures(verdict)}"
