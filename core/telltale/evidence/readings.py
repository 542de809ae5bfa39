"""What is measured on the pixels themselves and cannot be read off a trace afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from telltale.base.errors import InputError
from telltale.evidence.squeezing import SQUEEZERS
from telltale.models.trace import Index


@dataclass(frozen=True)
class PixelReadings:
    """Measurements that need the pixels of n images and the network.

    Attributes
    ----------
    mean_entropy : array of float64, shape (n,)
        Mean local entropy of the feature responses in bits.
    squeezed : array of float64, shape (n, S)
        L1 distance between the softmax outputs before and after each of `telltale.evidence.squeezing.SQUEEZERS`.
    """

    mean_entropy: npt.NDArray[np.float64]
    squeezed: npt.NDArray[np.float64]

    def take(self, index: Index) -> PixelReadings:
        """Return the readings of some of the images."""
        return PixelReadings(self.mean_entropy[index], self.squeezed[index])

    def check(self, count: int) -> PixelReadings:
        """Return them if they are finite and of `count` images.

        Raises
        ------
        InputError
            If they are not.
        """
        for name, values, ndim in (("mean entropies", self.mean_entropy, 1), ("squeezed distances", self.squeezed, 2)):
            if values.ndim != ndim or len(values) != count or not np.isfinite(values).all():
                raise InputError(f"Expected {count} finite {name}, got shape {values.shape}.")
        return self

    @staticmethod
    def unknown(count: int) -> PixelReadings:
        """Stand for the readings of `count` images that nobody will ask for: not a number."""
        return PixelReadings(np.full(count, np.nan), np.full((count, len(SQUEEZERS)), np.nan))

    @staticmethod
    def concatenate(parts: Sequence[PixelReadings]) -> PixelReadings:
        """Join the readings of several groups of images."""
        return PixelReadings(
            np.concatenate([part.mean_entropy for part in parts]), np.concatenate([part.squeezed for part in parts])
        )
