"""The kinds of road sign that are drawn: colour upon colour, as Annex 1 of the Vienna convention of 1968 has them.

The convention fixes shapes, colours and symbols, and few proportions (the word STOP is at least a third as high as its
panel); the others are this project's own, within what roads are used to. A sign lies within [-1, 1] both ways.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from math import sqrt

from telltale.signs import pictograms
from telltale.signs.lettering import written
from telltale.signs.outlines import INRADIUS, diamond, octagon, square, triangle
from telltale.signs.shapes import Disc, Segment, Shape


class Colour(IntEnum):
    """What a point of a sign is painted with; nothing is where there is no sign."""

    NOTHING = 0
    WHITE = 1
    RED = 2
    BLUE = 3
    BLACK = 4
    YELLOW = 5


@dataclass(frozen=True)
class Layer:
    """Shapes in one colour, above those before."""

    colour: Colour
    shapes: tuple[Shape, ...]


@dataclass(frozen=True)
class Kind:
    """One kind of sign.

    Attributes
    ----------
    name : str
        In plain English; the class and its folder.
    model : str
        What the convention calls it.
    layers : tuple of Layer
        From the back to the front.
    """

    name: str
    model: str
    layers: tuple[Layer, ...]


RIM = 0.045  # the white edge round a sign
RED_RING = 0.225  # width of the red border of prohibitions
NO_ENTRY_BAR = (0.72, 0.15)  # half its length and half its height
STOP_HEIGHT = 0.7


def _white(*shapes: Shape) -> Layer:
    return Layer(Colour.WHITE, shapes)


def _black(*shapes: Shape) -> Layer:
    return Layer(Colour.BLACK, shapes)


def _prohibition(*layers: Layer) -> tuple[Layer, ...]:
    ring, ground = Disc(0, 0, 1 - RIM), Disc(0, 0, 1 - RIM - RED_RING)
    return _white(Disc(0, 0, 1)), Layer(Colour.RED, (ring,)), _white(ground), *layers


def _speed_limit(limit: int) -> Kind:
    size = (0.82, 1.0) if limit < 100 else (0.7, 0.86)
    number = written(str(limit), (0.0, 0.0), *size)
    return Kind(f"speed limit {limit}", "C 14", _prohibition(_black(*number)))


def _mandatory(name: str, model: str, *symbol: Shape) -> Kind:
    ground = Layer(Colour.BLUE, (Disc(0, 0, 1 - RIM),))
    return Kind(name, model, (_white(Disc(0, 0, 1)), ground, _white(*symbol)))


def _warning(name: str, model: str, *symbol: Shape) -> Kind:
    return Kind(name, model, (*_red_triangle(upright=True), _black(*symbol)))


def _red_triangle(upright: bool) -> tuple[Layer, ...]:
    edge = triangle(INRADIUS, 0.11, upright)
    border = triangle(INRADIUS - RIM * 0.6, 0.09, upright)
    ground = triangle(INRADIUS - 0.19, 0.04, upright)
    return _white(*edge), Layer(Colour.RED, border), _white(*ground)


def _diagonals() -> tuple[Shape, ...]:
    """Return five parallel bars that slope down from right to left, each as long as the ground is there."""
    radius, half_root = 0.93, sqrt(0.5)
    bars = []
    for place in (-2, -1, 0, 1, 2):
        off = 0.13 * place
        half = sqrt(radius * radius - off * off)
        x, y = off * half_root, off * half_root
        across = half * half_root
        bars.append(Segment((x + across, y - across), (x - across, y + across), 0.07))
    return tuple(bars)


_STOP = Kind(
    "stop",
    "B 2a",
    (
        _white(octagon(1.0)),
        Layer(Colour.RED, (octagon(0.92),)),
        _white(*written("STOP", (0.0, 0.0), STOP_HEIGHT, 0.86)),
    ),
)
_NO_ENTRY = Kind(
    "no entry",
    "C 1a",
    (
        _white(Disc(0, 0, 1)),
        Layer(Colour.RED, (Disc(0, 0, 1 - RIM),)),
        _white(Segment((-NO_ENTRY_BAR[0], 0), (NO_ENTRY_BAR[0], 0), 2 * NO_ENTRY_BAR[1])),
    ),
)
_NO_OVERTAKING = Kind(
    "no overtaking",
    "C 13a",
    _prohibition(
        Layer(Colour.RED, pictograms.car(-0.36)),
        _black(*pictograms.car(0.36)),
        _white(*pictograms.car_glass(-0.36), *pictograms.car_glass(0.36)),
    ),
)
_END_OF_LIMITS = Kind(
    "end of limits", "C 17a", (_black(Disc(0, 0, 1)), _white(Disc(0, 0, 0.94)), _black(*_diagonals()))
)
_PRIORITY_ROAD = Kind(
    "priority road",
    "B 3",
    (
        _black(*diamond(0.99, 0.06)),
        _white(*diamond(0.94, 0.05)),
        _black(*diamond(0.68, 0.03)),
        Layer(Colour.YELLOW, diamond(0.62, 0.02)),
    ),
)
_CROSSING = Kind(
    "pedestrian crossing",
    "E 12a",
    (
        _white(*square(0.9, 0.1)),
        Layer(Colour.BLUE, square(0.86, 0.07)),
        _white(pictograms.CROSSING_GROUND),
        _black(*pictograms.CROSSING),
    ),
)

KINDS: tuple[Kind, ...] = (
    _STOP,
    Kind("give way", "B 1", _red_triangle(upright=False)),
    _NO_ENTRY,
    *(_speed_limit(limit) for limit in (20, 30, 50, 60, 70, 80, 100, 120)),
    _END_OF_LIMITS,
    _NO_OVERTAKING,
    _PRIORITY_ROAD,
    _mandatory("ahead only", "D 1a", *pictograms.AHEAD),
    _mandatory("turn left", "D 1a", *pictograms.TURN_LEFT),
    _mandatory("turn right", "D 1a", *pictograms.TURN_RIGHT),
    _mandatory("roundabout", "D 3", *pictograms.ROUNDABOUT),
    _mandatory("cycle path", "D 4", *pictograms.BICYCLE),
    _CROSSING,
    _warning("danger", "A 32", *pictograms.EXCLAMATION),
    _warning("road works", "A 16", *pictograms.DIGGER),
)
NAMES: tuple[str, ...] = tuple(kind.name for kind in KINDS)
