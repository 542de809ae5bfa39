"""Where the training images that decided lie among all: the map of one layer, or of two side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from telltale.bundle.summary import training_images
from telltale.figures.base import MOST_CLASSES
from telltale.figures.packed_map import MapPoints
from telltale.figures.results.neighbours_map import map_points, packed_neighbours
from telltale_app import catalogue, words
from telltale_app.analyses import CaseAnalysis
from telltale_app.panels import canvas_map, map_selection
from telltale_app.panels.neighbours import KINDS
from telltale_app.panels.training_images import TrainingImage

if TYPE_CHECKING:
    from telltale.bundle import Bundle

Lists = dict[str, tuple[TrainingImage, ...]]

MAP = "training-map"
BESIDE = "training-map-beside"
HOW_TO = (
    "Point at an image to see it; click it, or draw around several, to list them below. The wheel zooms, and close up "
    "pictures stand in place of points; *Move*, or Shift, drags the map. By keyboard: arrows go through the marked "
    "images, Enter opens one, + and − zoom, Esc takes a choice back."
)
HOW_TO_WITHOUT_IMAGES = (
    "Point at an image for its class; click it, or draw around several, to list them below. The wheel zooms; *Move*, "
    "or Shift, drags the map. By keyboard: arrows go through the marked images, + and − zoom, Esc takes a choice back."
)


@st.cache_resource(max_entries=64, show_spinner=False)
def _points(_bundle: Bundle, bundle_id: str, method: str, layer: int) -> MapPoints:  # noqa: ARG001  # id is the key
    return map_points(_bundle, method, layer)


def show_map(case: CaseAnalysis, image: str, lists: Lists, layer: int) -> None:
    """Show all training images of one layer with the current images on top, one of them connected to its lists.

    A second layer's map stands beside it where a person asks for one, with the same images marked and chosen.
    """
    bundle = case.bundle
    with st.container(horizontal=True, vertical_alignment="bottom"):
        method = st.segmented_control(
            "Map",
            [name for name in words.MAP_TITLES if name in bundle.maps],
            default=next(name for name in words.MAP_TITLES if name in bundle.maps),
            format_func=words.MAP_TITLES.__getitem__,
            required=True,
            key="map",
            bind="query-params",
        )
        beside = st.selectbox(
            "Beside it",
            [name for name in bundle.layers if name != bundle.layers[layer]],
            index=None,
            placeholder="a second layer",
            key="beside",
            bind="query-params",
            width=220,
            help="The map of another layer: what you point at or choose on one is marked on both.",
        )
    if beside is None:
        _one_map(case, image, lists, method, layer, MAP)
    else:
        for column, at, key in zip(st.columns(2), (layer, bundle.layers.index(beside)), (MAP, BESIDE), strict=True):
            with column:
                st.markdown(f"**{bundle.layers[at]}**")
                _one_map(case, image, lists, method, at, key)
    how_to = HOW_TO_WITHOUT_IMAGES if bundle.image_set is None else HOW_TO
    both = "" if beside is None else f"The lists on both maps are those of {bundle.layers[layer]}. "
    st.caption(
        f"{how_to} {both}{_shown_words(bundle)} {_class_words(bundle)} This image stands at the weighted mean of its "
        "neighbours' places: distances on a flattened map are only a hint."
    )
    map_selection.open_chosen(bundle)
    map_selection.show_lassoed(bundle, lists)


def _one_map(case: CaseAnalysis, image: str, lists: Lists, method: str, layer: int, key: str) -> None:
    bundle = case.bundle
    points = _points(bundle, bundle.id, method, layer)
    ids = {kind: np.array([item.image_id for item in items], dtype=np.int64) for kind, items in lists.items()}
    chosen = [name for name, _ in case.views()].index(image)
    said = (
        f"{words.MAP_TITLES[method]} map of {points.count:,} {catalogue.reference_word(bundle)} images at "
        f"{bundle.layers[layer]}, with this image connected to its "
        f"{words.listed([KINDS[kind].lower() for kind in lists])} ones. Arrow keys go through them, "
        f"{'' if bundle.image_set is None else 'Enter opens one, '}plus and minus zoom, Escape takes a choice back."
    )
    picked = map_selection.lassoed_rows(bundle)
    header = canvas_map.header(bundle, key, said, len(picked) > 0, picked, bundle.id)
    packed = packed_neighbours(points, bundle, case.views(), chosen, ids, method, layer, header)
    canvas_map.show(packed, key, lambda: map_selection.take(canvas_map.choice(key, points.count), bundle))


def _class_words(bundle: Bundle) -> str:
    if len(np.unique(bundle.training_labels)) > MOST_CLASSES:
        return "Named classes are those of the marked images."
    return "Shapes and colours are classes; those that are not involved are faint."


def _shown_words(bundle: Bundle) -> str:
    placed, word = len(bundle.splits.train), catalogue.reference_word(bundle)
    if placed == training_images(bundle):
        return f"Every {word} image once."
    return f"All {placed:,} {word} images that are kept."
