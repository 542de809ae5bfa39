"""Nearest training images and kNN votes (Carrara et al. 2017)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt
from sklearn.decomposition import PCA

from telltale.base.errors import InputError
from telltale.evidence.distances import Block, Floats, SquaredDistances
from telltale.models.trace import Index

Processing: TypeAlias = Literal["none", "l2", "pca_whiten"]
Weighting: TypeAlias = Literal["knn", "wknn", "dwknn"]
PROCESSINGS: tuple[Processing, ...] = ("none", "l2", "pca_whiten")
WEIGHTINGS: tuple[Weighting, ...] = ("knn", "wknn", "dwknn")
MAX_COMPONENTS = 256


@dataclass(frozen=True)
class Neighbours:
    """Nearest training images of n queries.

    Attributes
    ----------
    rows : array of int64, shape (n, k)
        Rows of the reference set, nearest first; equal distances by row.
    distances : array of float64, shape (n, k)
        Euclidean.
    """

    rows: npt.NDArray[np.int64]
    distances: npt.NDArray[np.float64]

    def first(self, k: int) -> Neighbours:
        """Return the k nearest only."""
        return Neighbours(self.rows[:, :k], self.distances[:, :k])

    def take(self, index: Index) -> Neighbours:
        """Return the neighbours of some of the queries."""
        return Neighbours(self.rows[index], self.distances[index])


class NeighbourIndex:
    """Exact search among one layer's processed training activations: always the rows that sorting would find.

    Parameters
    ----------
    activations : array of float32, shape (N, d)
        Pooled activations of the reference set.
    processing : {"none", "l2", "pca_whiten"}
        ``pca_whiten`` keeps min(256, d) centred, whitened components, fitted on the reference set.
    distances : SquaredDistances, optional
        To unprocessed activations, where somebody keeps them already.

    Attributes
    ----------
    distances : SquaredDistances or None
        To the processed activations; None where they are not searched one by one.
    """

    distances: SquaredDistances | None = None

    @property
    def method(self) -> str:
        """How neighbours are found, in words for the page."""
        return "exact"

    def __init__(
        self,
        activations: npt.NDArray[np.float32],
        processing: Processing = "none",
        distances: SquaredDistances | None = None,
    ) -> None:
        self.processing = processing
        self._pca = fit_pca(activations) if processing == "pca_whiten" else None
        self.points = self.process(activations)
        self._exact = SquaredDistances(self.points, np.float32) if distances is None else distances
        self.distances = self._exact

    @property
    def whitening(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]] | None:
        """Mean (d,) and scaled axes (q, d) of ``pca_whiten``: ``(a - mean) @ axes.T``; None without whitening."""
        if self._pca is None:
            return None
        return self._pca.mean_, self._pca.components_ / np.sqrt(self._pca.explained_variance_)[:, None]

    def process(self, activations: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Apply the processing to activations of shape (n, d)."""
        activations = np.ascontiguousarray(activations, dtype=np.float32)
        if self.processing == "l2":
            norms = np.linalg.norm(activations, axis=1, keepdims=True)
            return np.ascontiguousarray(activations / np.where(norms > 0.0, norms, 1.0), dtype=np.float32)
        if self._pca is not None:
            # einsum adds in an order that does not depend on the number of rows, unlike a BLAS product.
            centred = activations.astype(np.float64) - self._pca.mean_
            scale = np.sqrt(self._pca.explained_variance_)
            return np.ascontiguousarray(
                np.einsum("nd,cd->nc", centred, self._pca.components_) / scale, dtype=np.float32
            )
        return activations

    def search(
        self,
        activations: npt.NDArray[np.float32],
        k: int,
        exclude_rows: npt.NDArray[np.int64] | None = None,
        blocks: Iterable[Block] | None = None,
    ) -> Neighbours:
        """Find the k nearest reference rows of every query.

        Parameters
        ----------
        activations : array of float32, shape (n, d)
            Unprocessed.
        k : int
            From 1 to N, or N - 1 where rows are excluded.
        exclude_rows : array of int64, shape (n,), optional
            The query's own row in the reference set (left out), or -1.
        blocks : iterable of Block, optional
            What `distances` estimates for the queries, where that is known already.

        Raises
        ------
        InputError
            If the width differs, a value is not finite, or k is out of range.
        """
        spare = 0 if exclude_rows is None else 1
        self._check(activations, k, spare)
        queries = self.process(activations)
        owns = np.full(len(queries), -1) if exclude_rows is None else exclude_rows
        rows = np.empty((len(queries), k), dtype=np.int64)
        distances = np.empty((len(queries), k))
        for block in self._exact.blocks(queries) if blocks is None else blocks:
            for i, (estimates, margin) in enumerate(zip(block.estimates, block.margins, strict=True), block.start):
                possible = _possible(estimates, float(margin), k, int(owns[i]))
                rows[i], distances[i] = self._nearest(queries[i], possible, k)
        return Neighbours(rows, distances)

    def _nearest(
        self, query: npt.NDArray[np.float32], possible: npt.NDArray[np.int64], k: int
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
        distances = np.sqrt(self._exact.exact(query, possible))
        order = np.argsort(distances, kind="stable")[:k]  # rows come in order, so equal distances stay by row
        return possible[order], distances[order]

    def _check(self, activations: npt.NDArray[np.float32], k: int, spare: int) -> None:
        width = self._pca.n_features_in_ if self._pca is not None else self.points.shape[1]
        if activations.ndim != 2 or activations.shape[1] != width:
            raise InputError(f"Expected activations of shape (n, {width}), got {activations.shape}.")
        if not np.isfinite(activations).all():
            raise InputError("Activations must be finite.")
        if not 1 <= k <= len(self.points) - spare:
            raise InputError(f"k must be an integer in [1, {len(self.points) - spare}], got {k}.")


def vote_weights(distances: npt.NDArray[np.float64], weighting: Weighting) -> npt.NDArray[np.float64]:
    """Weight of every neighbour (Table 1 of the paper).

    Parameters
    ----------
    distances : array of float64, shape (n, k)
    weighting : {"knn", "wknn", "dwknn"}
        1, 1/rank or 1/d^2. In the limit of a zero distance only the zero-distance neighbours vote.
    """
    if weighting == "knn":
        return np.ones_like(distances)
    if weighting == "wknn":
        return np.broadcast_to(1.0 / np.arange(1, distances.shape[1] + 1), distances.shape).astype(np.float64)
    exact = distances == 0.0
    weights = 1.0 / np.square(np.where(exact, 1.0, distances))
    return np.where(exact.any(1, keepdims=True), exact.astype(np.float64), weights)


def class_votes(
    neighbours: Neighbours, labels: npt.NDArray[np.int64], classes: int, weighting: Weighting
) -> npt.NDArray[np.float64]:
    """Share of the neighbours' weight that each class holds (Eq. 2 of the paper).

    Parameters
    ----------
    neighbours : Neighbours of n queries
    labels : array of int64, shape (N,)
        True class of every reference row.
    classes : int
    weighting : {"knn", "wknn", "dwknn"}

    Returns
    -------
    array of float64, shape (n, C), rows summing to 1
    """
    weights = vote_weights(neighbours.distances, weighting)
    cells = np.arange(len(weights))[:, None] * classes + labels[neighbours.rows]
    votes = np.bincount(cells.ravel(), weights.ravel(), minlength=len(weights) * classes).reshape(-1, classes)
    return np.asarray(votes / votes.sum(1, keepdims=True), dtype=np.float64)


def _possible(estimates: Floats, margin: float, k: int, own: int) -> npt.NDArray[np.int64]:
    """Return in order every row (N,) that may be among the k nearest, given estimates that are off by the margin."""
    if own >= 0:
        estimates = estimates.copy()  # others may want to read them
        estimates[own] = np.inf
    # The k smallest estimates show that the k-th true distance is at most theirs and a margin; what may lie within
    # that has an estimate of at most one margin more.
    bound = float(np.partition(estimates, k - 1)[k - 1]) + 2.0 * margin
    if np.isfinite(bound):
        return np.flatnonzero(estimates <= bound)
    everything = np.arange(len(estimates))
    return np.asarray(everything[everything != own])


def fit_pca(activations: npt.NDArray[np.float32]) -> PCA:
    """Fit what ``pca_whiten`` applies to activations of shape (n, d): at most 256 components with variance."""
    components = min(MAX_COMPONENTS, activations.shape[1], len(activations) - 1)
    pca = PCA(n_components=components, svd_solver="full").fit(activations.astype(np.float64))
    # A layer with dead channels has directions without variance; whitening them would divide by zero.
    kept = int((pca.explained_variance_ > 1e-12 * pca.explained_variance_[0]).sum())
    pca.components_, pca.explained_variance_ = pca.components_[:kept], pca.explained_variance_[:kept]
    return pca
