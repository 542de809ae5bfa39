"""Arithmetic on rasters, value by value: no reduction or library function whose last bit depends on the machine."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from telltale.signs.draws import Draws
from telltale.signs.shapes import Floats

SIDE = 48  # pixels of a finished picture, across and down
SCENE = 2 * SIDE  # cells of the scene in front of the camera
SAMPLES = 2 * SCENE  # points at which the sign is looked up


def mix(one: Floats, other: Floats | Sequence[float], share: Floats | float) -> Floats:
    """Return one colour with a share of the other in its place; a raster of shares has no channels."""
    weight = share[..., None] if isinstance(share, np.ndarray) else share
    return one + (np.asarray(other, dtype=np.float64) - one) * weight


def ramp(values: Floats, low: float, high: float) -> Floats:
    """Return 0 up to low, 1 from high, and a straight line between."""
    return np.minimum(np.maximum((values - low) / (high - low), 0.0), 1.0)


def rows(side: int = SCENE) -> Floats:
    """Return how far down each row lies, in [0, 1], as a column."""
    return ((np.arange(side) + 0.5) / side)[:, None]


def columns(side: int = SCENE) -> Floats:
    """Return how far right each column lies, in [0, 1], as a row."""
    return ((np.arange(side) + 0.5) / side)[None, :]


def halved(raster: Floats) -> Floats:
    """Return the means of 2 × 2 cells, added in a fixed order."""
    upper, lower = raster[0::2], raster[1::2]
    total: Floats = ((upper[:, 0::2] + upper[:, 1::2]) + lower[:, 0::2]) + lower[:, 1::2]
    return total * 0.25


def softened(raster: Floats, passes: int) -> Floats:
    """Blur by weights 1, 2, 1 along both axes, repeatedly: nearly a Gaussian of variance passes / 2."""
    for _ in range(passes):
        for axis in (0, 1):
            raster = (shifted(raster, 1, axis) + raster * 2.0 + shifted(raster, -1, axis)) * 0.25
    return raster


def shifted(raster: Floats, by: int, axis: int) -> Floats:
    """Return it moved by whole cells; the edge is repeated."""
    size = raster.shape[axis]
    places = np.minimum(np.maximum(np.arange(size) - by, 0), size - 1)
    moved: Floats = np.take(raster, places, axis=axis)
    return moved


def smeared(raster: Floats, across: float, down: float, steps: int) -> Floats:
    """Return the mean of copies moved evenly along a way, to both sides of the middle.

    Parameters
    ----------
    raster : array of float64, shape (side, side, ...)
    across, down : float
        The whole way, in cells.
    steps : int
        Copies; more than 1.
    """
    total = np.zeros_like(raster)
    for step in range(steps):
        place = step / (steps - 1) - 0.5
        total = total + shifted(shifted(raster, round(place * across), 1), round(place * down), 0)
    return total * (1.0 / steps)


def cloudy(draws: Draws, cells: int, octaves: int = 1, side: int = SCENE) -> Floats:
    """Return smooth noise in [0, 1): random values at the corners of so many cells, then twice as many by half.

    Value noise, as in Ebert et al., Texturing and Modeling (2003).
    """
    total, weight, weights = np.zeros((side, side)), 1.0, 0.0
    for octave in range(octaves):
        total = total + weight * _between_corners(draws.shares(*2 * (cells * 2**octave + 1,)), side)
        weights += weight
        weight *= 0.5
    return total * (1.0 / weights)


def _between_corners(corners: Floats, side: int) -> Floats:
    cells = len(corners) - 1
    places = (np.arange(side) + 0.5) * (cells / side)
    before = np.minimum(places.astype(np.int64), cells - 1)
    rest = places - before
    share = rest * rest * (3.0 - 2.0 * rest)
    down: Floats = corners[before] + (corners[before + 1] - corners[before]) * share[:, None]
    found: Floats = down[:, before] + (down[:, before + 1] - down[:, before]) * share
    return found
