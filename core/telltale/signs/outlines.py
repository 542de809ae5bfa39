"""The outlines of road signs as the Vienna convention describes them, and the strips of colour along their edges."""

from __future__ import annotations

from math import sqrt

from telltale.signs.shapes import Point, Polygon, Shape, rounded

_ROOT_2, _ROOT_3 = sqrt(2.0), sqrt(3.0)

INRADIUS = 0.605  # of the triangle, before its corners are rounded
TRIANGLE_DOWN = 0.2525  # how far the middle of an upright triangle's inscribed circle lies below the middle of the sign


def octagon(apothem: float) -> Polygon:
    """Return a regular octagon with level edges at the top and at the bottom."""
    near, far = (_ROOT_2 - 1) * apothem, apothem
    corner = ((near, -far), (far, -near))
    points: list[Point] = []
    for _ in range(4):
        points += corner
        corner = tuple((-y, x) for x, y in corner)  # type: ignore[assignment] # two of them
    return Polygon(tuple(points))


def triangle(inradius: float, corner: float, upright: bool = True) -> tuple[Shape, ...]:
    """Return an equilateral triangle with a level edge, below or above.

    Parameters
    ----------
    inradius : float
        From its centre to its edges.
    corner : float
        Radius of its corners.
    upright : bool
        Whether it stands on the level edge.
    """
    inner = inradius - corner
    sign = 1.0 if upright else -1.0
    points = ((0.0, -2 * inner), (_ROOT_3 * inner, inner), (-_ROOT_3 * inner, inner))
    return rounded(tuple((x, sign * (y + TRIANGLE_DOWN)) for x, y in points), corner)


def diamond(half: float, corner: float) -> tuple[Shape, ...]:
    """Return a square that stands on a corner, of this half diagonal before its corners are rounded."""
    inner = half - _ROOT_2 * corner
    return rounded(((0.0, -inner), (inner, 0.0), (0.0, inner), (-inner, 0.0)), corner)


def square(half: float, corner: float) -> tuple[Shape, ...]:
    """Return an upright square of this half side."""
    inner = half - corner
    return rounded(((-inner, -inner), (inner, -inner), (inner, inner), (-inner, inner)), corner)
