"""Between the session's case and the saved ones: saving what is shown, and opening what was saved."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import streamlit as st

from telltale.base.errors import InputError
from telltale.base.images import image_sha256
from telltale.cases.making import new_case
from telltale.cases.numbers import case_numbers, differences
from telltale.cases.pixels import read_png
from telltale.cases.record import CaseRecord, CaseSettings, SavedCase
from telltale_app import catalogue, state
from telltale_app.case import Case
from telltale_app.link_images import carry, image_words, read_image

if TYPE_CHECKING:
    from collections.abc import Sequence

    from telltale.bundle import Bundle
    from telltale.cases.record import CaseNumbers
    from telltale_app.analyses import CaseAnalysis


@dataclass(frozen=True)
class Check:
    """How the numbers shown now compare with those that were saved.

    Attributes
    ----------
    same_bundle : bool
    changed : tuple of str
        What differs, as `telltale.cases.numbers.differences` names it.
    """

    same_bundle: bool
    changed: tuple[str, ...]


def from_analysis(analysed: CaseAnalysis, note: str, tags: Sequence[str]) -> SavedCase:
    """Return a new saved case of what is shown.

    Raises
    ------
    InputError
        If the case's attack was cancelled or refused, or note or tags are too long.
    """
    case = analysed.case
    if case.attack is not None and analysed.attack is None:
        raise InputError("The attack of this case has not been run, so there is nothing to save yet.")
    return new_case(
        CaseSettings(case.bundle, case.image, case.attack, dict(case.parameters), case.target, case.seed, case.alpha),
        image_words(case.image),
        analysed.natural.bundle_id,
        _numbers(analysed),
        analysed.image,
        None if analysed.attack is None else analysed.attack.images[0],
        note,
        tags,
    )


def to_case(saved: SavedCase) -> Case:
    """Return a saved case as the session holds cases; the image travels along where this machine's data lack it.

    Raises
    ------
    InputError
        If its model is not here or takes images of another shape.
    """
    settings = saved.record.settings
    bundle = catalogue.bundle(settings.bundle)
    return Case(
        settings.bundle,
        _image_reference(saved, bundle),
        settings.attack,
        tuple(settings.parameters.items()),
        settings.target,
        settings.seed,
        settings.alpha,
    )


def remember_opened(saved: SavedCase, case: Case) -> None:
    """Keep what was saved while its case is the current one, so that its numbers can be checked."""
    st.session_state["opened-case"] = (case, saved.record)


def opened() -> CaseRecord | None:
    """Return what was saved of the current case, if it was opened from the saved ones."""
    case, record = st.session_state.get("opened-case", (None, None))
    return record if case == state.current() else None


def check(record: CaseRecord, analysed: CaseAnalysis) -> Check:
    """Compare the numbers shown now with those that were saved."""
    return Check(record.bundle_id == analysed.natural.bundle_id, differences(record.numbers, _numbers(analysed)))


def _numbers(analysed: CaseAnalysis) -> CaseNumbers:
    return case_numbers(
        analysed.natural, analysed.attack, analysed.attacked, tuple(analysed.bundle.class_names), analysed.true_label
    )


def _image_reference(saved: SavedCase, bundle: Bundle) -> str:
    """Return the image's own reference, unless it leads to other pixels or to none on this machine."""
    image, reference = read_png(saved.natural_png), saved.record.settings.image
    if image.shape != tuple(bundle.image_shape):
        raise InputError("The saved image has another shape than the images of the model of that name here.")
    with contextlib.suppress(InputError):
        if image_sha256(read_image(reference, bundle)) == image_sha256(image):
            return reference
    return carry(image)
