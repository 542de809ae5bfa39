"""What the nearest other training images say about each training image's label.

Deep k-nearest neighbours with the image itself left out: the hidden state of a mislabelled image lies among images of
its true class, whose labels then contradict its own (Bahri, Jiang & Gupta 2020; Zhu, Dong & Liu 2022).
"""

from __future__ import annotations

from dataclasses import dataclass

import faiss
import numpy as np
import numpy.typing as npt

from telltale.base.errors import InputError
from telltale.base.progress import Share
from telltale.evidence.label_doubt import class_shares

Floats = npt.NDArray[np.float32]
Labels = npt.NDArray[np.int64]

QUERIES_AT_ONCE = 1024


@dataclass(frozen=True)
class LabelVotes:
    """How the k nearest other images of N images vote.

    Attributes
    ----------
    own : array of float32, shape (N,)
        Share of the neighbours with the image's own label.
    rival : array of int64, shape (N,)
        The most frequent other label; the smallest where several are.
    rival_share : array of float32, shape (N,)
        Its share.
    k : int
    """

    own: Floats
    rival: Labels
    rival_share: Floats
    k: int


def leave_one_out_votes(
    hidden: Floats, labels: Labels, classes: int, k: int, progress: Share, asked: Labels | None = None
) -> LabelVotes:
    """Let the k nearest other images vote on every image's label.

    Parameters
    ----------
    hidden : array of float32, shape (N, d)
    labels : array of int64, shape (N,)
    classes : int
        At least 2.
    k : int
        From 1 to N - 1. Euclidean distances; which of several images at the same k-th distance votes is left to FAISS.
    progress : callable
        Told the done share now and then; may raise to stop.
    asked : array of int64, shape (n,), optional
        Rows of the images whose labels are voted on, instead of all N.

    Raises
    ------
    InputError
        If k is out of range.
    """
    if not 1 <= k < len(hidden):
        raise InputError(f"k must be an integer in [1, {len(hidden) - 1}], got {k}.")
    # Rounding grows with the norms, so points are moved to their own middle.
    points = np.ascontiguousarray(hidden - hidden.mean(0, dtype=np.float64), dtype=np.float32)
    index = faiss.IndexFlatL2(points.shape[1])
    index.add(points)
    judged = np.arange(len(points)) if asked is None else asked
    own, rival_share = np.empty((2, len(judged)), dtype=np.float32)
    rival = np.empty(len(judged), dtype=np.int64)
    for start in range(0, len(judged), QUERIES_AT_ONCE):
        progress(start / len(judged))
        part = slice(start, start + QUERIES_AT_ONCE)
        rows = judged[part]
        near = _without_themselves(index.search(points[rows], k + 1)[1], rows)
        shares = class_shares(labels[near], classes)
        own[part] = shares[np.arange(len(rows)), labels[rows]]
        shares[np.arange(len(rows)), labels[rows]] = -1.0
        rival[part] = shares.argmax(1)
        rival_share[part] = shares.max(1)
    return LabelVotes(own, rival, rival_share, k)


def _without_themselves(found: Labels, rows: Labels) -> Labels:
    """Drop each query's own row from k + 1 found ones; the last one where copies of it crowded it out."""
    keep = found != rows[:, None]
    keep[keep.all(1), -1] = False
    return np.asarray(found[keep].reshape(len(rows), -1), dtype=np.int64)
