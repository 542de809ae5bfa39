"""One picture: a sign is set into a scene, lit, covered, rained upon and photographed, all from one seed."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from telltale.signs.backgrounds import draw_background
from telltale.signs.camera import photograph
from telltale.signs.covers import draw_covers
from telltale.signs.draws import Draws
from telltale.signs.kinds import KINDS
from telltale.signs.light import draw_glare, draw_light
from telltale.signs.pose import draw_pose
from telltale.signs.rasters import SCENE, mix
from telltale.signs.surface import draw_surface
from telltale.signs.weather import draw_weather

Split = Literal["train", "validation", "test"]
# The number of a split is part of every seed: another number would draw other pictures.
SPLITS: dict[Split, int] = {"train": 0, "validation": 2, "test": 1}


def kind_of(index: int) -> int:
    """Return the place in `KINDS` of the sign on a picture: kinds take turns, so that all are equally frequent."""
    return index % len(KINDS)


def render(seed: int, split: Split, index: int) -> npt.NDArray[np.uint8]:
    """Return one picture of a set; it depends on nothing but these three, on any machine.

    Parameters
    ----------
    seed : int
        Of the set; at least 0.
    split : {"train", "validation", "test"}
    index : int
        Of the picture within its split; at least 0.

    Returns
    -------
    array of uint8, shape (3, SIDE, SIDE)
        Red, green and blue.
    """
    draws = Draws(seed, SPLITS[split], index)
    pose = draw_pose(draws)
    light = draw_light(draws)
    background = draw_background(draws)
    scene = background * background * light.on_scene  # what is shown is the root of the light, as in `photograph`
    if light.lamps is not None:
        scene = scene + light.lamps
    u, v = pose.on_sign(SCENE)
    sign = draw_surface(draws, kind_of(index), pose)
    lit = sign.colour * light.on_sign + sign.filled * draw_glare(draws, u, v) * light.on_sign
    scene = scene * (1.0 - sign.filled) + lit
    for cover in draw_covers(draws, u, v):
        colour = np.array(cover.colour)
        hidden = cover.hidden * sign.filled[..., 0] if cover.sticks else cover.hidden
        scene = mix(scene, colour * colour * light.on_sign, hidden)
    return photograph(draws, draw_weather(draws, scene, light.on_scene))
