"""Training images as cards: thumbnail, class, distance, and what else they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import streamlit as st

from telltale_app import catalogue
from telltale_app.corrections import Pick
from telltale_app.panels import selection
from telltale_app.panels.picking import pick_button

if TYPE_CHECKING:
    from telltale.bundle import Bundle

ICONS = {"nearest": ":material/near_me:", "helpful": ":material/thumb_up:", "harmful": ":material/thumb_down:"}


@dataclass(frozen=True)
class TrainingImage:
    """One training image in one list.

    Attributes
    ----------
    image_id, label : int
    distance : float
        To the current image on the chosen layer.
    rank : float or None
        Share of all training images that are nearer.
    influence : float or None
    also : tuple of str
        Other lists that hold it.
    """

    image_id: int
    label: int
    distance: float
    rank: float | None
    influence: float | None
    also: tuple[str, ...]


def cards(bundle: Bundle, images: Sequence[TrainingImage], kind: str, of: str) -> None:
    """Show one list of training images, strongest first, each with a button that picks it.

    Parameters
    ----------
    bundle : Bundle
    images : sequence of TrainingImage
    kind : str
        Of the list: "nearest", "helpful" or "harmful".
    of : str
        The image whose list it is, for people.
    """
    with st.grid("auto", min_column_width=92, gap="xsmall"):
        for image in images:
            with st.container(gap="xxsmall"):
                _card(bundle, image, kind, of)


def _card(bundle: Bundle, image: TrainingImage, kind: str, of: str) -> None:
    name = bundle.class_names[image.label]
    said = f"{catalogue.reference_word(bundle).capitalize()} image {image.image_id}, class {name}, {kind}"
    caption = f"**{name}**  \nno. {image.image_id}  \nd = {image.distance:.3g}"
    selection.picture(bundle, image.image_id, said, caption)
    for other in image.also:
        st.badge(other, icon=ICONS[other], color="green", help=f"This image is also among the {other} ones.")
    influence = "" if image.influence is None else f" (influence {image.influence:.3g})"
    pick_button(bundle, Pick(image.image_id, f"{kind} of {of}{influence}"), kind)
