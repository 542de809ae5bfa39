"""`telltale.detectors.tails` and the fusion's normal scores, differentiable."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from telltale.detectors.fusion import normal_score
from telltale.detectors.tails import position

KNOTS = 33  # quantiles of natural scores, between which deviates rise evenly


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
        self._count = len(natural)

    def position(self, values: torch.Tensor) -> torch.Tensor:
        """Return the mid-rank quantile of float64 values (n,), continued beyond both ends as for detectors."""
        first, last = self._values[0], self._values[-1]
        above, below = (values - last).clamp(min=0.0), (first - values).clamp(min=0.0)
        beyond = torch.where(above > 0.0, 1.0 + above / (1.0 + above), -below / (1.0 + below))
        return torch.where((above > 0.0) | (below > 0.0), beyond, self._between(values))

    def outwardness(self, values: torch.Tensor) -> torch.Tensor:
        """Return how far values (n,) lie from the natural median on either side."""
        return (2.0 * self.position(values) - 1.0).abs()

    def tail_surprises(self, values: torch.Tensor) -> torch.Tensor:
        """Return the surprises at both tails, shape (n, 2), of values (n,)."""
        above = self.position(values)
        tails = torch.stack([above, 1.0 - above], dim=1)
        p = (self._count * tails.clamp(0.0, 1.0) + 0.5) / (self._count + 1)
        return (-tails).clamp(min=0.0) - p.log()

    def _between(self, values: torch.Tensor) -> torch.Tensor:
        return _interpolate(values, self._values, self._quantiles)


class NaturalDeviates:
    """The standard normal deviate of a score by its p-value among natural scores: `normal_score` without its steps.

    Exact at 33 quantiles, linear between them: between neighbouring scores, which may be nearly equal, slopes would
    say nothing. Beyond the ends it rises as `normal_score` does.

    Parameters
    ----------
    natural : array of float64, shape (m,)
        Ascending.
    """

    def __init__(self, natural: npt.NDArray[np.float64]) -> None:
        distinct = np.unique(natural)
        knots = distinct[np.unique(np.linspace(0, len(distinct) - 1, KNOTS).round().astype(np.int64))]
        self._knots = torch.from_numpy(knots)
        self._levels = torch.from_numpy(normal_score(natural, knots))
        self._spread = float(natural.std()) or 1.0

    def __call__(self, values: torch.Tensor) -> torch.Tensor:
        """Map float64 values (n,) to deviates (n,)."""
        first, last = self._knots[0], self._knots[-1]
        above, below = (values - last).clamp(min=0.0), (first - values).clamp(min=0.0)
        inside = _interpolate(values.clamp(first, last), self._knots, self._levels)
        return inside + (above / self._spread).log1p() - (below / self._spread).log1p()


def _interpolate(values: torch.Tensor, knots: torch.Tensor, levels: torch.Tensor) -> torch.Tensor:
    """Return the levels at values (n,), linear between ascending knots."""
    if len(knots) == 1:
        return levels.expand_as(values)
    right = torch.searchsorted(knots, values.detach()).clamp(1, len(knots) - 1)
    start, end = knots[right - 1], knots[right]
    low, high = levels[right - 1], levels[right]
    return low + (high - low) * (values - start) / (end - start)
