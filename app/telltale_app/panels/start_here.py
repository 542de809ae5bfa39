"""Test images to start with: each teaches something, and its caption says what."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from telltale.scores.samples import ALPHA, Sample, teaching_samples
from telltale_app import catalogue, emphasis, pictures, state, words
from telltale_app.panels.missing import missing_images_note

if TYPE_CHECKING:
    from telltale.bundle import Bundle

TITLES = {
    "sure": "Sure and right",
    "borderline": "Barely right",
    "error": "Wrong by itself",
    "false_alarm": "A false alarm",
    "noticed": "Attack that shows",
    "missed": "Attack that hides",
}
SIDE = 48


def start_here(bundle: Bundle) -> None:
    """Draw the samples; choosing one changes the case, its attack included."""
    if bundle.image_set is None:
        missing_images_note(bundle, "Until then, choose a photograph or upload an image of your own.")
        return
    now = state.current()
    chosen = None
    with st.grid(6, min_column_width=140, gap="xsmall"):
        for sample in _samples(bundle, bundle.id):
            if is_chosen := (now.image, now.attack or "") == (f"test-{sample.image_id}", sample.attack):
                chosen = sample
            _tile(bundle, sample, is_chosen)
    if chosen is not None:
        st.caption(
            f"**{TITLES[chosen.lesson]}.** {sample_words(bundle, chosen)}",
            help=f"Test images of the model, {catalogue.unseen_words(bundle)}, chosen by their stored scores at "
            f"{words.percent(ALPHA)} false alarms.",
        )


@st.cache_resource(max_entries=8, show_spinner=False)
def _samples(_bundle: Bundle, bundle_id: str) -> tuple[Sample, ...]:  # noqa: ARG001  # the id is the key
    return teaching_samples(_bundle)


def _tile(bundle: Bundle, sample: Sample, chosen: bool) -> None:
    assert bundle.image_set is not None
    title, name = TITLES[sample.lesson], bundle.class_names[sample.label]
    with st.container(gap="xxsmall", horizontal_alignment="center"):
        pictures.show(
            bundle.image_set.images([sample.image_id])[0], alt=f"Test image {sample.image_id}, class {name}", side=SIDE
        )
        st.button(
            title,
            key=f"pick-sample-{sample.lesson}",
            width="stretch",
            type=emphasis.filled(chosen),
            help=f"{sample_words(bundle, sample)} Test image {sample.image_id}, class {name}.",
            on_click=state.take_test_image,
            args=(bundle, sample.image_id, sample.attack),
        )


def sample_words(bundle: Bundle, sample: Sample) -> str:
    """Return what a sample teaches, with the figures for which it was chosen."""
    read, label = bundle.class_names[sample.prediction], bundle.class_names[sample.label]
    sure = words.percent(sample.confidence)
    count = f"{sample.noticing or 'none'} of {sample.detectors} detectors"
    verb = "objects" if sample.noticing == 1 else "object"
    seen = "notices" if sample.noticing == 1 else "notice"
    attack = catalogue.attack_title(sample.attack)
    return {
        "sure": f"Read as {read} ({sure}); {count} {verb}.",
        "borderline": f"Read as {read}, but only with {sure}: a small push is enough.",
        "error": f"Nobody attacked it, yet this {label} is read as {read} ({sure}).",
        "false_alarm": f"Natural and rightly read as {read}, yet {count} {verb}.",
        "noticed": f"{attack} turns {label} into {read}, and {count} {seen}.",
        "missed": f"{attack} turns {label} into {read}, and {count} {seen}.",
    }[sample.lesson]
