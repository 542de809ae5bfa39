"""The hidden states of all training images in two dimensions, packed for the pages to draw."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from telltale.figures import palette
from telltale.figures.base import MOST_CLASSES
from telltale.figures.packed_map import MapPoints, Outline, PlacedImage, pack
from telltale.figures.results.density import class_outlines
from telltale.figures.results.shown import Shown, mark_name
from telltale.kinds.density import DensityView

if TYPE_CHECKING:
    from telltale.bundle import Bundle


def density_points(bundle: Bundle) -> MapPoints:
    """Return the hidden state of every training image; the same for every image."""
    places = bundle.density_map
    return MapPoints.of(np.asarray(places.points), np.asarray(places.labels), bundle.splits.train, bundle.class_names)


def packed_density(points: MapPoints, bundle: Bundle, shown: Shown, more: Mapping[str, object]) -> bytes:
    """Return the map with each image and the outlines of classes, as `telltale.figures.packed_map.pack` does.

    The classes that the images are read as are involved; others are muted, and of many classes not outlined.

    Parameters
    ----------
    points : MapPoints
        `density_points` of the same bundle.
    bundle : Bundle
    shown : Shown
    more : mapping
        What else the header carries.
    """
    images = [
        PlacedImage(
            mark_name(name),
            palette.IMAGE_COLOURS[name],
            palette.MAP_SYMBOLS[name],
            np.asarray(analysis.view(DensityView).position),
        )
        for name, analysis in shown
    ]
    read = {analysis.prediction.label for _, analysis in shown}
    outlines, present = class_outlines(bundle), set(points.present.tolist())
    drawn = [
        Outline(label, corners)
        for label, corners in outlines.items()
        if label in present and (len(outlines) <= MOST_CLASSES or label in read)
    ]
    return pack(points, images, [], read, {**more, "map": f"{bundle.id}-density", "chosen": 0}, drawn)
