"""Where a sign stands before the camera: how large, how far off the middle, turned about three axes, in perspective."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from telltale.signs.draws import Draws
from telltale.signs.rasters import SIDE
from telltale.signs.shapes import Floats

DISTANCE = 5.0  # of the camera, in radii of the sign: near enough that the farther edge is visibly smaller
RADII = (10.5, 20.0)  # pixels
MOST_OFF = 4.0  # pixels between the middles of sign and picture
# Tangents of half the largest angles: about 10, 43 and 23 degrees.
ROLL, YAW, PITCH = 0.09, 0.39, 0.2

Row = tuple[float, float, float]


@dataclass(frozen=True)
class Pose:
    """The way from pixels back to the plane of the sign.

    Attributes
    ----------
    back : tuple of three rows of three float
        Takes (x, y, 1), in pixels from the upper left corner, to (u, v, 1) on the sign times a number.
    """

    back: tuple[Row, Row, Row]

    def on_sign(self, side: int) -> tuple[Floats, Floats]:
        """Return the places on the sign's plane that the middles of side × side even cells of the picture show."""
        middles = (np.arange(side) + 0.5) * (SIDE / side)
        x, y = middles[None, :], middles[:, None]
        across, down, depth = ((a * x + b * y) + c for a, b, c in self.back)
        return across / depth, down / depth


def draw_pose(draws: Draws) -> Pose:
    """Draw the pose of one picture."""
    radius = draws.between(*RADII)
    off = min(MOST_OFF, SIDE / 2 + 2.0 - radius)
    x, y = (SIDE / 2 + draws.between(-off, off) for _ in range(2))
    roll, yaw, pitch = (_skewed(draws, most) for most in (ROLL, YAW, PITCH))
    return facing(radius, (x, y), roll, yaw, pitch)


def facing(radius: float, centre: tuple[float, float], roll: float, yaw: float, pitch: float) -> Pose:
    """Return a pose.

    Parameters
    ----------
    radius : float
        Of the sign, in pixels, were it seen from the front.
    centre : pair of float
        In pixels, from the left and from above.
    roll, yaw, pitch : float
        Tangents of half the angles about the axis of sight, the vertical and the horizontal axis.
    """
    (a, b), (c, d), (e, f) = _turn(roll), _turn(yaw), _turn(pitch)
    # Columns of the rotations' product that the sign's own axes go to.
    right = (a * c, b * c, -d)
    low = (a * d * f - b * e, b * d * f + a * e, c * f)
    focal = radius * DISTANCE
    forth = tuple(
        (
            focal * right[axis] + centre[axis] * right[2],
            focal * low[axis] + centre[axis] * low[2],
            centre[axis] * DISTANCE,
        )
        for axis in (0, 1)
    )
    return Pose(_adjugate((forth[0], forth[1], (right[2], low[2], DISTANCE))))


def _skewed(draws: Draws, most: float) -> float:
    """Draw an angle's tangent, small ones more often than large ones."""
    place = draws.between(-1.0, 1.0)
    return most * place * (0.4 + 0.6 * abs(place))


def _turn(tangent: float) -> tuple[float, float]:
    """Return cosine and sine by the tangent of half an angle, which takes no function of the mathematical library."""
    square = tangent * tangent
    return (1.0 - square) / (1.0 + square), 2.0 * tangent / (1.0 + square)


def _adjugate(rows: tuple[Row, Row, Row]) -> tuple[Row, Row, Row]:
    """Return the inverse of a matrix times its determinant, which perspective divides out again."""
    (a, b, c), (d, e, f), (g, h, i) = rows
    return (
        (e * i - f * h, c * h - b * i, b * f - c * e),
        (f * g - d * i, a * i - c * g, c * d - a * f),
        (d * h - e * g, b * g - a * h, a * e - b * d),
    )
