"""Gaussian kernel density of hidden states among training images (Feinman et al. 2017)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from scipy.special import logsumexp

from telltale.evidence.distances import SquaredDistances, squared_differences

Floats = npt.NDArray[np.float32]
FEW = 4  # queries whose distances are measured sooner than a product with all points is prepared


def log_kernel_density(points: Floats, queries: Floats, bandwidth: float) -> npt.NDArray[np.float64]:
    """Return the log of the mean Gaussian kernel around `points` (Eq. 1 of the paper, normalised).

    Summed as logarithms, so that it stays finite far from every point.

    Parameters
    ----------
    points : array of float32, shape (m, d)
    queries : array of float32, shape (n, d)
    bandwidth : float
        Standard deviation of the kernel, in the units of the points.

    Returns
    -------
    array of float64, shape (n,)
        In nats.
    """
    densities = np.empty(len(queries))
    for start, squared in _squared_distances(points, queries):
        rows = slice(start, start + len(squared))
        densities[rows] = logsumexp(squared / (-2.0 * bandwidth**2), axis=1)
    width = points.shape[1]
    return np.asarray(densities - np.log(len(points)) - 0.5 * width * np.log(2.0 * np.pi * bandwidth**2))


def _squared_distances(points: Floats, queries: Floats) -> Iterator[tuple[int, npt.NDArray[np.floating]]]:
    """Yield the number of a query with the squared distances of it and the next ones to all points, (b, m)."""
    if len(queries) <= FEW:
        yield 0, np.stack([squared_differences(points, query) for query in queries])
        return
    for block in SquaredDistances(points, np.float64).blocks(queries):
        yield block.start, np.maximum(block.estimates, 0.0)  # the product's rounding can take zero distances below 0


def class_radius(hidden: Floats, labels: npt.NDArray[np.int64], centroids: Floats) -> float:
    """Return the root mean square distance of images to the centroid of their class: a network's own unit of length.

    Parameters
    ----------
    hidden : array of float32, shape (N, d)
    labels : array of int64, shape (N,)
    centroids : array of float32, shape (C, d)

    Returns
    -------
    float
        1 where every image lies on its centroid, so that it can always divide.
    """
    squared = sum(
        np.square(hidden[labels == c] - centroid, dtype=np.float64).sum() for c, centroid in enumerate(centroids)
    )
    return float(np.sqrt(squared / len(hidden))) or 1.0
