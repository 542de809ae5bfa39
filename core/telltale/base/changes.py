"""The change between two images: its size, its amplified picture, a share of it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from telltale.base.images import round_to_8_bits


def perturbation(natural: npt.NDArray[np.float32], attacked: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return attacked - natural, signed, shape (C, H, W)."""
    return np.asarray(attacked - natural, dtype=np.float32)


def amplified(change: npt.NDArray[np.float32], gain: float) -> npt.NDArray[np.float32]:
    """Return the signed change times `gain`, around mid-grey and clipped to [0, 1]."""
    return np.asarray(np.clip(0.5 + 0.5 * gain * change, 0.0, 1.0), dtype=np.float32)


def scaled(
    natural: npt.NDArray[np.float32], attacked: npt.NDArray[np.float32], strength: float
) -> npt.NDArray[np.float32]:
    """Return natural + strength * (attacked - natural), clipped to [0, 1] and rounded to 8 bits."""
    return round_to_8_bits(np.clip(natural + np.float32(strength) * (attacked - natural), 0.0, 1.0))


def sensible_gain(linf: float, choices: Sequence[int]) -> int:
    """Return the largest offered gain at which no pixel of a change of size `linf` is clipped."""
    fitting = [gain for gain in choices if gain * linf <= 1.0 + 1e-9]
    return max(fitting, default=min(choices))
