"""The test images that a detector misses, finds easiest, and wrongly accuses: pictures instead of a rate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st

from telltale.scores.caught import Extremes, ScoredImage, extremes
from telltale.scores.contests import Contest
from telltale_app import catalogue, state, words
from telltale_app.panels import beside_nearest, selection

if TYPE_CHECKING:
    from telltale.bundle import Bundle

MOST = 8
MISSED, FOUND, ACCUSED = "missed", "found", "accused"


def show_found_and_missed(bundle: Bundle, chosen: Contest, threshold: float | None) -> None:
    """Show one of three sets of test images, each beside the nearest training image of the class that it is read as.

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
    titles = {
        MISSED: f"Hardest: missed ({found.n_missed:,} of {len(chosen.adversarial):,})",
        FOUND: f"Easiest: found ({found.n_found:,})",
        ACCUSED: f"False alarms ({found.n_accused:,} of {len(chosen.natural):,})",
    }
    which = st.segmented_control(
        "Which images",
        list(titles),
        default=MISSED,
        format_func=titles.__getitem__,
        required=True,
        key="which-images-shown",
        label_visibility="collapsed",
    )
    images, none = {
        MISSED: (found.missed, "Nothing is missed."),
        FOUND: (found.found, "Nothing is found."),
        ACCUSED: (found.accused, "There is no false alarm."),
    }[str(which)]
    _show(bundle, images, str(which), none)
    st.caption(
        f"The missed ones begin with the least suspicious, the others with the most; the threshold is "
        f"{words.threshold(threshold)}."
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


def _show(bundle: Bundle, images: Sequence[ScoredImage], key: str, none: str) -> None:
    if not images:
        st.markdown(none)
        return
    if bundle.image_set is None:
        _table(bundle, images, key)
        st.caption(
            "Neither these images nor the nearest training images of the classes that they are read as can be shown: "
            "the images of this model are not on this machine."
        )
        return
    known = [image for image in images if not image.attack or image.attack in catalogue.attacks()]
    if known:
        beside_nearest.pairs(
            bundle, known, lambda image: _said(bundle, image), lambda image: _open_button(bundle, image, key)
        )


def _said(bundle: Bundle, image: ScoredImage) -> str:
    return f"{_read(bundle, image)}  \nscore {words.number(image.score)}"


def _open_button(bundle: Bundle, image: ScoredImage, key: str) -> None:
    said = f"Open test image {image.image_id}{', attacked,' if image.attack else ''} in the workbench."
    if st.button("Open", key=f"{key}-open-{image.image_id}", icon=":material/science:", help=said):
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
