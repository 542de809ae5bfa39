"""Which way of searching, measuring and solving a reference set's size calls for; each says its name."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from telltale.evidence.approximate import ApproximateIndex
from telltale.evidence.curvature import ConjugateInfluence
from telltale.evidence.distances import SquaredDistances
from telltale.evidence.influence import HeadInfluence, SoftmaxHead, fit_head
from telltale.evidence.iterative_head import fit_head_iteratively
from telltale.evidence.mapped_distances import MappedDistances
from telltale.evidence.most_influential import Influence
from telltale.evidence.neighbours import NeighbourIndex, Processing
from telltale.evidence.sparse_influence import SparseInfluence

Floats = npt.NDArray[np.float32]

APPROXIMATE_FROM = 100_000  # training images
FACTORED_WEIGHTS = 8_192  # a whole Hessian of more is too slow to factor
CONJUGATE_WEIGHTS = 60_000
PASS_PRODUCTS = 3 * 10**9  # multiplications of one pass over all images and weights that a query can wait for


def fit_softmax_head(
    hidden: Floats,
    labels: npt.NDArray[np.int64],
    classes: int,
    damping: float,
    start: npt.NDArray[np.float64] | None = None,
) -> SoftmaxHead:
    """Return the head at its optimum, by the whole Hessian where that can be factored; see `fit_head`."""
    large = classes * (hidden.shape[1] + 1) > FACTORED_WEIGHTS
    return (fit_head_iteratively if large else fit_head)(hidden, labels, classes, damping, start=start)


def searched_approximately(references: int) -> bool:
    """Whether so many training images are too many to search through one by one."""
    return references >= APPROXIMATE_FROM


def make_index(
    activations: Floats, processing: Processing, distances: SquaredDistances | None = None
) -> NeighbourIndex:
    """Return an exact index, or an approximate one with its recall measured.

    Parameters
    ----------
    activations : array of float32, shape (N, d)
    processing : {"none", "l2", "pca_whiten"}
    distances : SquaredDistances, optional
        To the activations as they are: an exact index of these takes them instead of making its own.
    """
    if not searched_approximately(len(activations)):
        return NeighbourIndex(activations, processing, distances if processing == "none" else None)
    return ApproximateIndex.train(activations, processing)


def make_distances(activations: Floats) -> SquaredDistances:
    """Return exact distances, by one product in memory or by a pass over a mapped file."""
    if not searched_approximately(len(activations)):
        return SquaredDistances(activations, np.float32)
    return MappedDistances(activations)


def make_influence(head: SoftmaxHead, hidden: Floats, labels: npt.NDArray[np.int64]) -> Influence:
    """Return the most exact influence that answers within about a second; see `influence_kind`."""
    return influence_kind(head.weights.size, len(hidden))(head, hidden, labels)


def influence_kind(
    weights: int, references: int
) -> type[HeadInfluence] | type[ConjugateInfluence] | type[SparseInfluence]:
    """Choose by the head's number of weights C (d + 1) and the number of training images."""
    if weights * references > PASS_PRODUCTS or weights > CONJUGATE_WEIGHTS:
        return SparseInfluence
    return HeadInfluence if weights <= FACTORED_WEIGHTS else ConjugateInfluence


def describe_index(index: NeighbourIndex) -> dict[str, object]:
    """Return what a manifest's notes keep about a neighbour index: how it searches, and its measured recall."""
    if not isinstance(index, ApproximateIndex):
        return {"method": index.method, "recall": 1.0}
    recall = index.recall
    return {
        "method": index.method,
        "recall": recall.share,
        "recall_at": recall.k,
        "recall_queries": recall.queries,
        "recall_held_out": recall.held_out,
    }
