"""The training images that decided, on the map of all of them, and their votes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go

from telltale.analysis.results import Analysis
from telltale.figures import palette
from telltale.figures.bars import class_bars
from telltale.figures.base import MOST_CLASSES, drawn_classes
from telltale.figures.embedding import mark, training_map
from telltale.figures.points import positions_of
from telltale.figures.results.shown import Shown, mark_name
from telltale.kinds.influence import InfluenceView
from telltale.kinds.neighbours import NeighboursView

if TYPE_CHECKING:
    from telltale.bundle import Bundle

Ids = npt.NDArray[np.int64]
Doubles = npt.NDArray[np.float64]
MAPS = ("umap", "pca")
FEW_VOTES = 0.05  # a largest share below it takes a decimal to be told from the next
LOOKS = {
    "nearest": ("nearest", palette.NEUTRAL, "circle"),
    "helpful": ("most helpful", palette.HELPFUL, "triangle-up"),
    "harmful": ("most harmful", palette.HARMFUL, "triangle-down"),
}


def listed_ids(analysis: Analysis, layer: int, k: int) -> dict[str, Ids]:
    """Return the ids of the k nearest on one layer, and of the k most helpful and harmful where these are known."""
    nearest = {"nearest": analysis.view(NeighboursView).ids[layer, :k]}
    influence = analysis.find(InfluenceView)
    if influence is None:
        return nearest
    return nearest | {"helpful": influence.helpful_ids[:k], "harmful": influence.harmful_ids[:k]}


def layer_map(bundle: Bundle, method: str, layer: int) -> go.Figure:
    """Return the map of the training images on one layer; the same for every image."""
    points = np.asarray(bundle.maps[method][layer])
    labels = bundle.training_labels
    return training_map(points, labels, bundle.splits.train, bundle.class_names)


def marked_map(
    base: go.Figure, bundle: Bundle, shown: Shown, ids: Mapping[str, Ids], method: str, layer: int
) -> go.Figure:
    """Return a copy of a layer's map with the lists of training images and each image on top.

    Parameters
    ----------
    base : Figure
        `layer_map` of the same bundle, method and layer.
    bundle : Bundle
    shown : Shown
    ids : mapping
        `listed_ids` of one image.
    method : {"umap", "pca"}
    layer : int
        Row of `Bundle.layers`.
    """
    figure = go.Figure(base)
    figure.update_layout(uirevision=f"{bundle.id}-{method}-{layer}")
    points = np.asarray(bundle.maps[method][layer])
    for kind in ids:
        name, colour, symbol = LOOKS[kind]
        rows = positions_of(ids[kind], bundle.splits.train)
        mark(figure, name, points[rows], colour, symbol, 12, ids[kind])
    for name, analysis in shown:
        place = np.asarray(analysis.view(NeighboursView).positions[method][layer])
        mark(figure, mark_name(name), place[None], palette.IMAGE_COLOURS[name], palette.MAP_SYMBOLS[name], 20)
    return figure


def detector_votes(shown: Shown) -> dict[str, Doubles]:
    """Return each image's weighted votes behind the kNN score, shape (C,)."""
    return {name: analysis.view(NeighboursView).votes for name, analysis in shown}


def layer_votes(shown: Shown, classes: int, layer: int, k: int) -> dict[str, Doubles]:
    """Return each image's share of every class among its k nearest on one layer, equal votes, shape (C,)."""
    labels = {name: analysis.view(NeighboursView).labels[layer, :k] for name, analysis in shown}
    return {name: np.bincount(near, minlength=classes) / len(near) for name, near in labels.items()}


def votes(shown: Shown, class_names: Sequence[str]) -> go.Figure:
    """Return each image's weighted votes behind the kNN score, per class; of many classes those with most votes."""
    return vote_bars(detector_votes(shown), class_names)


def vote_bars(shares: Mapping[str, Doubles], class_names: Sequence[str]) -> go.Figure:
    """Return shares of votes by image, each of shape (C,), as bars per class; of many classes those with most votes."""
    many = len(class_names) > MOST_CLASSES
    found = shares.values()
    classes = drawn_classes([np.where(values > 0.0, values, np.nan) if many else values for values in found])
    groups = [(name, values[classes].tolist(), palette.IMAGE_COLOURS[name]) for name, values in shares.items()]
    largest = max(float(values.max()) for values in found)
    number = ".0%" if largest >= FEW_VOTES else ".1%"
    return class_bars([class_names[c] for c in classes], groups, "share of votes", number)
