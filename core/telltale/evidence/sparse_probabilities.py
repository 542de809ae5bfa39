"""The softmax outputs of all training images, kept only where a class has a noticeable share."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.sparse import csc_matrix

from telltale.evidence.influence import SoftmaxHead

Floats = npt.NDArray[np.float32]

SMALLEST_SHARE = 3e-4  # a class below it is left out of an image's list, unless it is the image's own
CHUNK = 8192


@dataclass(frozen=True)
class SparseProbabilities:
    """One list per class: which images give it at least `SMALLEST_SHARE`, or have it as their true class.

    The same entries are kept by image too. Memory is O(N K) for K listed classes per image instead of O(N C).

    Attributes
    ----------
    starts : array of int64, shape (C + 1,)
        List c is ``rows[starts[c]:starts[c + 1]]``.
    rows : array of int32, shape (entries,)
        Training images, ascending within a list.
    shares : array of float32, shape (entries,)
        Their softmax outputs for that class.
    residuals : array of float32, shape (entries,)
        The same less 1 where the class is the true one: p - y.
    unlisted : array of float32, shape (N,)
        Per image, the summed softmax outputs of the classes whose list it is not in.
    unlisted_curvature : array of float64, shape (C,)
        Per class, the sum of p (1 - p) over the images that are not in its list.
    image_starts : array of int64, shape (N + 1,)
        Image i is in the lists ``image_classes[image_starts[i]:image_starts[i + 1]]``.
    image_classes : array of uint16, shape (entries,)
    image_shares : array of float32, shape (entries,)
    """

    starts: npt.NDArray[np.int64]
    rows: npt.NDArray[np.int32]
    shares: Floats
    residuals: Floats
    unlisted: Floats
    unlisted_curvature: npt.NDArray[np.float64]
    image_starts: npt.NDArray[np.int64]
    image_classes: npt.NDArray[np.uint16]
    image_shares: Floats

    @classmethod
    def of(cls, head: SoftmaxHead, hidden: Floats, labels: npt.NDArray[np.int64]) -> SparseProbabilities:
        """Run the head over hidden states (N, d), chunk by chunk; they may be mapped from a file."""
        classes = len(head.weights)
        entries: list[tuple[npt.NDArray[np.int32], npt.NDArray[np.uint16], Floats]] = []
        unlisted = np.empty(len(hidden), dtype=np.float32)
        unlisted_curvature = np.zeros(classes)
        for start, shares in probability_chunks(head, hidden):
            chunk = np.arange(len(shares))
            listed = shares >= SMALLEST_SHARE
            listed[chunk, labels[start : start + len(chunk)]] = True
            rows, columns = np.nonzero(listed)
            entries.append(((rows + start).astype(np.int32), columns.astype(np.uint16), shares[listed]))
            rest = np.where(listed, np.float32(0.0), shares)
            unlisted[start : start + len(chunk)] = rest.sum(1)
            unlisted_curvature += (rest * (1.0 - rest)).sum(0, dtype=np.float64)
        images, columns, all_shares = (np.concatenate(parts) for parts in zip(*entries, strict=True))
        order = np.argsort(columns, kind="stable")
        rows_ = images[order]
        return cls(
            starts=np.searchsorted(columns[order], np.arange(classes + 1)).astype(np.int64),
            rows=rows_,
            shares=all_shares[order],
            residuals=all_shares[order] - (labels[rows_] == columns[order]).astype(np.float32),
            unlisted=unlisted,
            unlisted_curvature=unlisted_curvature,
            image_starts=np.searchsorted(images, np.arange(len(hidden) + 1)).astype(np.int64),
            image_classes=columns.astype(np.uint16, copy=False),
            image_shares=all_shares,
        )

    @property
    def classes(self) -> int:
        """Number of classes, C."""
        return len(self.starts) - 1

    def list_of(self, label: int) -> slice:
        """Where the list of one class lies in `rows`, `shares` and `residuals`."""
        return slice(int(self.starts[label]), int(self.starts[label + 1]))

    def lists_of(self, labels: npt.NDArray[np.int64], values: Floats, least: float = 0.0) -> csc_matrix:
        """Set the lists of some classes (a,) side by side, shape (N, a).

        Parameters
        ----------
        labels : array of int64, shape (a,)
        values : array of float32, shape (entries,)
            `shares` or `residuals`.
        least : float
            Entries with smaller shares are left out.
        """
        places: list[slice | npt.NDArray[np.int64]] = [self.list_of(int(label)) for label in labels]
        if least > 0.0:
            places = [p.start + np.flatnonzero(self.shares[p] >= least) for p in places if isinstance(p, slice)]
        rows = [self.rows[place] for place in places]
        starts = np.cumsum([0, *(len(part) for part in rows)], dtype=np.int32)
        entries = (np.concatenate([values[place] for place in places]), np.concatenate(rows), starts)
        return csc_matrix(entries, shape=(len(self.unlisted), len(labels)))

    def table(self, images: npt.NDArray[np.int64], labels: npt.NDArray[np.int64]) -> Floats:
        """Lay out the listed softmax outputs of some images (m,) for some classes (a,): shape (m, a)."""
        first, counts = self.image_starts[images], self.image_starts[images + 1] - self.image_starts[images]
        before = np.cumsum(counts) - counts
        entries = np.repeat(first - before, counts) + np.arange(counts.sum())
        columns = np.full(self.classes, -1)
        columns[labels] = np.arange(len(labels))
        at = columns[self.image_classes[entries]]
        wanted = at >= 0
        dense = np.zeros((len(images), len(labels)), dtype=np.float32)
        dense[np.repeat(np.arange(len(images)), counts)[wanted], at[wanted]] = self.image_shares[entries[wanted]]
        return dense


def probability_chunks(head: SoftmaxHead, hidden: Floats, chunk: int = CHUNK) -> Iterator[tuple[int, Floats]]:
    """Yield the first row and the float32 softmax outputs (m, C) of consecutive chunks of hidden states (N, d)."""
    weights, biases = head.weights[:, :-1].astype(np.float32), head.weights[:, -1].astype(np.float32)
    for start in range(0, len(hidden), chunk):
        logits = hidden[start : start + chunk] @ weights.T
        logits += biases
        logits -= logits.max(1, keepdims=True)
        np.exp(logits, out=logits)
        logits /= logits.sum(1, keepdims=True)
        yield start, logits
