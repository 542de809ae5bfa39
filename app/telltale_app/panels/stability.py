"""Whether the answer survives a step aside: each image's lead, and what is left of it after each movement."""

from __future__ import annotations

import streamlit as st

from telltale.analysis.results import Analysis
from telltale.figures.results.stability import transformed_margins
from telltale.kinds.stability import StabilityView
from telltale_app import layout, words
from telltale_app.analyses import CaseAnalysis

METHOD = (
    "**Stability** is the margin of the predicted class, its logit less the largest other one, before and after a "
    "shift by one pixel in four directions (the edge is repeated) and a mirroring of left and right. The detector's "
    "score is the margin of the image as it is less the mean of the others. Mirroring counts for classes whose natural "
    "images mostly keep their class in a mirror, which is measured on the fitting split; without a fitted detector "
    "only the shifts count."
)


def show(case: CaseAnalysis) -> None:
    """Show the margins of each image, and say how much of them is lost."""
    st.header("Stability", anchor="stability")
    if layout.unavailable_note(case.natural, StabilityView):
        return
    sentences = [_sentence(name, analysis) for name, analysis in case.views()]
    st.markdown("\n\n".join(sentences))
    said = words.listed([_numbers(name, analysis.view(StabilityView)) for name, analysis in case.views()])
    layout.chart(transformed_margins(case.views()), f"Margin of the predicted class: {said}", "stability")
    st.caption(
        "How far the predicted class leads the next one: as the image is, moved by one pixel, and mirrored. An attack "
        "that fits this grid of pixels exactly loses its lead when the grid moves. An open marker does not count."
    )


def _sentence(name: str, analysis: Analysis) -> str:
    view, read = analysis.view(StabilityView), analysis.prediction.name
    lost = [place for place in view.counted if view.margins[place] < 0.0]
    icon, keeps = ":material/check_circle:", f"keeps its class under all {len(view.counted)} movements that count"
    if lost:
        icon = ":material/warning:"
        keeps = f"is read as **another class** under {len(lost)} of the {len(view.counted)} movements that count"
    change = f"loses {view.drop:.2f}" if view.drop >= 0.0 else f"gains {-view.drop:.2f}"
    return (
        f"{icon} The {name} image, read as **{read}**, leads by {view.margin:.2f} logits, {change} of that on average "
        f"when it moves, and {keeps}."
    )


def _numbers(name: str, view: StabilityView) -> str:
    return f"{name} {view.margin:.2f} logits as it is and {view.margin - view.drop:.2f} on average when moved"
