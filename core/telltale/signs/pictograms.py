"""What is drawn on signs beside lettering: arrows, cars, people, a bicycle; each as shapes in one or two colours."""

from __future__ import annotations

from math import sqrt

from telltale.signs.shapes import Disc, Point, Polygon, Segment, Shape, arc, mirrored, moved, stroke, turned

_HALF_ROOT_3 = sqrt(3.0) / 2

Shapes = tuple[Shape, ...]

AHEAD: Shapes = (Segment((0, 0.7), (0, -0.2), 0.27), Polygon(((0, -0.76), (0.45, -0.17), (-0.45, -0.17))))

_BEND = ((-0.3, 0.62), (-0.3, 0.02), *arc((-0.02, 0.02), (0.28, 0.28), -2, -1), (0.2, -0.26))
_BEND_HEAD = ((0.12, -0.68), (0.7, -0.26), (0.12, 0.16))

TURN_RIGHT: Shapes = (*stroke(_BEND, 0.25), Polygon(_BEND_HEAD))
TURN_LEFT: Shapes = (*stroke(mirrored(_BEND), 0.25), Polygon(mirrored(_BEND_HEAD)))


def _third(turns: int, points: tuple[Point, ...]) -> tuple[Point, ...]:
    """Turn points by so many thirds of a circle."""
    return turned(points, *((1.0, 0.0), (-0.5, _HALF_ROOT_3), (-0.5, -_HALF_ROOT_3))[turns])


# Against the clock, as traffic that keeps right goes round.
_ROUND = (*arc((0, 0), (0.62, 0.62), -0.26, -1.05), *arc((0, 0), (0.42, 0.42), -1.05, -0.26))
_ROUND_HEAD = ((-0.38, -0.43), (0.02, -0.8), (0.06, -0.22))

ROUNDABOUT: Shapes = tuple(Polygon(_third(turns, points)) for turns in range(3) for points in (_ROUND, _ROUND_HEAD))

EXCLAMATION: Shapes = (
    Polygon(((-0.12, -0.32), (0.12, -0.32), (0.075, 0.24), (-0.075, 0.24))),
    Disc(0, 0.43, 0.115),
)

CAR_SCALE = 1.1
_CAR: Shapes = (
    Polygon(((-0.16, -0.27), (0.16, -0.27), (0.24, -0.02), (-0.24, -0.02))),
    Polygon(((-0.29, -0.05), (0.29, -0.05), (0.29, 0.17), (-0.29, 0.17))),
    Polygon(((-0.27, 0.17), (-0.14, 0.17), (-0.14, 0.28), (-0.27, 0.28))),
    Polygon(((0.14, 0.17), (0.27, 0.17), (0.27, 0.28), (0.14, 0.28))),
)
_CAR_GLASS: Shapes = (
    Polygon(((-0.12, -0.21), (0.12, -0.21), (0.165, -0.06), (-0.165, -0.06))),
    Disc(-0.2, 0.06, 0.05),
    Disc(0.2, 0.06, 0.05),
)


def car(x: float) -> Shapes:
    """Return the body of a car seen from its end."""
    return tuple(shape.placed((x, 0.0), CAR_SCALE) for shape in _CAR)


def car_glass(x: float) -> Shapes:
    """Return its window and its lamps, which have the colour of the ground."""
    return tuple(shape.placed((x, 0.0), CAR_SCALE) for shape in _CAR_GLASS)


DIGGER: Shapes = (
    Disc(-0.02, -0.2, 0.095),
    *stroke(((-0.05, -0.08), (-0.2, 0.2)), 0.19),
    *stroke(((-0.17, 0.18), (-0.04, 0.38), (-0.06, 0.59)), 0.105),
    *stroke(((-0.22, 0.18), (-0.32, 0.4), (-0.46, 0.59)), 0.105),
    *stroke(((-0.02, -0.06), (0.12, 0.12), (0.0, 0.22)), 0.08),
    *stroke(((-0.08, 0.16), (0.3, 0.36)), 0.055),
    Polygon(((0.08, 0.59), (0.22, 0.41), (0.33, 0.33), (0.45, 0.4), (0.6, 0.59))),
)

_WALKER: Shapes = (
    Disc(0.02, -0.3, 0.1),
    *stroke(((0.0, -0.2), (-0.01, 0.12)), 0.17),
    *stroke(((0.0, 0.08), (0.08, 0.24), (0.17, 0.42)), 0.1),
    *stroke(((-0.02, 0.08), (-0.07, 0.26), (-0.2, 0.42)), 0.1),
    *stroke(((0.02, -0.16), (0.12, -0.02), (0.22, 0.04)), 0.07),
    *stroke(((-0.02, -0.16), (-0.12, 0.0), (-0.14, 0.1)), 0.07),
)
CROSSING: Shapes = (
    *_WALKER,
    *(
        Polygon(moved(((-0.05, 0.45), (0.05, 0.45), (0.065, 0.57), (-0.065, 0.57)), (x, 0.0)))
        for x in (-0.48, -0.24, 0.0, 0.24, 0.48)
    ),
)
CROSSING_GROUND = Polygon(((0, -0.72), (0.76, 0.62), (-0.76, 0.62)))


def _wheel(x: float) -> Shapes:
    points = arc((x, 0.17), (0.26, 0.26), 0, 4)[:-1]
    return stroke((*points, points[0]), 0.085)


BICYCLE: Shapes = (
    *_wheel(-0.38),
    *_wheel(0.38),
    *stroke(((-0.38, 0.17), (-0.05, 0.17), (0.24, -0.18), (-0.17, -0.18), (-0.38, 0.17)), 0.075),
    *stroke(((-0.05, 0.17), (-0.2, -0.27)), 0.075),
    *stroke(((0.38, 0.17), (0.22, -0.3), (0.36, -0.38)), 0.075),
    Segment((-0.32, -0.29), (-0.08, -0.29), 0.085),
)
