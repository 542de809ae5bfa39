"""Ranges, curves and outlines as charts draw them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.stats import gaussian_kde

Doubles = npt.NDArray[np.float64]

Ids = npt.NDArray[np.int64]


def limits(*tables: npt.NDArray[np.floating], margin: float = 0.05) -> tuple[float, float]:
    """Return one axis range that holds every value of several arrays, NaN apart, with a margin."""
    low = min(float(np.nanmin(table)) for table in tables)
    high = max(float(np.nanmax(table)) for table in tables)
    space = margin * (high - low) or 1.0
    return low - space, high + space


def log_limits(*tables: npt.NDArray[np.floating]) -> tuple[float, float]:
    """Return one range, as exponents of ten, that holds every positive value of several arrays, with a margin."""
    positive = np.concatenate([np.ravel(table)[np.ravel(table) > 0] for table in tables])
    return limits(np.log10(positive)) if len(positive) else (-1.0, 1.0)


def signed_log(values: npt.ArrayLike) -> Doubles:
    """Return sign(x) * log10(1 + |x|): room for values near zero beside values in the thousands."""
    numbers = np.asarray(values, dtype=np.float64)
    return np.asarray(np.sign(numbers) * np.log10(1.0 + np.abs(numbers)))


def largest_magnitude(*tables: npt.NDArray[np.floating]) -> float:
    """Return the largest absolute value over several arrays, never zero: the end of a symmetric colour scale."""
    return max(max(float(np.abs(table).max(initial=0.0)) for table in tables), 1e-12)


def corners(x: npt.NDArray[np.floating], y: npt.NDArray[np.floating]) -> Ids:
    """Return the indices of a line's ends and of the points at which it turns: the others add nothing to its drawing.

    Parameters
    ----------
    x, y : array of float, shape (n,)
    """
    across, up = np.diff(x), np.diff(y)
    turns = across[:-1] * up[1:] != up[:-1] * across[1:]
    return np.flatnonzero(np.concatenate([[True], turns, [True]])[: len(x)]).astype(np.int64)


def distinguishable(*coordinates: npt.NDArray[np.floating], steps: int = 400) -> Ids:
    """Return the rows of a line that a chart can tell apart: its ends, and where a coordinate enters another cell.

    Parameters
    ----------
    *coordinates : arrays of float, each of shape (n,)
        Finite, as drawn: logarithms for a logarithmic axis.
    steps : int
        Cells into which the range of each is divided; no row that is left out is farther than one from a kept one.
    """
    kept = np.zeros(len(coordinates[0]), dtype=np.bool_)
    kept[[0, -1]] = True
    for values in coordinates:
        span = max(float(np.ptp(values)), float(np.finfo(np.float64).tiny))
        cells = np.floor(steps * ((values - values.min()) / span))
        kept[1:] |= np.diff(cells) != 0.0
    return np.flatnonzero(kept).astype(np.int64)


def density_curve(values: npt.NDArray[np.floating], points: int = 160) -> tuple[Doubles, Doubles]:
    """Return a Gaussian kernel density estimate as (positions, density); a spike where all values are equal."""
    finite = np.asarray(values, dtype=np.float64)
    finite = finite[np.isfinite(finite)]
    if len(finite) < 2 or np.ptp(finite) < 1e-12:
        centre = float(finite[0]) if len(finite) else 0.0
        return np.array([centre - 1e-6, centre, centre + 1e-6]), np.array([0.0, 1.0, 0.0])
    low, high = limits(finite, margin=0.15)
    position = np.linspace(low, high, points)
    return position, gaussian_kde(finite)(position)


def ellipse(mean: npt.ArrayLike, covariance: npt.ArrayLike, deviations: float = 2.0, points: int = 60) -> Doubles:
    """Return the closed outline, shape (points, 2), `deviations` standard deviations from a Gaussian's mean."""
    values, vectors = np.linalg.eigh(np.asarray(covariance, dtype=np.float64))
    angle = np.linspace(0.0, 2.0 * np.pi, points)
    circle = np.stack([np.cos(angle), np.sin(angle)])
    spread = vectors @ (np.sqrt(np.maximum(values, 0.0))[:, None] * circle)
    return np.asarray(np.asarray(mean, dtype=np.float64) + deviations * spread.T)
