"""What a second network makes of each image, beside the classifier."""

from __future__ import annotations

import streamlit as st

from telltale.figures.results.twin import opinions
from telltale.kinds.twin import TwinView
from telltale_app import layout, words
from telltale_app.analyses import CaseAnalysis

METHOD = (
    "**Second opinion** is minus the logarithm of the probability that a second network gives the class which the "
    "classifier predicts. It is smaller, and was trained on the same images from another start."
)


def show(case: CaseAnalysis) -> None:
    """Show both networks' probabilities, and say where they part."""
    st.header("Second opinion", anchor="second-opinion")
    if layout.unavailable_note(case.natural, TwinView):
        return
    shown, class_names = case.views(), case.bundle.class_names
    st.markdown("\n\n".join(_sentence(name, analysis.view(TwinView), class_names) for name, analysis in shown))
    said = words.listed([_numbers(name, analysis.view(TwinView), class_names) for name, analysis in shown])
    layout.chart(opinions(shown, class_names), f"Probabilities by both networks: {said}", "second-opinion")
    st.caption(
        "A change that was made for one network moves another less. Where the second one doubts what the first is "
        "sure of, something may have been aimed at the first; it doubts some natural images as well."
    )


def _sentence(name: str, view: TwinView, class_names: tuple[str, ...]) -> str:
    first, second = int(view.probabilities.argmax()), view.prediction
    share = f"{view.twin_probabilities[first]:.1%}"
    if first == second:
        return (
            f":material/check_circle: Both read the {name} image as **{class_names[first]}** (the second to {share})."
        )
    return (
        f":material/warning: The {name} image is **{class_names[first]}** to the classifier and "
        f"**{class_names[second]}** to the second network, which gives {class_names[first]} {share}."
    )


def _numbers(name: str, view: TwinView, class_names: tuple[str, ...]) -> str:
    first = int(view.probabilities.argmax())
    twin = f"{class_names[view.prediction]} to {view.twin_probabilities.max():.1%}"
    return f"{name} {class_names[first]} to {view.probabilities[first]:.1%}, by the second network {twin}"
