"""The corrections of a session: training images picked, removed and relabelled, kept model by model.

They are part of the case: they survive every change of page, and a short list travels in the link. What a link carries
is which images are corrected and how; why, and how suspicious they are, is in the CSV.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import streamlit as st

from telltale.model_errors.corrections import Correction, LabelEvidence, TrainingSet, summary
from telltale_app import state

if TYPE_CHECKING:
    from telltale.bundle import Bundle

KEY = "corrections"
LONGEST_TEXT = 1_000
BETWEEN = "."
FROM_LINK = "from a link"

_MADE, _PICKED = "corrections-made", "corrections-picked"
_ENTRY = re.compile(r"(\d{1,12})(?:x|-(\d{1,6}))")


@dataclass(frozen=True)
class Pick:
    """A training image that was picked to be corrected.

    Attributes
    ----------
    image_id : int
    reason : str
        Where and why, in words.
    evidence : LabelEvidence
        As far as it is known there.
    """

    image_id: int
    reason: str = ""
    evidence: LabelEvidence = field(default_factory=LabelEvidence)


def synchronise() -> None:
    """Take corrections from the address in a fresh session; later, the session leads and the address follows."""
    if _MADE not in st.session_state:
        st.session_state[_MADE] = {}
        text = str(st.query_params.get(KEY, ""))
        if text:
            _take_from_link(text)
    _write_address()


def made(bundle: Bundle) -> tuple[Correction, ...]:
    """Return the corrections of a model's training images, in the order in which they were made."""
    return tuple(_of(_MADE, bundle.id).values())


def picked(bundle: Bundle) -> tuple[Pick, ...]:
    """Return the training images that are picked and not corrected yet."""
    return tuple(_of(_PICKED, bundle.id).values())


def is_picked(bundle: Bundle, image_id: int) -> bool:
    """Return whether a training image is picked."""
    return image_id in _of(_PICKED, bundle.id)


def correction_of(bundle: Bundle, image_id: int) -> Correction | None:
    """Return what is done to a training image, or None."""
    found: Correction | None = _of(_MADE, bundle.id).get(image_id)
    return found


def words(bundle: Bundle) -> str:
    """Return in Markdown how many training images are picked and corrected; empty where none is."""
    picks, changes = len(picked(bundle)), made(bundle)
    said = [f"**{picks:,} picked**"] if picks else []
    said += [summary(changes)] if changes else []
    return ", ".join(said)


def toggle(bundle: Bundle, pick: Pick) -> None:
    """Pick an image, or let it go again; for widget callbacks."""
    chosen = _of(_PICKED, bundle.id)
    if chosen.pop(pick.image_id, None) is None:
        chosen[pick.image_id] = pick
    _keep(_PICKED, bundle.id, chosen)


def pick_all(bundle: Bundle, picks: Iterable[Pick]) -> None:
    """Pick more images; for widget callbacks."""
    _keep(_PICKED, bundle.id, {pick.image_id: pick for pick in picks} | _of(_PICKED, bundle.id))


def pick_none(bundle: Bundle) -> None:
    """Let all picked images go; for widget callbacks."""
    _keep(_PICKED, bundle.id, {})


def remove_picked(bundle: Bundle) -> None:
    """Remove all picked images from the training set; for widget callbacks."""
    _correct(bundle, None)


def relabel_picked(bundle: Bundle, label: int) -> None:
    """Give all picked images a label; those that have it already stay picked. For widget callbacks."""
    _correct(bundle, label)


def take(bundle: Bundle, corrections: Iterable[Correction]) -> None:
    """Add corrections, in the place of earlier ones of the same images; for widget callbacks."""
    _keep(_MADE, bundle.id, _of(_MADE, bundle.id) | {each.image_id: each for each in corrections})
    _write_address()


def undo(bundle: Bundle, image_id: int) -> None:
    """Undo one correction; for widget callbacks."""
    left = _of(_MADE, bundle.id)
    left.pop(image_id, None)
    _keep(_MADE, bundle.id, left)
    _write_address()


def undo_all(bundle: Bundle) -> None:
    """Undo every correction; for widget callbacks."""
    _keep(_MADE, bundle.id, {})
    _write_address()


def fit_in_link(bundle: Bundle) -> bool:
    """Return whether a link to the case carries its corrections."""
    return len(_text(made(bundle))) <= LONGEST_TEXT


def _correct(bundle: Bundle, label: int | None) -> None:
    training = TrainingSet.of_bundle(bundle)
    corrections, left = [], {}
    for pick in picked(bundle):
        given = training.label_of(pick.image_id)
        if given is None or given == label:
            left[pick.image_id] = pick
        else:
            corrections.append(Correction(pick.image_id, given, label, pick.reason, pick.evidence))
    _keep(_PICKED, bundle.id, left)
    take(bundle, corrections)


def _of(kind: str, bundle_id: str) -> dict[int, Any]:
    """Return a copy of what is kept for one model, by image id."""
    return dict(st.session_state.get(kind, {}).get(bundle_id, {}))


def _keep(kind: str, bundle_id: str, values: Mapping[int, Any]) -> None:
    st.session_state[kind] = {**st.session_state.get(kind, {}), bundle_id: values}


def _write_address() -> None:
    text = _text(made(state.current_bundle()))
    if text and len(text) <= LONGEST_TEXT:
        if st.query_params.get(KEY) != text:
            st.query_params[KEY] = text
    elif KEY in st.query_params:
        del st.query_params[KEY]


def _text(corrections: Iterable[Correction]) -> str:
    """Write corrections for a link: ``12x`` removes image 12, ``45-3`` makes image 45 one of class 3."""
    pairs = ((each.image_id, "x" if each.new_label is None else f"-{each.new_label}") for each in corrections)
    return BETWEEN.join(f"{image_id}{change}" for image_id, change in pairs)


def _take_from_link(text: str) -> None:
    """Take what a link corrects; what is wrong with it is left out, and said once."""
    bundle = state.current_bundle()
    training = TrainingSet.of_bundle(bundle)
    parts = text[: 2 * LONGEST_TEXT].split(BETWEEN)
    read = [correction for part in parts if (correction := _read(part, training)) is not None]
    take(bundle, read)
    if len(read) < len(parts):
        left = len(parts) - len(read)
        said = "1 correction of the link was" if left == 1 else f"{left} corrections of the link were"
        warning = f"{said} left out: no such training image or class."
        st.session_state.case_warnings = (*st.session_state.get("case_warnings", ()), warning)


def _read(part: str, training: TrainingSet) -> Correction | None:
    match = _ENTRY.fullmatch(part)
    label = None if match is None else training.label_of(int(match[1]))
    if match is None or label is None:
        return None
    new_label = None if match[2] is None else int(match[2])
    if new_label is not None and (new_label == label or new_label >= len(training.class_names)):
        return None
    return Correction(int(match[1]), label, new_label, FROM_LINK)
