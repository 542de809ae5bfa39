"""Trajectories in pivot-distance space (Carrara et al. 2018)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.spatial.distance import cdist

from telltale.base.errors import InputError
from telltale.models.trace import Trace

PivotKind: TypeAlias = Literal["centroid", "medoid"]
DistanceKind: TypeAlias = Literal["l2", "cosine"]
PIVOTS: tuple[PivotKind, ...] = ("centroid", "medoid")
DISTANCES: tuple[DistanceKind, ...] = ("l2", "cosine")


@dataclass(frozen=True)
class Pivots:
    """One reference point per class and layer.

    Attributes
    ----------
    centroid, medoid : tuple of L arrays of float32, shape (C, d_l)
        Mean of the class's training activations; training activation with the least summed Euclidean distance to
        the rest of its class (Euclidean also where trajectories are then measured by cosine, as its authors do).
        NaN for a class without training images.
    """

    centroid: tuple[npt.NDArray[np.float32], ...]
    medoid: tuple[npt.NDArray[np.float32], ...]

    @property
    def known(self) -> npt.NDArray[np.bool_]:
        """Which classes have pivots, shape (C,)."""
        return np.asarray(~np.isnan(self.centroid[0]).any(1))

    def of(self, pivot: PivotKind) -> tuple[npt.NDArray[np.float32], ...]:
        """Return the pivots of one kind."""
        return self.centroid if pivot == "centroid" else self.medoid


def fit_pivots(trace: Trace, labels: npt.NDArray[np.int64], classes: int) -> Pivots:
    """Find both kinds of pivots over all training images, grouped by true class.

    Parameters
    ----------
    trace : Trace of the n training images
    labels : array of int64, shape (n,)
    classes : int

    Raises
    ------
    InputError
        If no class has a training image.
    """
    groups = [np.flatnonzero(labels == c) for c in range(classes)]
    if not any(map(len, groups)):
        raise InputError("Pivots need training images; there are none.")
    centroid = tuple(_of_groups(a, groups, lambda points: points.mean(0)) for a in trace.activations)
    medoid = tuple(_of_groups(a, groups, find_medoid) for a in trace.activations)
    return Pivots(centroid, medoid)


def _of_groups(
    activations: npt.NDArray[np.float32],
    groups: Sequence[npt.NDArray[np.int64]],
    pivot: Callable[[npt.NDArray[np.float32]], npt.NDArray[np.float32]],
) -> npt.NDArray[np.float32]:
    """Return one pivot a group, shape (C, d); NaN where a group is empty."""
    absent = np.full(activations.shape[1], np.nan, dtype=np.float32)
    return np.stack([pivot(activations[group]) if len(group) else absent for group in groups])


def find_medoid(points: npt.NDArray[np.float32], chunk: int = 512) -> npt.NDArray[np.float32]:
    """Return the row of `points` (n, d) with the least summed Euclidean distance to all rows; the first if tied."""
    sums = [cdist(points[i : i + chunk], points).sum(1) for i in range(0, len(points), chunk)]
    return np.asarray(points[int(np.concatenate(sums).argmin())])


def trajectories(trace: Trace, pivots: Pivots, pivot: PivotKind, distance: DistanceKind) -> npt.NDArray[np.float32]:
    """Embed every layer by its distance to each class pivot (Eq. 2 of the paper).

    Returns
    -------
    array of float32, shape (n, L, C)
        Euclidean distances, or cosine similarities (0 where an activation or a pivot is the zero vector); NaN for
        classes without a pivot.
    """
    measure = _euclidean if distance == "l2" else _cosine_similarity
    layers = [measure(a, p) for a, p in zip(trace.activations, pivots.of(pivot), strict=True)]
    return np.stack(layers, axis=1).astype(np.float32)


def departure_layer(
    distances: npt.NDArray[np.float32], distance: DistanceKind, original: int, predicted: int
) -> int | None:
    """Find where a path leaves its original class for good.

    Parameters
    ----------
    distances : array of float32, shape (L, C)
        One image's trajectory.
    distance : {"l2", "cosine"}
    original, predicted : int
        Class of the natural image and class predicted now.

    Returns
    -------
    int or None
        First layer from which, to the last layer, the predicted class's pivot is nearer than the original's;
        None where the class did not change, the path never ends nearer to the predicted class, or one of the two
        has no pivot.
    """
    if original == predicted:
        return None
    sign = 1.0 if distance == "l2" else -1.0
    nearer = sign * distances[:, predicted] < sign * distances[:, original]
    if not nearer[-1]:
        return None
    back = np.flatnonzero(~nearer)
    return int(back[-1]) + 1 if back.size else 0


def _euclidean(a: npt.NDArray[np.float32], b: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    return np.asarray(cdist(a, b), dtype=np.float64)


def _cosine_similarity(a: npt.NDArray[np.float32], b: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    return np.asarray(_unit(a) @ _unit(b).T, dtype=np.float64)


def _unit(rows: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    norms = np.linalg.norm(rows.astype(np.float64), axis=1, keepdims=True)
    return rows / np.where(norms > 0.0, norms, 1.0)
