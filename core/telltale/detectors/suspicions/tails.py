"""`telltale.detectors.tails`, differentiable."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from telltale.detectors.tails import position


class NaturalValues:
    """The place of a number among those of natural images.

    Parameters
    ----------
    natural : array of float64, shape (m,)
        Ascending.
    """

    def __init__(self, natural: npt.NDArray[np.float64]) -> None:
        distinct = np.unique(natural)
        self._values = torch.from_numpy(distinct)
        self._quantiles = torch.from_numpy(position(natural, distinct))

    def position(self, values: torch.Tensor) -> torch.Tensor:
        """Return the mid-rank quantile of float64 values (n,), continued beyond both ends as for detectors."""
        first, last = self._values[0], self._values[-1]
        above, below = (values - last).clamp(min=0.0), (first - values).clamp(min=0.0)
        beyond = torch.where(above > 0.0, 1.0 + above / (1.0 + above), -below / (1.0 + below))
        return torch.where((above > 0.0) | (below > 0.0), beyond, self._between(values))

    def outwardness(self, values: torch.Tensor) -> torch.Tensor:
        """Return how far values (n,) lie from the natural median on either side."""
        return (2.0 * self.position(values) - 1.0).abs()

    def _between(self, values: torch.Tensor) -> torch.Tensor:
        if len(self._values) == 1:
            return self._quantiles.expand_as(values)
        right = torch.searchsorted(self._values, values.detach()).clamp(1, len(self._values) - 1)
        start, end = self._values[right - 1], self._values[right]
        low, high = self._quantiles[right - 1], self._quantiles[right]
        return low + (high - low) * (values - start) / (end - start)
