"""Training images as cards behind the image that they belong to: thumbnail, class, distance, what else they are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import streamlit as st

from telltale.base.images import FloatImages
from telltale_app import catalogue, pictures, words
from telltale_app.corrections import Pick
from telltale_app.panels import selection
from telltale_app.panels.bars import Bar, bare_bar, named_bars
from telltale_app.panels.picking import pick_button

if TYPE_CHECKING:
    from telltale.bundle import Bundle

ICONS = {"nearest": ":material/near_me:", "helpful": ":material/thumb_up:", "harmful": ":material/thumb_down:"}
HEAD_SIDE, HISTOGRAM_WIDTH, MOST_NAMED = 112, 200, 4


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


@dataclass(frozen=True)
class Head:
    """The image that stands at the head of its lists.

    Attributes
    ----------
    image : array of float32, shape (C, H, W)
    name : str
        For people.
    read : str
        The class that it is read as.
    """

    image: FloatImages
    name: str
    read: str


def cards(bundle: Bundle, images: Sequence[TrainingImage], kind: str, head: Head) -> None:
    """Show one list of training images behind the image whose list it is, strongest first.

    Each has a bar with its distance as a share of the farthest one's, and buttons that open and pick it. Where the
    training images are not on this machine, chips with class and distance stand in their place.

    Parameters
    ----------
    bundle : Bundle
    images : sequence of TrainingImage
    kind : str
        Of the list: "nearest", "helpful" or "harmful".
    head : Head
    """
    farthest = max((image.distance for image in images), default=0.0)
    if bundle.image_set is None:
        with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
            with st.container(width=HEAD_SIDE):
                _head(head)
            with st.container(width=HISTOGRAM_WIDTH):
                named_bars(class_bars(bundle, images))
    with st.grid("auto", min_column_width=92, gap="xsmall"):
        if bundle.image_set is not None:
            with st.container(gap="xxsmall"):
                _head(head)
        for image in images:
            with st.container(gap="xxsmall"):
                _card(bundle, image, kind, head.name, image.distance / farthest if farthest else 0.0)


def class_words(bundle: Bundle, images: Sequence[TrainingImage]) -> str:
    """Return how many of the listed images are of each class, the most frequent first."""
    return words.listed([f"{count} of {name}" for name, count in _counted(bundle, images)])


def class_bars(bundle: Bundle, images: Sequence[TrainingImage]) -> list[Bar]:
    """Return how many of the listed images are of each class as bars, the most frequent first."""
    counted = _counted(bundle, images)
    return [Bar(name, count / len(images), f"{count} of {len(images)}") for name, count in counted]


def _counted(bundle: Bundle, images: Sequence[TrainingImage]) -> list[tuple[str, int]]:
    """Count images by class, the most frequent first; few classes are named, all others are one."""
    counted = Counter(image.label for image in images).most_common()
    named = [(f"class {bundle.class_names[label]}", count) for label, count in counted[:MOST_NAMED]]
    others = sum(count for _, count in counted[MOST_NAMED:])
    return [*named, ("other classes", others)] if others else named


def _head(head: Head) -> None:
    pictures.show(head.image, f"{head.name}, whose list this is", f"**This image**  \nread as **{head.read}**")


def _card(bundle: Bundle, image: TrainingImage, kind: str, of: str, far: float) -> None:
    name = bundle.class_names[image.label]
    said = f"{catalogue.reference_word(bundle).capitalize()} image {image.image_id}, class {name}, {kind}"
    caption = f"**{name}**  \nno. {image.image_id}  \nd = {image.distance:.3g}"
    selection.picture(bundle, image.image_id, said, caption)
    bare_bar(far)
    for other in image.also:
        st.badge(other, icon=ICONS[other], color="green", help=f"This image is also among the {other} ones.")
    influence = "" if image.influence is None else f" (influence {image.influence:.3g})"
    with st.container(horizontal=True, gap="xxsmall"):
        key = f"{kind}-open-train-{image.image_id}"
        selection.open_button(bundle, f"train-{image.image_id}", key, small=True)
        pick_button(bundle, Pick(image.image_id, f"{kind} of {of}{influence}"), kind)
