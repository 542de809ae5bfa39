"""What is measured on the pixels themselves and cannot be read off a trace afterwards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from telltale.base.errors import InputError
from telltale.models.trace import Index


@dataclass(frozen=True)
class Readings:
    """Measurements that need the pixels of n images and the network.

    Attributes
    ----------
    arrays : mapping of str to array of float64, shape (n, ...)
        By name, such as ``mean_entropy``; the kinds of evidence say what they measure (`telltale.kinds`). Empty where
        nothing was measured.

    Examples
    --------
    >>> readings = Readings({"mean_entropy": np.array([1.5, 2.5])})
    >>> readings.take(slice(1, 2))["mean_entropy"]
    array([2.5])
    """

    arrays: Mapping[str, npt.NDArray[np.float64]] = field(default_factory=dict)

    def __getitem__(self, name: str) -> npt.NDArray[np.float64]:
        """Return one measurement of every image.

        Raises
        ------
        InputError
            If it was not taken.
        """
        if name not in self.arrays:
            raise InputError(f"'{name}' is measured on pixels, but only traces are at hand.")
        return self.arrays[name]

    def take(self, index: Index) -> Readings:
        """Return the readings of some of the images."""
        return Readings({name: values[index] for name, values in self.arrays.items()})

    def check(self, count: int) -> Readings:
        """Return them if they are finite and of `count` images.

        Raises
        ------
        InputError
            If they are not.
        """
        for name, values in self.arrays.items():
            if values.ndim == 0 or len(values) != count or not np.isfinite(values).all():
                raise InputError(f"Expected {count} finite readings '{name}', got shape {values.shape}.")
        return self

    @staticmethod
    def concatenate(parts: Sequence[Readings]) -> Readings:
        """Join the readings of several groups of images."""
        return Readings({name: np.concatenate([part[name] for part in parts]) for name in parts[0].arrays})
