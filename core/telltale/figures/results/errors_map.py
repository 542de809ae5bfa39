"""The map of the training images with everything that a model misreads among them, packed for the pages to draw."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from telltale.figures import palette
from telltale.figures.packed_map import MapPoints, MarkedRows, OtherPoints, PlacedImage, pack
from telltale.figures.points import Ids, positions_of
from telltale.figures.results.neighbours import LOOKS

if TYPE_CHECKING:
    from telltale.bundle import Bundle

Points = npt.NDArray[np.floating]

MISREAD, CHOSEN = "misread images", "chosen image"
SYMBOL = "diamond"
FEW, LARGE, SMALL = 200, 6.0, 3.5  # large marks of more errors would hide the map


@dataclass(frozen=True)
class ChosenError:
    """The one error that is chosen.

    Attributes
    ----------
    row : int
        Its place among the errors.
    harmful : array of int64
        Data-set ids of the training images that most harm its true class; a line leads to each.
    """

    row: int
    harmful: Ids


def error_points(
    bundle: Bundle, method: str, layer: int, places: Points, ids: Ids, readings: Sequence[str]
) -> MapPoints:
    """Return every training image of one layer's map, and behind them every error; the same whatever is chosen.

    Parameters
    ----------
    bundle : Bundle
    method : {"umap", "pca"}
    layer : int
    places : array, shape (n, 2)
        Of the errors on that map.
    ids : array of int64, shape (n,)
    readings : sequence of str, length n
        What each is and what it was read as, for people.
    """
    errors = OtherPoints(MISREAD, palette.ATTACKED, SYMBOL, places, ids, tuple(readings))
    training = np.asarray(bundle.maps[method][layer])
    return MapPoints.of(training, bundle.training_labels, bundle.splits.train, bundle.class_names, errors)


def packed_errors(
    points: MapPoints,
    bundle: Bundle,
    rows: Ids,
    chosen: ChosenError | None,
    involved: Collection[int],
    more: Mapping[str, object],
) -> bytes:
    """Return a map of errors as bytes: some errors strong, all others faint, one of them joined to what harmed it.

    Parameters
    ----------
    points : MapPoints
        From `error_points`.
    bundle : Bundle
    rows : array of int64
        The errors that stay strong, in the order in which a person goes through them.
    chosen : ChosenError or None
    involved : collection of int
        Classes whose training images are drawn in full; all others are faint.
    more : mapping
        What else the header carries.
    """
    assert points.others is not None
    lists = [
        MarkedRows(
            MISREAD,
            palette.ATTACKED,
            SYMBOL,
            points.first + rows,
            joined=False,
            radius=LARGE if len(rows) <= FEW else SMALL,
        )
    ]
    images = []
    if chosen is not None:
        place = np.asarray(points.others.places[chosen.row])
        images.append(PlacedImage(CHOSEN, palette.ATTACKED, palette.MAP_SYMBOLS["natural"], place))
        lists.append(MarkedRows(*LOOKS["harmful"], positions_of(chosen.harmful, bundle.splits.train)))
    return pack(points, images, lists, involved, {**more, "chosen": 0})
