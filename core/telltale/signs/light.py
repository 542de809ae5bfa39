"""Light on a scene: the hour and the sky, a gradient, shadows that fall on the sign, and what the sun glares back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from telltale.signs.draws import Draws
from telltale.signs.rasters import SCENE, cloudy, columns, ramp, rows
from telltale.signs.shapes import Floats

Tint = tuple[float, float, float]


@dataclass(frozen=True)
class Hour:
    """A kind of light; how it is drawn is one line of a table.

    Attributes
    ----------
    weight : int
        How many of all pictures it lights, relative to the others.
    sign, scene : pair of float
        Between which the light on the sign and on everything else lies.
    tint : tuple of three float
        Of the light on the scene.
    shadows : float
        Share of pictures in which a shadow falls on the sign.
    lamps : bool
        Whether there are lit lamps in the distance.
    """

    weight: int
    sign: tuple[float, float]
    scene: tuple[float, float]
    tint: Tint
    shadows: float
    lamps: bool = False


HOURS = (
    Hour(12, (0.75, 1.25), (0.75, 1.25), (1.0, 1.0, 0.98), 0.35),
    Hour(6, (0.55, 0.95), (0.6, 1.05), (0.96, 1.0, 1.05), 0.0),
    Hour(3, (0.55, 1.05), (0.5, 0.9), (1.18, 0.98, 0.72), 0.5),
    Hour(2, (0.2, 0.45), (0.7, 1.4), (0.98, 1.0, 1.06), 0.1),  # against the light
    Hour(2, (0.22, 0.5), (0.14, 0.35), (0.80, 0.90, 1.22), 0.0, lamps=True),
    Hour(2, (0.35, 0.9), (0.01, 0.04), (0.90, 0.95, 1.1), 0.0, lamps=True),  # in headlamps
)
_BY_WEIGHT = tuple(hour for hour in HOURS for _ in range(hour.weight))


@dataclass(frozen=True)
class Light:
    """The light of one picture, to be multiplied with what is there; rasters of shape (SCENE, SCENE, 3)."""

    on_sign: Floats
    on_scene: Floats
    lamps: Floats | None


def draw_light(draws: Draws) -> Light:
    """Draw the light of one picture."""
    hour = draws.one_of(_BY_WEIGHT)
    tint = np.array([part * draws.between(0.94, 1.06) for part in hour.tint])
    slope = 1.0 + draws.between(-0.3, 0.3) * (columns() - 0.5) + draws.between(-0.3, 0.3) * (rows() - 0.5)
    on_sign = slope * draws.between(*hour.sign)
    if draws.happens(hour.shadows):
        on_sign = on_sign * _shadow(draws)
    on_scene = tint * draws.between(*hour.scene) + np.zeros((SCENE, SCENE, 3))
    return Light(on_sign[..., None] * tint, on_scene, _lamps(draws) if hour.lamps else None)


def draw_glare(draws: Draws, u: Floats, v: Floats) -> Floats:
    """Return what a sign mirrors of sun or headlamps, a soft spot on it; nothing in most pictures."""
    if not draws.happens(0.15):
        return np.zeros((SCENE, SCENE, 1))
    across, down = u - draws.between(-0.8, 0.8), v - draws.between(-0.8, 0.8)
    size = draws.between(0.3, 0.8)
    spot = 1.0 / (1.0 + (across * across + down * down) / (size * size) * 4.0)
    return (spot * spot * draws.between(0.15, 0.5))[..., None]


def _shadow(draws: Draws) -> Floats:
    """Return a shadow with a straight edge, as of a mast or a house, or flecks, as of leaves."""
    depth = draws.between(0.3, 0.65)
    if draws.happens(0.5):
        flecks = ramp(cloudy(draws, draws.whole(3, 7), 2), 0.42, 0.56)
        return depth + (1.0 - depth) * flecks
    lean = draws.between(-1.0, 1.0)
    across = columns() - 0.5 + lean * (rows() - 0.5) - draws.between(-0.25, 0.25)
    if draws.happens(0.4):
        across = np.abs(across) - draws.between(0.04, 0.1)
    elif draws.happens(0.5):
        across = -across
    return depth + (1.0 - depth) * ramp(across, -0.02, 0.03)


def _lamps(draws: Draws) -> Floats:
    """Return out-of-focus lamps of streets, houses and cars."""
    shine = np.zeros((SCENE, SCENE, 3))
    for _ in range(draws.whole(0, 6)):
        across, down = columns() - draws.share(), rows() - draws.share()
        size = draws.between(0.02, 0.07)
        disc = ramp(size - np.sqrt(across * across + down * down), 0.0, 0.02)
        colour = draws.one_of(((1.0, 0.75, 0.35), (1.0, 0.95, 0.8), (0.9, 0.12, 0.08), (0.75, 0.85, 1.0)))
        shine = shine + disc[..., None] * np.array(colour) * draws.between(0.1, 0.6)
    return shine
