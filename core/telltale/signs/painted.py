"""Kinds of sign as grids of colours, drawn once in each process; and their clean form, without any scene."""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt

from telltale.signs.kinds import KINDS, Colour
from telltale.signs.shapes import Floats, Shape

FINE = 512  # points across a sign: more than two for each sample of the largest one in a picture

Grid = npt.NDArray[np.uint8]

# Red, green and blue as a camera shows them in plain daylight, in [0, 1].
PAINT: Floats = np.array(
    [
        [0.5, 0.5, 0.5],  # what clean forms stand on
        [0.93, 0.93, 0.91],
        [0.74, 0.07, 0.12],
        [0.03, 0.27, 0.60],
        [0.09, 0.09, 0.10],
        [0.97, 0.72, 0.07],
    ]
)


@cache
def painted(number: int, fine: int = FINE) -> Grid:
    """Return the colour of every point of a sign, seen from the front.

    Parameters
    ----------
    number : int
        The kind's place in `KINDS`.
    fine : int
        Points across and down; they are the middles of as many even parts of [-1, 1].

    Returns
    -------
    array of uint8, shape (fine, fine)
        Values of `Colour`; read-only.
    """
    grid = np.full((fine, fine), Colour.NOTHING, dtype=np.uint8)
    middles = (2.0 * np.arange(fine) + (1 - fine)) / fine
    for layer in KINDS[number].layers:
        for shape in layer.shapes:
            _paint(grid, middles, shape, layer.colour)
    grid.flags.writeable = False
    return grid


def clean_form(number: int, side: int) -> npt.NDArray[np.uint8]:
    """Return a sign as it is designed, upright and filling a grey square.

    Parameters
    ----------
    number : int
        The kind's place in `KINDS`.
    side : int
        Pixels; each shows the mean of 8 × 8 points.

    Returns
    -------
    array of uint8, shape (3, side, side)
    """
    levels = np.floor(PAINT * 255.0 + 0.5).astype(np.int64)[painted(number, 8 * side)]
    sums = levels.reshape(side, 8, side, 8, 3).sum((1, 3))
    return np.ascontiguousarray(np.moveaxis((sums + 32) // 64, -1, 0).astype(np.uint8))


def _paint(grid: Grid, middles: Floats, shape: Shape, colour: Colour) -> None:
    left, top, right, bottom = shape.box
    columns = slice(int(np.searchsorted(middles, left)), int(np.searchsorted(middles, right, side="right")))
    rows = slice(int(np.searchsorted(middles, top)), int(np.searchsorted(middles, bottom, side="right")))
    grid[rows, columns][shape.covers(middles[None, columns], middles[rows, None])] = colour
