"""The map of the training images with one image, its lists and what connects them, packed for the pages to draw."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from telltale.figures import palette
from telltale.figures.packed_map import MapPoints, MarkedRows, PlacedImage, pack
from telltale.figures.points import Ids, positions_of
from telltale.figures.results.neighbours import LOOKS
from telltale.figures.results.shown import Shown, mark_name
from telltale.kinds.neighbours import NeighboursView

if TYPE_CHECKING:
    from telltale.bundle import Bundle


def map_points(bundle: Bundle, method: str, layer: int) -> MapPoints:
    """Return every training image of one layer's map; the same for every image."""
    points = np.asarray(bundle.maps[method][layer])
    return MapPoints.of(points, bundle.training_labels, bundle.splits.train, bundle.class_names)


def packed_neighbours(
    points: MapPoints,
    bundle: Bundle,
    shown: Shown,
    chosen: int,
    ids: Mapping[str, Ids],
    method: str,
    layer: int,
    more: Mapping[str, object],
) -> bytes:
    """Return a layer's map with each image and the lists of one of them, as `telltale.figures.packed_map.pack` does.

    The classes of the listed training images, and the one that the image is read as, are involved; others are muted.

    Parameters
    ----------
    points : MapPoints
        `map_points` of the same bundle, method and layer.
    bundle : Bundle
    shown : Shown
    chosen : int
        The image whose lists these are, as a position in `shown`.
    ids : mapping
        `telltale.figures.results.neighbours.listed_ids` of that image.
    method : {"umap", "pca"}
    layer : int
    more : mapping
        What else the header carries.
    """
    images = [
        PlacedImage(
            mark_name(name),
            palette.IMAGE_COLOURS[name],
            palette.MAP_SYMBOLS[name],
            np.asarray(analysis.view(NeighboursView).positions[method][layer]),
        )
        for name, analysis in shown
    ]
    lists = [MarkedRows(*LOOKS[kind], positions_of(listed, bundle.splits.train)) for kind, listed in ids.items()]
    rows = np.concatenate([marked.rows for marked in lists])
    involved = {*bundle.training_labels[rows].tolist(), shown[chosen][1].prediction.label}
    key = f"{bundle.id}-{method}-{layer}"
    return pack(points, images, lists, involved, {**more, "map": key, "chosen": chosen})
