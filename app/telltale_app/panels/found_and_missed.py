"""The test images that a detector misses, finds easiest, and wrongly accuses: pictures instead of a rate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st

from telltale.scores.caught import Extremes, ScoredImage, extremes
from telltale.scores.contests import NATURAL_ERRORS, Contest
from telltale_app import catalogue, state, words
from telltale_app.panels import selection

if TYPE_CHECKING:
    from telltale.bundle import Bundle

MOST = 8


def show_found_and_missed(bundle: Bundle, chosen: Contest, threshold: float | None) -> None:
    """Show three rows of test images; each opens in the workbench with its attack.

    Parameters
    ----------
    bundle : Bundle
    chosen : Contest
    threshold : float or None
        None where the detector is not calibrated; nothing is then missed or found.
    """
    if threshold is None:
        return
    st.header("Which images", anchor="which-images")
    found = _extremes(bundle, bundle.id, chosen.detector, chosen.attack, threshold)
    against = len(chosen.adversarial)
    missed, easiest, accused = st.tabs(
        [
            f"Missed ({found.n_missed:,} of {against:,})",
            f"Found easiest ({found.n_found:,})",
            f"False alarms ({found.n_accused:,} of {len(chosen.natural):,})",
        ]
    )
    with missed:
        _row(bundle, found.missed, "missed", "Nothing is missed.")
    with easiest:
        _row(bundle, found.found, "found", "Nothing is found.")
    with accused:
        _row(bundle, found.accused, "accused", "There is no false alarm.")
    attacked = chosen.attack != NATURAL_ERRORS and bundle.image_set is not None
    pictured = " Pictures are shown as they were before the attack; *Open* repeats it." if attacked else ""
    st.caption(
        f"The missed ones begin with the least suspicious, the others with the most; the threshold is "
        f"{words.threshold(threshold)}.{pictured}"
    )


@st.cache_data(max_entries=64, show_spinner=False)
def _extremes(
    _bundle: Bundle,
    bundle_id: str,  # noqa: ARG001  # the id is the key
    detector: str,
    opponent: str,
    threshold: float,
) -> Extremes:
    return extremes(_bundle.scores, detector, opponent, threshold, MOST)


def _row(bundle: Bundle, images: Sequence[ScoredImage], key: str, none: str) -> None:
    if not images:
        st.markdown(none)
    elif bundle.image_set is None:
        _table(bundle, images, key)
    else:
        with st.grid(MOST, min_column_width=112, gap="xsmall"):
            for image in images:
                _tile(bundle, image, key)


def _tile(bundle: Bundle, image: ScoredImage, key: str) -> None:
    said = f"Test image {image.image_id}: {_read(bundle, image)}"
    with st.container(gap="xxsmall"):
        selection.picture(bundle, image.image_id, said, f"{_read(bundle, image)}  \nscore {words.number(image.score)}")
        known = not image.attack or image.attack in catalogue.attacks()
        if known and st.button("Open", key=f"{key}-open-{image.image_id}", icon=":material/science:", help=said):
            _open(bundle, image)


def _read(bundle: Bundle, image: ScoredImage) -> str:
    """Say what the image is and what it was read as, and after which attack."""
    label, read = bundle.class_names[image.label], bundle.class_names[image.prediction]
    told = f"**{label}** read as **{read}**" if label != read else f"**{label}**, read rightly"
    return f"{told} ({words.percent(image.confidence)})" + (
        f", {catalogue.attack_title(image.attack)}" if image.attack else ""
    )


def _table(bundle: Bundle, images: Sequence[ScoredImage], key: str) -> None:
    """List the images where their pictures are not on this machine."""
    names = bundle.class_names
    frame = pd.DataFrame(
        {
            "test image": [image.image_id for image in images],
            "label": [names[image.label] for image in images],
            "read as": [names[image.prediction] for image in images],
            "confidence": [100.0 * image.confidence for image in images],
            "attack": [catalogue.attack_title(image.attack) if image.attack else "" for image in images],
            "score": [image.score for image in images],
        }
    )
    columns = {
        "confidence": st.column_config.NumberColumn(format="%.1f %%"),
        "score": st.column_config.NumberColumn(format="%.3g"),
    }
    selection.table(frame, "Test images with label, reading, confidence, attack and score", f"{key}-table", columns)


def _open(bundle: Bundle, image: ScoredImage) -> None:
    state.take_test_image(bundle, image.image_id, image.attack)
    st.switch_page("app_pages/workbench.py", query_params=state.current().to_query())
