"""Training images as cards: thumbnail, class, distance, and what else they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import streamlit as st

from telltale_app.panels import selection

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


def cards(bundle: Bundle, images: Sequence[TrainingImage], kind: str) -> None:
    """Show one list of training images, strongest first."""
    with st.grid("auto", min_column_width=92, gap="xsmall"):
        for image in images:
            with st.container(gap="xxsmall"):
                _card(bundle, image, kind)


def _card(bundle: Bundle, image: TrainingImage, kind: str) -> None:
    name = bundle.class_names[image.label]
    said = f"Training image {image.image_id}, class {name}, {kind}"
    caption = f"**{name}**  \nno. {image.image_id}  \nd = {image.distance:.3g}"
    selection.picture(bundle, image.image_id, said, caption)
    for other in image.also:
        st.badge(other, icon=ICONS[other], color="green", help=f"This image is also among the {other} ones.")
