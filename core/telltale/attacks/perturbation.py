"""What rounding to 8 bits does to a perturbation: its norms, its budget, and how to push it over the boundary again."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from telltale.attacks.base import Norm
from telltale.base.images import FloatImages, round_to_8_bits, to_bytes, to_floats

GREY_LEVELS = 255.0
SHRINK_FACTOR = 0.995
EXTENSION_STEPS = 24
SMALLEST_EXTENSION = 1.02
LARGEST_EXTENSION = 3.0


def perturbation_norms(
    natural: FloatImages, images: FloatImages
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Return the L∞, L2 and L0 norms of perturbations between 8-bit images.

    Parameters
    ----------
    natural, images : array of float32, shape (n, C, H, W)
        Images on the 8-bit grid.

    Returns
    -------
    linf, l2 : array of float64, shape (n,)
        In [0, 1] pixel units.
    l0 : array of int64, shape (n,)
        Changed pixel positions, channels counted together.
    """
    levels = to_bytes(images).astype(np.int64) - to_bytes(natural)
    flat = levels.reshape(len(levels), -1)
    linf = np.abs(flat).max(1) / GREY_LEVELS
    l2 = np.sqrt((flat**2).sum(1)) / GREY_LEVELS
    l0 = (levels != 0).any(1).reshape(len(levels), -1).sum(1)
    return linf, l2, l0


def is_degenerate(image: npt.NDArray[np.floating]) -> bool:
    """Whether an attempt of shape (C, H, W) is no image: it holds NaN or infinity, or one single grey level."""
    return not bool(np.isfinite(image).all()) or bool(image.max() - image.min() < 0.5 / GREY_LEVELS)


def round_within_budget(natural: FloatImages, attempt: FloatImages, norm: Norm, bound: float) -> FloatImages:
    """Round an attempt to 8 bits so that the norm of the rounded perturbation does not exceed the bound.

    Parameters
    ----------
    natural : array of float32, shape (C, H, W)
        On the 8-bit grid.
    attempt : array of float32, shape (C, H, W)
        In [0, 1].
    norm : {"linf", "l2", "l1", "l0"}
    bound : float
        In [0, 1] pixel units; for ``l0`` a number of pixel positions.

    Returns
    -------
    array of float32, shape (C, H, W), on the 8-bit grid
    """
    base = to_bytes(natural)
    change = attempt.astype(np.float64) * GREY_LEVELS - base
    limited = _LIMITS[norm](change, bound)
    return to_floats((base + limited).astype(np.uint8))


def extended_attempts(natural: FloatImages, attempt: FloatImages) -> FloatImages:
    """Return 8-bit images further along the perturbation, the nearest first.

    A perturbation that stops just behind the decision boundary may fall back when it is rounded; these are
    ``natural + t * (attempt - natural)`` for t from 1.02 to 3, or further where the perturbation is so small that
    it would still vanish in rounding.

    Parameters
    ----------
    natural, attempt : array of float32, shape (C, H, W)
        In [0, 1].

    Returns
    -------
    array of float32, shape (24, C, H, W)
    """
    change = attempt.astype(np.float64) - natural
    largest = float(np.abs(change).max())
    furthest = max(LARGEST_EXTENSION, 2.0 / GREY_LEVELS / largest) if largest > 0.0 else LARGEST_EXTENSION
    factors = np.geomspace(SMALLEST_EXTENSION, furthest, EXTENSION_STEPS)
    return round_to_8_bits(np.clip(natural + factors[:, None, None, None] * change, 0.0, 1.0))


def _limit_linf(change: npt.NDArray[np.float64], bound: float) -> npt.NDArray[np.float64]:
    levels = np.floor(bound * GREY_LEVELS)
    return np.clip(np.rint(change), -levels, levels)


def _limit_l0(change: npt.NDArray[np.float64], bound: float) -> npt.NDArray[np.float64]:
    """Keep the pixel positions that changed most."""
    rounded = np.rint(change)
    size = np.abs(rounded).sum(0)
    surplus = int((size > 0).sum()) - int(bound)
    if surplus > 0:
        positions = np.argsort(size, axis=None, kind="stable")
        dropped = positions[size.ravel()[positions] > 0][:surplus]
        rounded.reshape(len(rounded), -1)[:, dropped] = 0.0
    return rounded


def _limit_by_shrinking(
    norm: Callable[[npt.NDArray[np.float64]], float],
) -> Callable[[npt.NDArray[np.float64], float], npt.NDArray[np.float64]]:
    def limit(change: npt.NDArray[np.float64], bound: float) -> npt.NDArray[np.float64]:
        allowed = bound * GREY_LEVELS
        size = norm(change)
        scale = 1.0 if size <= allowed else allowed / size
        rounded = np.rint(scale * change)
        while norm(rounded) > allowed:
            scale *= SHRINK_FACTOR
            rounded = np.rint(scale * change)
        return rounded

    return limit


_LIMITS: dict[Norm, Callable[[npt.NDArray[np.float64], float], npt.NDArray[np.float64]]] = {
    "linf": _limit_linf,
    "l2": _limit_by_shrinking(lambda change: float(np.sqrt((change**2).sum()))),
    "l1": _limit_by_shrinking(lambda change: float(np.abs(change).sum())),
    "l0": _limit_l0,
}
