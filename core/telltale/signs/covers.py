"""What hides a part of a sign: leaves or a mast before its edge, a small sticker, snow, mud."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from telltale.signs.draws import Draws
from telltale.signs.rasters import cloudy, ramp
from telltale.signs.shapes import Floats

COVERED = 0.45  # share of all pictures

Colour = tuple[float, float, float]


@dataclass(frozen=True)
class Cover:
    """Something in front of a sign.

    Attributes
    ----------
    hidden : array of float64, shape (SCENE, SCENE)
        How much of each cell it hides, in [0, 1].
    colour : tuple of three float
        As seen in plain daylight.
    sticks : bool
        Whether it is only where the sign is.
    """

    hidden: Floats
    colour: Colour
    sticks: bool = False


def draw_covers(draws: Draws, u: Floats, v: Floats) -> list[Cover]:
    """Draw what is in front of the sign of one picture; nothing in most.

    Parameters
    ----------
    draws : Draws
    u, v : array of float64, shape (SCENE, SCENE)
        Which places of the sign's plane the cells show.
    """
    return draws.one_of(COVERS)(draws, u, v) if draws.happens(COVERED) else []


def leaves(draws: Draws, u: Floats, v: Floats) -> list[Cover]:
    """Return a twig that reaches over the edge, leaf by leaf."""
    outward = draws.one_of(_DIRECTIONS)
    found: list[Cover] = []
    for _ in range(draws.whole(3, 9)):
        side, reach = draws.between(-0.5, 0.5), draws.between(0.72, 1.15)
        x, y = reach * outward[0] - side * outward[1], reach * outward[1] + side * outward[0]
        along, across = draws.one_of(_DIRECTIONS), draws.between(0.4, 0.6)
        long = draws.between(0.16, 0.3)
        first = ((u - x) * along[0] + (v - y) * along[1]) / long
        second = ((v - y) * along[0] - (u - x) * along[1]) / (long * across)
        bright = draws.between(0.4, 1.0)
        green = draws.one_of(((0.22, 0.36, 0.10), (0.30, 0.40, 0.12), (0.45, 0.38, 0.12), (0.38, 0.24, 0.10)))
        found.append(Cover(ramp(1.1 - first * first - second * second, 0.0, 0.3), _times(green, bright)))
    return found


def mast(draws: Draws, u: Floats, v: Floats) -> list[Cover]:
    """Return a lamp post or a trunk in front of one side."""
    width, side = draws.between(0.08, 0.16), draws.one_of((-1.0, 1.0))
    off = np.abs(u - side * draws.between(0.72, 0.9) - draws.between(-0.08, 0.08) * v) - width
    tone = draws.one_of(((0.30, 0.31, 0.32), (0.16, 0.14, 0.12), (0.42, 0.36, 0.28), (0.55, 0.56, 0.57)))
    return [Cover(ramp(-off, 0.0, 0.05), tone)]


def sticker(draws: Draws, u: Floats, v: Floats) -> list[Cover]:
    """Return one or two stickers, round or square."""
    found: list[Cover] = []
    for _ in range(draws.whole(1, 2)):
        x, y, size = draws.between(-0.7, 0.7), draws.between(-0.7, 0.7), draws.between(0.1, 0.22)
        across, down = u - x, v - y
        lean = draws.between(-0.4, 0.4)
        along, beside = across + lean * down, down - lean * across
        edge = np.maximum(np.abs(along), np.abs(beside) * 1.3)
        if draws.happens(0.5):
            edge = np.sqrt(across * across + down * down)
        tone = tuple(draws.between(0.1, 0.95) for _ in range(3))
        found.append(Cover(ramp(size - edge, 0.0, 0.04), (tone[0], tone[1], tone[2]), sticks=True))
    return found


def snow(draws: Draws, _u: Floats, v: Floats) -> list[Cover]:
    """Return snow that sticks to the upper edge and in flecks elsewhere."""
    ragged = cloudy(draws, 5, 3)
    line = draws.between(-0.75, -0.4) + (ragged - 0.5) * 0.7
    flecks = ramp(cloudy(draws, 9, 2), draws.between(0.72, 0.85), 0.9) * 0.9
    shade = draws.between(0.8, 1.0)
    return [Cover(np.maximum(ramp(line - v, 0.0, 0.1), flecks), (0.93 * shade, 0.95 * shade, shade), sticks=True)]


def mud(draws: Draws, _u: Floats, v: Floats) -> list[Cover]:
    """Return mud thrown up from the road."""
    amount = cloudy(draws, 8, 3) + ramp(v, 0.0, 1.3) * draws.between(0.1, 0.3)
    tone = _times((0.36, 0.29, 0.20), draws.between(0.6, 1.2))
    return [Cover(ramp(amount, 0.66, 0.76) * 0.85, tone, sticks=True)]


def _times(colour: Colour, by: float) -> Colour:
    return colour[0] * by, colour[1] * by, colour[2] * by


COVERS: tuple[Callable[[Draws, Floats, Floats], list[Cover]], ...] = (leaves, leaves, mast, sticker, snow, mud)
_DIRECTIONS = tuple(
    (x * across, y * down)
    for x, y in ((1.0, 0.0), (0.8, 0.6), (0.6, 0.8), (0.0, 1.0), (0.96, 0.28), (0.28, 0.96))
    for across in (-1.0, 1.0)
    for down in (-1.0, 1.0)
)
