"""The sign itself as light falls on it: its paint, faded and dirty, its mast, and how much of each cell it fills."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from telltale.signs.draws import Draws
from telltale.signs.kinds import Colour
from telltale.signs.painted import FINE, PAINT, painted
from telltale.signs.pose import Pose
from telltale.signs.rasters import SAMPLES, cloudy, halved, mix
from telltale.signs.shapes import Floats

MAST = 0.07  # half its width
_FADED = np.array(  # as displayed, one row for each `Colour`
    [
        [0.5, 0.5, 0.5],
        [0.84, 0.83, 0.78],
        [0.80, 0.40, 0.36],
        [0.40, 0.55, 0.68],
        [0.34, 0.34, 0.34],
        [0.90, 0.80, 0.45],
    ]
)


@dataclass(frozen=True)
class Surface:
    """Sign and mast in the cells of a scene.

    Attributes
    ----------
    colour : array of float64, shape (SCENE, SCENE, 3)
        Of what fills a cell, times its share of the cell; reflectance, not as displayed.
    filled : array of float64, shape (SCENE, SCENE, 1)
        That share, in [0, 1].
    """

    colour: Floats
    filled: Floats


def draw_surface(draws: Draws, number: int, pose: Pose) -> Surface:
    """Draw one sign on its mast, in its pose.

    Parameters
    ----------
    draws : Draws
    number : int
        Of its kind.
    pose : Pose
    """
    u, v = pose.on_sign(SAMPLES)
    colours = _look_up(number, u, v)
    paint = _aged(draws) * _aged_by_dirt(draws)
    there = colours != Colour.NOTHING
    mast = ~there & (np.abs(u) < MAST) & (v > 0.0)
    lit = 0.08 + 0.25 * (1.0 - np.abs(u + 0.02) * (1.0 / MAST))
    painted_here = np.where(there[..., None], (paint * paint)[colours], np.where(mast, lit, 0.0)[..., None])
    dirt = 1.0 - draws.between(0.0, 0.5) * cloudy(draws, 3, 4)
    return Surface(halved(painted_here) * dirt[..., None], halved((there | mast).astype(np.float64))[..., None])


def _look_up(number: int, u: Floats, v: Floats) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """Return what colour lies at each place of the sign's plane."""
    inside = (np.abs(u) < 1.0) & (np.abs(v) < 1.0)
    column, row = (np.where(inside, (place + 1.0) * (FINE / 2), 0.0).astype(np.int64) for place in (u, v))
    return np.where(inside, painted(number)[row, column], np.uint8(Colour.NOTHING))


def _aged(draws: Draws) -> Floats:
    """Return the paint after some years in the sun, seldom after many."""
    years = draws.share()
    return mix(PAINT, _FADED, 0.75 * years * years)


def _aged_by_dirt(draws: Draws) -> Floats:
    return 1.0 + 0.08 * (draws.shares(len(PAINT), 3) - 0.5)
