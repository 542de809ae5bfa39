"""Scored test images as the network saw them, each beside the nearest training image of the class it was read as."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import streamlit as st

from telltale.evidence.nearest_of_class import NONE
from telltale.scores.caught import ScoredImage
from telltale_app import bundle_jobs, catalogue, pictures, words
from telltale_app.panels import selection

if TYPE_CHECKING:
    from telltale.analysis.class_neighbours import ClassNeighbours
    from telltale.bundle import Bundle

PAIR_WIDTH, SIDE = 236, 104


def pairs(
    bundle: Bundle,
    images: Sequence[ScoredImage],
    said: Callable[[ScoredImage], str],
    below: Callable[[ScoredImage], None],
) -> None:
    """Show images, attacked again where they had been attacked, each beside its nearest of the class it is read as.

    While they are attacked again, and where that was cancelled, each is shown as it was before the attack, alone.

    Parameters
    ----------
    bundle : Bundle
        Its images are on this machine.
    images : sequence of ScoredImage
        Of attacks that are known here.
    said : callable
        Returns what stands under an image, in Markdown.
    below : callable
        Draws the buttons under an image.
    """
    found: ClassNeighbours | None = bundle_jobs.result_of(
        "class_neighbours",
        bundle,
        "Attacking these images again, and looking for the nearest training image of each one's class",
        lambda: _alone(bundle, images, said),
        ids=tuple(image.image_id for image in images),
        attacks=tuple(image.attack for image in images),
    )
    if found is None:
        _alone(bundle, images, said, below)
        return
    with st.grid("auto", min_column_width=PAIR_WIDTH, gap="small"):
        for place, image in enumerate(images):
            with st.container(border=True, gap="xxsmall", height="stretch"):
                _pair(bundle, found, place, image, said)
                below(image)
    st.caption(
        f"Beside each image stands the {catalogue.reference_word(bundle)} image of the class it is read as that lies "
        f"nearest to it on **{found.layer}**: d is the Euclidean distance of pooled activations."
    )


def _pair(
    bundle: Bundle, found: ClassNeighbours, place: int, image: ScoredImage, said: Callable[[ScoredImage], str]
) -> None:
    name = bundle.class_names[int(found.predictions[place])]
    with st.container(horizontal=True, gap="small"):
        with st.container(width=SIDE):
            seen = f"Test image {image.image_id}, {'attacked, ' if image.attack else ''}read as {name}"
            state = "attacked" if image.attack else "natural"
            caption = f"**{bundle.class_names[image.label]}**, no. {image.image_id}  \n{state}"
            pictures.show(found.images[place], seen, caption, SIDE)
        with st.container(width=SIDE):
            _neighbour(bundle, int(found.ids[place]), name, float(found.distances[place]))
    st.caption(said(image))


def _neighbour(bundle: Bundle, image_id: int, name: str, distance: float) -> None:
    word = catalogue.reference_word(bundle)
    if image_id == NONE:
        st.caption(f"No {word} image of **{name}** is kept.")
        return
    alt = f"{word.capitalize()} image {image_id}, the nearest of class {name}, at distance {distance:.3g}"
    selection.picture(bundle, image_id, alt, f"**{name}**, no. {image_id}  \nd = {words.number(distance)}", side=SIDE)


def _alone(
    bundle: Bundle,
    images: Sequence[ScoredImage],
    said: Callable[[ScoredImage], str],
    below: Callable[[ScoredImage], None] | None = None,
) -> None:
    with st.grid("auto", min_column_width=PAIR_WIDTH, gap="small"):
        for image in images:
            with st.container(border=True, gap="xxsmall", height="stretch"):
                before = ", before the attack" if image.attack else ""
                selection.picture(bundle, image.image_id, f"Test image {image.image_id}{before}", said(image), SIDE)
                if below is not None:
                    below(image)
