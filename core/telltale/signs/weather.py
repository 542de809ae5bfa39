"""What is in the air between camera and sign: fog, rain or falling snow."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from telltale.signs.draws import Draws
from telltale.signs.rasters import SCENE, cloudy, mix, smeared, softened
from telltale.signs.shapes import Floats

FOUL = 0.32  # share of all pictures


def draw_weather(draws: Draws, scene: Floats, daylight: Floats) -> Floats:
    """Return a scene seen through the air of one picture; clear in most.

    Parameters
    ----------
    draws : Draws
    scene, daylight : array of float64, shape (SCENE, SCENE, 3)
        What is there, and the light that the air is in.
    """
    return draws.one_of(WEATHERS)(draws, scene, daylight) if draws.happens(FOUL) else scene


def fog(draws: Draws, scene: Floats, daylight: Floats) -> Floats:
    """Return the scene in fog, denser here and there."""
    dense = draws.between(0.15, 0.52) + 0.2 * (cloudy(draws, 2, 2) - 0.5)
    return mix(scene, daylight * 0.6, dense)


def rain(draws: Draws, scene: Floats, daylight: Floats) -> Floats:
    """Return the scene behind bright streaks, greyer than it is."""
    grey = mix(scene, daylight * 0.4, draws.between(0.05, 0.25))
    drops = (draws.shares(SCENE, SCENE) < draws.between(0.004, 0.02)).astype(np.float64)
    length = draws.whole(8, 20)
    streaks = smeared(drops, draws.between(-0.5, 0.5) * length, length, length + 1) * length
    return mix(grey, daylight * 0.8, np.minimum(streaks, 1.0) * draws.between(0.15, 0.4))


def snow(draws: Draws, scene: Floats, daylight: Floats) -> Floats:
    """Return the scene behind flakes, of which the near ones are large and out of focus."""
    for share, passes, strength in ((0.012, 2, 3.5), (0.003, 5, 8.0)):
        flakes = (draws.shares(SCENE, SCENE) < share * draws.between(0.3, 1.5)).astype(np.float64)
        scene = mix(scene, daylight * 0.9, np.minimum(softened(flakes, passes) * strength, 0.95))
    return scene


WEATHERS: tuple[Callable[[Draws, Floats, Floats], Floats], ...] = (fog, rain, snow)
