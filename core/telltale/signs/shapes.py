"""Plane shapes, and which points they cover: by + - * / and square roots alone, whose last bit IEEE 754 fixes.

Coordinates are those of a sign: x to the right, y down, the sign within [-1, 1] both ways.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

Point: TypeAlias = tuple[float, float]
Box: TypeAlias = tuple[float, float, float, float]  # left, top, right, bottom
Floats: TypeAlias = npt.NDArray[np.float64]
Covered: TypeAlias = npt.NDArray[np.bool_]


class Shape(Protocol):
    """What can be drawn."""

    @property
    def box(self) -> Box:
        """A rectangle that holds all of it."""

    def covers(self, x: Floats, y: Floats) -> Covered:
        """Return which points it covers; x and y broadcast against each other."""

    def placed(self, by: Point, scale: float) -> Shape:
        """Return it scaled about the origin, then moved."""


@dataclass(frozen=True)
class Disc:
    """All points within a radius of a centre."""

    x: float
    y: float
    radius: float

    @property
    def box(self) -> Box:
        """A rectangle that holds all of it."""
        return self.x - self.radius, self.y - self.radius, self.x + self.radius, self.y + self.radius

    def placed(self, by: Point, scale: float) -> Disc:
        """Return it scaled about the origin, then moved."""
        return Disc(by[0] + scale * self.x, by[1] + scale * self.y, scale * self.radius)

    def covers(self, x: Floats, y: Floats) -> Covered:
        """Return which points it covers."""
        across, down = x - self.x, y - self.y
        return across * across + down * down <= self.radius * self.radius


@dataclass(frozen=True)
class Polygon:
    """What a closed line without crossings encloses."""

    points: tuple[Point, ...]

    @property
    def box(self) -> Box:
        """A rectangle that holds all of it."""
        return _box(self.points, 0.0)

    def placed(self, by: Point, scale: float) -> Polygon:
        """Return it scaled about the origin, then moved."""
        return Polygon(moved(self.points, by, scale))

    def covers(self, x: Floats, y: Floats) -> Covered:
        """Return which points it covers: those from which a ray crosses the line an odd number of times."""
        inside = np.zeros(np.broadcast_shapes(x.shape, y.shape), dtype=np.bool_)
        for (x0, y0), (x1, y1) in zip(self.points, (*self.points[1:], self.points[0]), strict=True):
            if y0 == y1:
                continue
            beside = (y < y0) != (y < y1)
            inside ^= beside & (x < x0 + (y - y0) * ((x1 - x0) / (y1 - y0)))
        return inside


@dataclass(frozen=True)
class Segment:
    """A straight piece of a line of some width, with each end cut straight or round.

    Attributes
    ----------
    start, end : pair of float
        Different points.
    width : float
    cut : pair of bool
        Whether start and end are cut straight.
    """

    start: Point
    end: Point
    width: float
    cut: tuple[bool, bool] = (True, True)

    @property
    def box(self) -> Box:
        """A rectangle that holds all of it."""
        return _box((self.start, self.end), self.width / 2)

    def placed(self, by: Point, scale: float) -> Segment:
        """Return it scaled about the origin, then moved."""
        start, end = moved((self.start, self.end), by, scale)
        return Segment(start, end, scale * self.width, self.cut)

    def covers(self, x: Floats, y: Floats) -> Covered:
        """Return which points it covers: those within half the width, and not beyond an end that is cut."""
        run, rise = self.end[0] - self.start[0], self.end[1] - self.start[1]
        along = ((x - self.start[0]) * run + (y - self.start[1]) * rise) / (run * run + rise * rise)
        near = np.minimum(np.maximum(along, 0.0), 1.0)
        across, down = x - (self.start[0] + near * run), y - (self.start[1] + near * rise)
        within = across * across + down * down <= self.width * self.width / 4
        if self.cut[0]:
            within &= along >= 0.0
        if self.cut[1]:
            within &= along <= 1.0
        return within


def stroke(points: Sequence[Point], width: float) -> tuple[Segment, ...]:
    """Return a line along points: joints are round, both ends cut straight unless they are the same point."""
    closed, last = points[0] == points[-1], len(points) - 2
    return tuple(
        Segment(start, end, width, (place == 0 and not closed, place == last and not closed))
        for place, (start, end) in enumerate(pairwise(points))
    )


def rounded(inner: Sequence[Point], radius: float) -> tuple[Shape, ...]:
    """Return a polygon with round corners: all points within a radius of an inner polygon."""
    return Polygon(tuple(inner)), *stroke((*inner, inner[0]), 2 * radius)


def arc(centre: Point, radii: Point, start: float, end: float, steps: int = 12) -> tuple[Point, ...]:
    """Return points of an ellipse, nearly even steps apart.

    Parameters
    ----------
    centre, radii : pair of float
    start, end : float
        In quarter turns from the right, downwards: 1 is the lowest point, -1 the highest.
    steps : int
        Segments for every quarter turn.
    """
    count = max(1, round(abs(end - start) * steps))
    places = [start + (end - start) * step / count for step in range(count + 1)]
    return tuple(_on_ellipse(centre, radii, place) for place in places)


def moved(points: Sequence[Point], by: Point, scale: float = 1.0) -> tuple[Point, ...]:
    """Return points scaled about the origin and moved."""
    return tuple((by[0] + scale * x, by[1] + scale * y) for x, y in points)


def turned(points: Sequence[Point], cosine: float, sine: float) -> tuple[Point, ...]:
    """Return points turned about the origin, clockwise as seen."""
    return tuple((cosine * x - sine * y, sine * x + cosine * y) for x, y in points)


def mirrored(points: Sequence[Point]) -> tuple[Point, ...]:
    """Return points with left and right exchanged."""
    return tuple((-x, y) for x, y in points)


def _on_ellipse(centre: Point, radii: Point, place: float) -> Point:
    quarter = int(place // 1)
    x, y = _in_first_quarter(place - quarter)
    for _ in range(quarter % 4):
        x, y = -y, x
    return centre[0] + radii[0] * x, centre[1] + radii[1] * y


def _in_first_quarter(share: float) -> Point:
    """Return a point of the unit circle by the tangent of half its angle, which takes no sine.

    tan(share pi / 4) is replaced by a polynomial with the same ends: the points lie on the circle in any case, and at
    most a degree from even steps.
    """
    t = share * (0.774 + 0.226 * share * share)
    return (1 - t * t) / (1 + t * t), 2 * t / (1 + t * t)


def _box(points: Sequence[Point], margin: float) -> Box:
    across, down = [x for x, _ in points], [y for _, y in points]
    return min(across) - margin, min(down) - margin, max(across) + margin, max(down) + margin
