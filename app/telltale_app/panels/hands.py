"""Going on without choosing by hand: a random story, the test image before and after, and the keys for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from random import SystemRandom
from typing import TYPE_CHECKING

import streamlit as st

from telltale.scores.samples import Sample, another_story, image_beside, stories
from telltale_app import state
from telltale_app.case import Case
from telltale_app.panels.start_here import TITLES, sample_words

if TYPE_CHECKING:
    from telltale.bundle import Bundle

KEYS = (
    ("a", "Attack, as the form is set"),
    ("s", "A random story: another test image with an attack that teaches something"),
    ("n", "The next test image"),
    ("p", "The test image before"),
    ("?", "This sheet"),
    ("Ctrl+V", "An image from the clipboard becomes the upload"),
)
OF_TEST_IMAGES = ("s", "n", "p")
TOLD = "story-told"


def hands(bundle: Bundle) -> None:
    """Draw the row of buttons; without images only the sheet of keys is left."""
    with st.container(horizontal=True, width="content", gap="xsmall", key="hands"):
        if bundle.image_set is not None:
            st.button(
                "Random story", icon=":material/casino:", shortcut="S", key="story", on_click=_tell, args=(bundle,)
            )
            for label, icon, step in (("Previous", "chevron_left", -1), ("Next", "chevron_right", 1)):
                st.button(
                    label,
                    icon=f":material/{icon}:",
                    shortcut=label[0],
                    key=f"test-image-{label.lower()}",
                    on_click=_go,
                    args=(bundle, step),
                )
        if st.button("Keys", icon=":material/keyboard:", key="keys"):
            _sheet([row for row in KEYS if bundle.image_set is not None or row[0] not in OF_TEST_IMAGES])
    if (told := _told(bundle)) is not None:
        st.caption(f":material/casino: **{TITLES[told.lesson]}.** {sample_words(bundle, told)}")


@st.dialog("Keys", icon=":material/keyboard:")
def _sheet(keys: Sequence[tuple[str, str]]) -> None:
    rows = "\n".join(f"| `{key}` | {meaning} |" for key, meaning in keys)
    st.markdown(f"| key | what it does |\n|---|---|\n{rows}")
    st.caption("They rest while a field is written in, and with Ctrl, Alt or Cmd held they are the browser's.")


@st.cache_resource(max_entries=8, show_spinner=False)
def _stories(_bundle: Bundle, bundle_id: str) -> tuple[Sample, ...]:  # noqa: ARG001  # the id is the key
    return stories(_bundle)


def _tell(bundle: Bundle) -> None:
    told = another_story(_stories(bundle, bundle.id), _shown_id(), SystemRandom())
    if told is None:
        st.toast("The stored scores of this model hold no attack that teaches something.")
        return
    state.take_test_image(bundle, told.image_id, told.attack)
    st.session_state[TOLD] = state.current(), told


def _go(bundle: Bundle, step: int) -> None:
    image_id = image_beside(bundle.scores, _shown_id(), step)
    if image_id is not None:
        state.pick_image(f"test-{image_id}")


def _shown_id() -> int | None:
    """Return the id of the test image that is shown; None for any other image."""
    number = state.current().image.removeprefix("test-")
    return int(number) if number != state.current().image and number.isdecimal() else None


def _told(bundle: Bundle) -> Sample | None:
    """Return the story that was told last, as long as its case is shown, at whatever rate of false alarms."""
    kept: tuple[Case, Sample] | None = st.session_state.get(TOLD)
    case = state.current()
    if kept is None or bundle.image_set is None or replace(kept[0], alpha=case.alpha) != case:
        return None
    return kept[1]
