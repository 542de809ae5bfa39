"""Random draws that are the same on every machine: numpy promises the raw stream of PCG64, and nothing above it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
T = TypeVar("T")

_UNIT = 1.0 / 2**53
_BYTES = 8
_SPREAD_OF_BYTES = 209.0  # standard deviation of a sum of eight bytes, sqrt(8 (256² - 1) / 12), to a whole number


class Draws:
    """The draws of one image.

    NEP 19 keeps the streams of bit generators and of `numpy.random.SeedSequence` fixed, but not those of
    ``Generator.integers`` or ``Generator.normal``; so everything here is made of raw 64-bit words.

    Parameters
    ----------
    words : int
        What the image is: the seed, the split's number and the image's; each at least 0.
    """

    def __init__(self, *words: int) -> None:
        self._bits = np.random.PCG64(np.random.SeedSequence(words))

    def share(self) -> float:
        """Return a number in [0, 1), all multiples of 2**-53 equally likely."""
        return float((int(self._bits.random_raw()) >> 11) * _UNIT)

    def between(self, low: float, high: float) -> float:
        """Return a number in [low, high]."""
        return low + (high - low) * self.share()

    def whole(self, low: int, high: int) -> int:
        """Return a whole number from low to high, both included."""
        return low + ((int(self._bits.random_raw()) >> 32) * (high - low + 1) >> 32)

    def happens(self, share: float) -> bool:
        """Return True in that share of all draws."""
        return self.share() < share

    def one_of(self, choices: Sequence[T]) -> T:
        """Return one of the choices, all equally likely."""
        return choices[self.whole(0, len(choices) - 1)]

    def shares(self, *shape: int) -> Floats:
        """Return an array of numbers in [0, 1)."""
        return (self._raw(shape) >> np.uint64(11)).astype(np.float64) * _UNIT

    def bells(self, *shape: int) -> Floats:
        """Return an array of nearly normal numbers of mean 0 and deviation 1: sums of eight bytes each, within ±4.9."""
        words = self._raw(shape)
        total = np.zeros(shape, dtype=np.int64)
        for place in range(_BYTES):
            total += ((words >> np.uint64(8 * place)) & np.uint64(255)).astype(np.int64)
        return (total - _BYTES * 255 // 2) / _SPREAD_OF_BYTES

    def _raw(self, shape: tuple[int, ...]) -> npt.NDArray[np.uint64]:
        return self._bits.random_raw(shape)
