"""What a car's camera makes of light: focus, motion, exposure, falling-off corners, noise, sharpening, 8 bits."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from telltale.signs.draws import Draws
from telltale.signs.rasters import SIDE, columns, halved, rows, smeared, softened
from telltale.signs.shapes import Floats

MOST_SOFT = 12  # passes over cells of half a pixel: a Gaussian of 1.2 pixels
MOST_MOTION = 11.0  # cells of half a pixel
GRAIN = 2.0  # makes up for most of what softening takes from noise: cameras smooth it, and leave grains of two pixels
COLOUR_NOISE = 0.35  # of the noise of brightness: what a camera leaves after it has put its colours together


def photograph(draws: Draws, scene: Floats) -> npt.NDArray[np.uint8]:
    """Return the picture that a camera takes of a scene.

    Parameters
    ----------
    draws : Draws
    scene : array of float64, shape (SCENE, SCENE, 3)
        Light, proportional to its energy; 1 saturates at an exposure of 1.

    Returns
    -------
    array of uint8, shape (3, SIDE, SIDE)
    """
    light = halved(_blurred(draws, scene))
    light = light * (draws.between(0.75, 1.3) * _corners(draws))[..., None]
    light = light + _noise(draws, light)
    shown = np.sqrt(np.minimum(np.maximum(light, 0.0), 1.0))  # a gamma of 2, and a root is the same everywhere
    shown = shown + draws.between(0.0, 0.7) * (shown - softened(shown, 1))
    levels = np.floor(np.minimum(np.maximum(shown, 0.0), 1.0) * 255.0 + 0.5)
    return np.ascontiguousarray(np.moveaxis(levels.astype(np.uint8), -1, 0))


def _blurred(draws: Draws, scene: Floats) -> Floats:
    soft = draws.share()
    scene = softened(scene, round(MOST_SOFT * soft * soft))
    if not draws.happens(0.35):
        return scene
    across = draws.between(-MOST_MOTION, MOST_MOTION)
    down = draws.between(-0.4, 0.4) * MOST_MOTION
    return smeared(scene, across, down, 9)


def _corners(draws: Draws) -> Floats:
    """Return how much light reaches each pixel through the lens."""
    across, down = columns(SIDE) - 0.5, rows(SIDE) - 0.5
    return 1.0 - draws.between(0.0, 0.5) * (across * across + down * down)


def _noise(draws: Draws, light: Floats) -> Floats:
    """Return noise whose variance grows with the light, as counts of photons have it, from a floor of its own."""
    gain = draws.share()
    level = 0.002 + 0.035 * gain * gain * gain
    deviation = level * np.sqrt(np.maximum(light, 0.0) * 4.0 + level)
    brightness = draws.bells(SIDE, SIDE)[..., None]
    colour = draws.bells(SIDE, SIDE, 3)
    return deviation * softened(brightness + COLOUR_NOISE * colour, 1) * GRAIN
