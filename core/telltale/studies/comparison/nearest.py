"""Neighbours, votes and ranks, beside scikit-learn's brute force and beside sorting with NumPy."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
import numpy.typing as npt
from sklearn.neighbors import KNeighborsClassifier

from telltale.evidence.evidence import MAX_INFLUENTIAL
from telltale.evidence.neighbours import Neighbours, Processing, Weighting, class_votes
from telltale.evidence.ranks import ranks_and_distances
from telltale.evidence.reference import Reference
from telltale.models.trace import Trace
from telltale.studies.comparison.row import ComparisonRow
from telltale.studies.comparison.timing import timed

REPEATS = 21
FEW_REPEATS = 5
K = 1000
BATCH = 64
PROCESSING: Processing = "pca_whiten"
WEIGHTING: Weighting = "dwknn"


def rank_rows(reference: Reference, trace: Trace) -> Iterator[ComparisonRow]:
    """Time ranks and distances of the most helpful and most harmful training images of a trace's first image."""
    count = min(MAX_INFLUENTIAL, len(reference.labels) // 2)
    first = trace.take(slice(0, 1))
    top = reference.influence.top(first.hidden, first.predictions, count)
    rows = np.hstack([top.helpful, top.harmful])
    prepared = [reference.distances(layer) for layer in reference.layers]
    pairs = list(zip(first.activations, prepared, strict=True))
    ours_ms, ours = timed(lambda: [ranks_and_distances(q, distances, rows) for q, distances in pairs], REPEATS)
    doubles = [a.astype(np.float64) for a in reference.trace.activations]
    queries = list(zip(first.activations, doubles, strict=True))
    theirs_ms, theirs = timed(lambda: [sorted_ranks(q[0], points, rows[0]) for q, points in queries], FEW_REPEATS)
    n = len(reference.labels)
    same = all(np.array_equal(np.rint(o[0][0] * n), t[0]) for o, t in zip(ours, theirs, strict=True))
    worst = max(float(np.abs(o[1][0] - t[1]).max()) for o, t in zip(ours, theirs, strict=True))
    yield ComparisonRow(
        f"ranks and distances of {rows.shape[1]:,} of {n:,} training images on {len(pairs)} layers",
        "NumPy, all float64 distances of every layer sorted",
        ours_ms,
        theirs_ms,
        f"{'all ranks equal' if same else 'RANKS DIFFER'}, distances to {worst:.0e}",
    )


def knn_rows(reference: Reference, trace: Trace) -> Iterator[ComparisonRow]:
    """Time the kNN score's votes on the last layer for one image and for a batch."""
    index, k = reference.index(reference.layers[-1], PROCESSING), min(K, len(reference.labels) // 2)
    oracle = KNeighborsClassifier(k, weights=_inverse_squares, algorithm="brute", n_jobs=1)
    oracle.fit(index.points.astype(np.float64), reference.labels)
    for count in (1, min(BATCH, len(trace))):
        hidden = trace.hidden[:count]
        queries = index.process(hidden).astype(np.float64)
        ours_ms, (found, votes) = timed(partial(_vote, reference, hidden, k), REPEATS)
        theirs_ms, theirs = timed(partial(oracle.predict_proba, queries), FEW_REPEATS)
        rows = oracle.kneighbors(queries, return_distance=False)
        yield ComparisonRow(
            f"kNN score, k = {k:,} of {len(reference.labels):,}, " + ("one image" if count == 1 else f"{count} images"),
            "scikit-learn KNeighborsClassifier, brute force",
            ours_ms,
            theirs_ms,
            f"{np.mean(found.rows == rows):.2%} of the neighbours in the same place, "
            f"votes to {np.abs(votes[:, oracle.classes_] - theirs).max():.0e}",
        )


def _vote(reference: Reference, hidden: npt.NDArray[np.float32], k: int) -> tuple[Neighbours, npt.NDArray[np.float64]]:
    found = reference.index(reference.layers[-1], PROCESSING).search(hidden, k)
    return found, class_votes(found, reference.labels, reference.classes, WEIGHTING)


def sorted_ranks(
    query: npt.NDArray[np.float32], points: npt.NDArray[np.float64], rows: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Sort all distances of one query (d,) to points (N, d); return places and distances of chosen rows (m,)."""
    distances = np.linalg.norm(points - query, axis=1)
    places = np.empty(len(points), dtype=np.int64)
    places[np.argsort(distances)] = np.arange(len(points))
    return places[rows], distances[rows]


def _inverse_squares(distances: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.asarray(1.0 / np.square(distances))
