"""What stands behind a sign: sky, leaves, a wall, an open road or a street; all made of noise and straight edges."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from telltale.signs.draws import Draws
from telltale.signs.rasters import SCENE, cloudy, columns, mix, ramp, rows, softened
from telltale.signs.shapes import Floats

MOST_SOFT = 14  # passes: a camera in focus on a sign has the distance out of focus


def draw_background(draws: Draws) -> Floats:
    """Draw what is behind the sign of one picture, out of focus by a random amount.

    Returns
    -------
    array of float64, shape (SCENE, SCENE, 3)
        As seen in plain daylight, in [0, 1].
    """
    scene = draws.one_of(SCENES)(draws)
    return softened(scene, draws.whole(1, MOST_SOFT))


def sky(draws: Draws) -> Floats:
    """Return a clear, clouded or grey sky, paler below."""
    high = draws.one_of(((0.22, 0.42, 0.72), (0.36, 0.55, 0.80), (0.55, 0.62, 0.70), (0.70, 0.73, 0.76)))
    low = draws.one_of(((0.66, 0.77, 0.88), (0.80, 0.85, 0.90), (0.82, 0.82, 0.82), (0.88, 0.80, 0.70)))
    plain = mix(_plain(high), low, rows() + np.zeros((SCENE, SCENE)))
    edge = draws.between(0.35, 0.75)
    return mix(plain, (0.93, 0.93, 0.94), ramp(cloudy(draws, 3, 4), edge, edge + 0.25) * 0.9)


def leaves(draws: Draws) -> Floats:
    """Return a hedge or trees, from spring to autumn, with sky or darkness in the gaps."""
    dark, bright = draws.one_of(
        (
            ((0.05, 0.10, 0.04), (0.42, 0.55, 0.20)),
            ((0.04, 0.09, 0.06), (0.30, 0.45, 0.26)),
            ((0.10, 0.08, 0.04), (0.62, 0.48, 0.18)),
            ((0.06, 0.11, 0.03), (0.52, 0.60, 0.28)),
            ((0.09, 0.09, 0.08), (0.40, 0.38, 0.34)),
        )
    )
    clumps, fine = cloudy(draws, 4, 2), cloudy(draws, 14, 3)
    scene = mix(_plain(dark), bright, ramp(clumps * 0.5 + fine * 0.9, 0.35, 1.05))
    gap = draws.between(0.68, 0.95)
    return mix(scene, (0.80, 0.86, 0.92), ramp(cloudy(draws, 7, 2), gap, gap + 0.08))


def wall(draws: Draws) -> Floats:
    """Return bricks, slabs or plaster, stained."""
    tone = draws.one_of(
        ((0.52, 0.26, 0.19), (0.62, 0.52, 0.40), (0.58, 0.58, 0.57), (0.75, 0.70, 0.60), (0.40, 0.38, 0.38))
    )
    height = draws.whole(5, 26)
    width = height * draws.whole(2, 3)
    down, across = np.arange(SCENE) // height, np.arange(SCENE)
    row_of = down[:, None] + np.zeros((1, SCENE), dtype=np.int64)
    along = across[None, :] + (row_of % 2) * (width // 2)
    tones = draws.shares(SCENE, SCENE)[row_of, along // width]
    joint = ((np.arange(SCENE)[:, None] % height) == 0) | (along % width == 0)
    scene = _plain(tone) * (0.8 + 0.35 * tones)[..., None]
    scene = np.where(joint[..., None], mix(scene, (0.66, 0.64, 0.60), 0.7), scene)
    return scene * (0.65 + 0.5 * cloudy(draws, 3, 4))[..., None]


def road(draws: Draws) -> Floats:
    """Return an open road that leads to trees under a sky."""
    horizon = draws.between(0.35, 0.75)
    grass = draws.one_of(((0.30, 0.40, 0.17), (0.45, 0.42, 0.22), (0.36, 0.33, 0.26), (0.55, 0.50, 0.34)))
    ground = _plain(grass) * (0.7 + 0.6 * cloudy(draws, 6, 3))[..., None]
    depth = rows() - horizon
    off = columns() - draws.between(-0.1, 1.1)
    half = np.maximum(depth, 0.0) * draws.between(0.9, 2.2) + 0.01
    tarmac = _plain((0.36, 0.36, 0.38)) * (0.85 + 0.3 * cloudy(draws, 12, 2))[..., None]
    scene = mix(ground, tarmac, ramp(half - np.abs(off), 0.0, 0.02))
    scene = mix(scene, (0.85, 0.85, 0.82), ramp(half * 0.06 - np.abs(off), 0.0, 0.01))
    trees = horizon - draws.between(0.02, 0.28) * cloudy(draws, 7, 3)[:1, :]
    scene = mix(scene, leaves(draws) * 0.8, ramp(horizon - rows() + np.zeros((1, SCENE)), 0.0, 0.01))
    return mix(scene, sky(draws), ramp(trees - rows(), 0.0, 0.03))


def street(draws: Draws) -> Floats:
    """Return houses of different heights with rows of windows."""
    scene = sky(draws)
    left = -draws.whole(0, 20)
    while left < SCENE:
        width, top = draws.whole(18, 48), draws.whole(0, 52)
        _house(draws, scene, max(left, 0), left + width, top)
        left += width
    pavement = draws.whole(70, SCENE)
    scene[pavement:] = np.asarray(draws.one_of(((0.42, 0.42, 0.43), (0.55, 0.53, 0.50))))
    return scene * (0.85 + 0.3 * cloudy(draws, 8, 2)[..., None])


def _house(draws: Draws, scene: Floats, left: int, right: int, top: int) -> None:
    tones = ((0.60, 0.55, 0.48), (0.48, 0.34, 0.28), (0.70, 0.68, 0.64), (0.38, 0.40, 0.43), (0.74, 0.64, 0.46))
    scene[top:, left:right] = draws.one_of(tones)
    pane = draws.one_of(((0.16, 0.19, 0.24), (0.50, 0.60, 0.70), (0.30, 0.32, 0.34)))
    step, size = draws.whole(8, 15), draws.whole(4, 7)
    for down in range(top + 4, SCENE, step):
        for across in range(left + 3, right - 3, step):
            scene[down : down + size, across : min(across + size - 1, right)] = pane


def _plain(colour: tuple[float, float, float]) -> Floats:
    plain: Floats = np.zeros((SCENE, SCENE, 3)) + np.array(colour)
    return plain


SCENES: tuple[Callable[[Draws], Floats], ...] = (sky, leaves, wall, road, street, leaves)
