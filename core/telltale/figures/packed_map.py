"""A map of training images as bytes: typed arrays that a browser draws as they come, behind a header in JSON.

Layout, little-endian: uint32, the header's length in bytes; the header, padded with spaces to a multiple of four; n
places as float32 (x, y); n data-set ids as int32; n positions in the header's list of classes as uint16. Points of
another kind than training images, where there are some, come last; the header's `first` is where they begin.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from telltale.figures import palette
from telltale.figures.base import MOST_CLASSES

Points = npt.NDArray[np.floating]
Ids = npt.NDArray[np.int64]


@dataclass(frozen=True)
class PlacedImage:
    """An image that is no training image, where it stands among them.

    Attributes
    ----------
    name, colour, symbol : str
        As in a legend; the colour as #RRGGBB, the symbol as Plotly calls it.
    place : array, shape (2,)
    """

    name: str
    colour: str
    symbol: str
    place: Points


@dataclass(frozen=True)
class MarkedRows:
    """Training images that are marked together.

    Attributes
    ----------
    name, colour, symbol : str
    rows : array of int64
        Their positions among the points.
    joined : bool
        Whether a line leads to each from the image that is chosen.
    radius : float
        Of a mark, in pixels.
    """

    name: str
    colour: str
    symbol: str
    rows: Ids
    joined: bool = True
    radius: float = 6.0


@dataclass(frozen=True)
class Outline:
    """A closed line around where a class lies, in the colour of its points.

    Attributes
    ----------
    label : int
    corners : array, shape (m, 2)
    """

    label: int
    corners: Points


@dataclass(frozen=True)
class OtherPoints:
    """Points among the training images that are none: where a map has some, a person chooses among these alone.

    Attributes
    ----------
    name, colour, symbol : str
        All look alike.
    places : array, shape (m, 2)
    ids : array of int64, shape (m,)
        Data-set ids.
    words : tuple of str, length m
        What each is.
    """

    name: str
    colour: str
    symbol: str
    places: Points
    ids: Ids
    words: tuple[str, ...]


@dataclass(frozen=True)
class MapPoints:
    """The points of one map, packed; the same for every image that is shown among them.

    Attributes
    ----------
    count : int
        Training images and others.
    body : bytes
        Places, ids and classes, as the module's layout has them.
    present : array of int64
        The classes that occur, ascending; a point's class is a position in it.
    names : tuple of str
        Of these classes.
    middles : array of float64, shape (len(present), 2)
        The median of each class's points, coordinate by coordinate.
    others : OtherPoints or None
        The last of the points, where they are no training images.
    """

    count: int
    body: bytes
    present: Ids
    names: tuple[str, ...]
    middles: npt.NDArray[np.float64]
    others: OtherPoints | None = None

    @property
    def first(self) -> int:
        """Return the first point that a person can choose."""
        return 0 if self.others is None else self.count - len(self.others.ids)

    @classmethod
    def of(
        cls, points: Points, labels: Ids, ids: Ids, class_names: Sequence[str], others: OtherPoints | None = None
    ) -> MapPoints:
        """Pack the points of a map.

        Parameters
        ----------
        points : array, shape (n, 2)
        labels, ids : array of int64, shape (n,)
            True classes and data-set ids.
        class_names : sequence of str
        others : OtherPoints, optional
            Points that follow the training images.
        """
        present, positions = np.unique(labels, return_inverse=True)
        middles = [np.median(points[positions == at], axis=0) for at in range(len(present))]
        names = tuple(class_names[label] for label in present)
        if others is not None:
            points, ids = np.concatenate([points, others.places]), np.concatenate([ids, others.ids])
            positions = np.concatenate([positions, np.full(len(others.ids), len(present))])
        arrays = (points.astype("<f4"), ids.astype("<i4"), positions.astype("<u2"))
        body = b"".join(array.tobytes() for array in arrays)
        return cls(len(points), body, present, names, np.asarray(middles, np.float64).reshape(-1, 2), others)


def pack(
    points: MapPoints,
    images: Sequence[PlacedImage],
    lists: Sequence[MarkedRows],
    involved: Collection[int],
    more: Mapping[str, object],
    outlines: Sequence[Outline] = (),
) -> bytes:
    """Return a whole map as bytes.

    Up to `MOST_CLASSES` classes have colours, shapes and a label in place each; of more, only the classes that are
    involved have, and the points of all others are alike.

    Parameters
    ----------
    points : MapPoints
    images : sequence of PlacedImage
    lists : sequence of MarkedRows
    involved : collection of int
        Classes that are drawn in full; all others are muted.
    more : mapping
        What else the header carries, JSON.
    outlines : sequence of Outline
        Of classes that occur.
    """
    looks = _looks(points, involved)
    colours = dict(zip(points.present.tolist(), (look["colour"] for look in looks), strict=True))
    header = {
        **more,
        "count": points.count,
        "first": points.first,
        "words": [] if points.others is None else list(points.others.words),
        "looks": [*looks, *_look_of(points.others)],
        "outlines": [
            {"colour": colours[outline.label], "corners": np.round(outline.corners, 4).tolist()} for outline in outlines
        ],
        "images": [
            {"name": image.name, "colour": image.colour, "symbol": image.symbol, "place": image.place.tolist()}
            for image in images
        ],
        "lists": [
            {
                "name": marked.name,
                "colour": marked.colour,
                "symbol": marked.symbol,
                "rows": marked.rows.tolist(),
                "joined": marked.joined,
                "radius": marked.radius,
            }
            for marked in lists
        ],
    }
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 4)
    return np.array(len(text), "<u4").tobytes() + text + points.body


def _looks(points: MapPoints, involved: Collection[int]) -> list[dict[str, object]]:
    """Return name, colour, shape and place of every class that occurs."""
    labels = points.present.tolist()
    many = len(labels) > MOST_CLASSES
    coloured = sorted(involved) if many else labels
    numbers = {label: place if many else label for place, label in enumerate(coloured)}
    return [
        {
            "name": name,
            "colour": palette.class_colour(numbers[label]) if label in numbers else palette.OF_ANY_CLASS,
            "symbol": palette.class_symbol(numbers[label]) if label in numbers else "circle",
            "place": middle.tolist(),
            "involved": label in involved,
            "labelled": label in numbers,
            "waiting": False,
        }
        for label, name, middle in zip(labels, points.names, points.middles, strict=True)
    ]


def _look_of(others: OtherPoints | None) -> list[dict[str, object]]:
    """Return name, colour and shape of points that are no training images; they wait until a list marks them."""
    if others is None:
        return []
    look = {"name": others.name, "colour": others.colour, "symbol": others.symbol, "place": [0.0, 0.0]}
    return [look | {"involved": False, "labelled": False, "waiting": True}]
