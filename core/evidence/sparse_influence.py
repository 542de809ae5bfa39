"""Influence for many classes and millions of training images: sparse residuals and the classes that matter.

A classifier of a thousand classes gives one image a noticeable probability for a few of them. So H^-1 grad L_test is
solved for the classes that one query moves most, with exact curvature within each class and between confused ones;
the classes of the images found so are added by one further step; and a Cauchy-Schwarz bound per training image shows
which of them can be among the strongest, so that few hidden states are read from a memory-mapped file.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.linalg import cholesky, solve_triangular
from scipy.sparse import csc_matrix

from core.evidence.curvature import (
    ClassBlocks,
    conjugate_gradients,
    logit_changes,
    outer_sum,
    second_moment,
    test_gradients,
)
from core.evidence.influence import SoftmaxHead
from core.evidence.most_influential import MostInfluential
from core.evidence.sparse_probabilities import CHUNK, SparseProbabilities, probability_chunks

Floats = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]
AnyArrays = dict[str, npt.NDArray[np.generic]]

FIRST, ACTIVE, ADDED = 16, 64, 64  # classes of the first solution, of the second, and added by the last step
# Training images couple classes by products of their probabilities; the fewest that make up this share of them count.
CONFUSION, LEAVING = 0.99, 0.9
ROUGH, FINE = 3e-2, 5e-3  # relative residuals of the two solutions
CANDIDATES = 300  # images of each kind whose classes are added
FIRST_READ = 4096
# No value was found farther off the whole Hessian's than this share of the largest one; most are within a third of it.
STATED_TOLERANCE = 0.1


@dataclass(frozen=True)
class SparseTables:
    """What is computed once for all queries; every array may be mapped from a file.

    Attributes
    ----------
    lists : SparseProbabilities
    factors : array of float32, shape (C, d + 1, d + 1)
        Of `ClassBlocks`.
    confusion : array of float32, shape (C, C)
        Sum over all images of p_a p_b.
    moment : array of float64, shape (d + 1, d + 1)
        Cholesky factor L of the mean of [e, 1] [e, 1]'.
    lengths : array of float32, shape (N,)
        |L^-1 [e, 1]|: no logit of an image changes by more than this times |L' row|.
    """

    lists: SparseProbabilities
    factors: Floats
    confusion: Floats
    moment: npt.NDArray[np.float64]
    lengths: Floats

    @classmethod
    def build(cls, head: SoftmaxHead, hidden: Floats, labels: Rows) -> SparseTables:
        """Compute them from hidden states (N, d), which may be mapped from a file: O(N d (C + K d))."""
        lists = SparseProbabilities.of(head, hidden, labels)
        moment = cholesky(second_moment(hidden), lower=True)
        shares = csc_matrix((lists.shares, lists.rows, lists.starts), shape=(len(hidden), lists.classes))
        return cls(
            lists,
            ClassBlocks.fit(hidden, lists, head.damping).factors,
            (shares.T @ shares).toarray(),
            moment,
            _lengths(hidden, moment),
        )

    def to_arrays(self) -> AnyArrays:
        """Return everything that `from_arrays` needs."""
        own = {name: value for name, value in vars(self).items() if name != "lists"}
        return {**own, **{f"lists.{name}": value for name, value in vars(self.lists).items()}}

    @classmethod
    def from_arrays(cls, arrays: AnyArrays) -> SparseTables:
        """Rebuild from `to_arrays`."""
        lists = {k.removeprefix("lists."): v for k, v in arrays.items() if k.startswith("lists.")}
        own = {k: v for k, v in arrays.items() if not k.startswith("lists.")}
        return cls(lists=SparseProbabilities(**lists), **own)  # type: ignore[arg-type]


class SparseInfluence:
    """Influence of all N training images where the Hessian is too large and residuals are sparse.

    The strongest images are certain for the solved direction and the listed residuals; what both leave out changes no
    value by more than about `STATED_TOLERANCE` of the largest one.

    Parameters
    ----------
    head : SoftmaxHead
        At the optimum of its own damping on exactly these training images.
    hidden : array of float32, shape (N, d)
        May be mapped from a file; few of its rows are read per query.
    labels : array of int64, shape (N,)
    tables : SparseTables, optional
        Computed here where they are not given.
    """

    method = (
        f"Hessian of the softmax head, features frozen, solved for the {ACTIVE} classes that matter most, with sparse "
        f"residuals: within {STATED_TOLERANCE:.0%} of the strongest influence"
    )

    def __init__(self, head: SoftmaxHead, hidden: Floats, labels: Rows, tables: SparseTables | None = None) -> None:
        self.head = head
        self._hidden = hidden
        self._labels = labels
        self._tables = SparseTables.build(head, hidden, labels) if tables is None else tables
        self._blocks = ClassBlocks(self._tables.factors)
        self._squared_confusion = np.square(self._tables.confusion, dtype=np.float64) / len(hidden) ** 2
        self._mean_length = float(np.mean(self._tables.lengths))
        self._curvature = _class_curvature(self._tables) / len(hidden)

    def top(self, hidden: Floats, predictions: Rows, count: int) -> MostInfluential:
        """Return the most helpful and the most harmful training images; see `Influence.top`."""
        found = MostInfluential.empty(len(hidden), count)
        gradients, lengths = test_gradients(self.head, hidden, predictions)
        for i, (gradient, length) in enumerate(zip(gradients, lengths, strict=True)):
            rows, values = self._strongest(self.direction(gradient), count)
            helpful, harmful = np.lexsort((rows, -values))[:count], np.lexsort((rows, values))[:count]
            found.helpful[i], found.harmful[i] = rows[helpful], rows[harmful]
            found.helpful_values[i], found.harmful_values[i] = length * values[helpful], length * values[harmful]
        return found

    def direction(self, gradient: Floats) -> _Direction:
        """Solve approximately for H^-1 grad L_test, given one query's gradient (C, d + 1), of length 1."""
        solved = self._solve(gradient)
        rows, values = self._strongest(solved, min(CANDIDATES, len(self._hidden)))
        order = np.argsort(values)
        strongest = rows[np.union1d(order[:CANDIDATES], order[-CANDIDATES:])]
        missed = self._classes_missed(strongest, solved)
        return solved.joined(self._response(gradient, solved, missed)) if len(missed) else solved

    def _solve(self, gradient: Floats) -> _Direction:
        sizes = np.linalg.norm(gradient, axis=1)
        first = np.sort(np.argsort(-sizes / np.sqrt(self._curvature))[:FIRST])
        rough = self._solve_for(first, gradient, ROUGH)
        coupled = self._squared_confusion[:, first] @ np.square(self._scales(rough))
        scores = (coupled + np.square(sizes / self._mean_length)) / self._curvature
        scores[first] = np.inf
        return self._solve_for(np.sort(np.argsort(-scores)[:ACTIVE]), gradient, FINE)

    def _solve_for(self, labels: Rows, gradient: Floats, tolerance: float) -> _Direction:
        entries = _Entries.of(self._tables.lists, labels)
        confused = _largest(entries.confusion(), CONFUSION)
        hidden, shares = self._hidden[confused], entries.table(confused, entries.shares)

        def multiply(rows: Floats) -> Floats:
            weighted = shares * logit_changes(hidden, rows)
            between = shares * (weighted.sum(1, keepdims=True) - weighted)
            return np.asarray(self._blocks.multiply(labels, rows) - outer_sum(between, hidden) / self._count)

        solved = conjugate_gradients(multiply, lambda r: self._blocks.solve(labels, r), gradient[labels], tolerance)
        return _Direction(labels, solved.rows, entries)

    def _response(self, gradient: Floats, solved: _Direction, labels: Rows) -> _Direction:
        """Solve for further classes with the ones already solved held fixed."""
        leaving = _largest(solved.entries.leaving(), LEAVING)
        hidden = self._hidden[leaving]
        shares = solved.entries.table(leaving, solved.entries.shares)
        moved = np.einsum("na,na->n", shares, logit_changes(hidden, solved.rows))
        entries = _Entries.of(self._tables.lists, labels)
        pulled = outer_sum(entries.table(leaving, entries.shares) * moved[:, None], hidden) / self._count
        return _Direction(labels, self._blocks.solve(labels, gradient[labels] + pulled), entries)

    def _classes_missed(self, rows: Rows, solved: _Direction) -> Rows:
        """Return the unsolved classes that some training images pull most, and whose change counts most for them."""
        (_, shares) = next(probability_chunks(self.head, self._hidden[rows], len(rows)))
        known = shares[:, solved.labels]
        moved = np.einsum("na,na->n", known, logit_changes(self._hidden[rows], solved.rows))
        residuals = shares.copy()
        residuals[np.arange(len(rows)), self._labels[rows]] -= 1.0
        missed = np.abs(residuals * shares * moved[:, None]).max(0) / self._curvature
        missed[solved.labels] = -1.0
        return np.sort(np.argsort(-missed)[: min(ADDED, len(missed) - len(solved.labels))])

    def _strongest(self, direction: _Direction, count: int) -> tuple[Rows, npt.NDArray[np.float64]]:
        """Return rows that surely hold the `count` largest and smallest values, and their values."""
        bounds = direction.entries.bounds(self._scales(direction)) * self._tables.lengths / len(self._hidden)
        size = max(FIRST_READ, 4 * count)
        while size < len(bounds):
            order = np.argpartition(bounds, len(bounds) - size)
            rows, unread = np.sort(order[-size:]), bounds[order[:-size]].max()
            values = self._values(direction, rows)
            if min(np.partition(values, -count)[-count], -np.partition(values, count - 1)[count - 1]) >= unread:
                return rows, values
            size *= 4
        everything = np.arange(len(bounds))
        return everything, self._values(direction, everything)

    def _values(self, direction: _Direction, rows: Rows) -> npt.NDArray[np.float64]:
        residuals = direction.entries.table(rows, direction.entries.residuals)
        changes = logit_changes(self._hidden[rows], direction.rows)
        values = np.einsum("na,na->n", residuals, changes, dtype=np.float64)
        return np.asarray(values / len(self._hidden))

    def _scales(self, direction: _Direction) -> npt.NDArray[np.float64]:
        """Root mean square, over all images, of the change of each class's logit."""
        return np.asarray(np.linalg.norm(direction.rows @ self._tables.moment, axis=1))

    @property
    def _count(self) -> np.float32:
        return np.float32(len(self._hidden))


@dataclass(frozen=True)
class _Entries:
    """The lists of some classes, joined: one entry per image and class."""

    images: int
    classes: int
    rows: npt.NDArray[np.int32]
    columns: npt.NDArray[np.int64]
    shares: Floats
    residuals: Floats

    @classmethod
    def of(cls, lists: SparseProbabilities, labels: Rows) -> _Entries:
        places = [lists.list_of(int(label)) for label in labels]
        return cls(
            len(lists.unlisted),
            len(labels),
            np.concatenate([lists.rows[place] for place in places]),
            np.repeat(np.arange(len(labels)), [place.stop - place.start for place in places]),
            np.concatenate([lists.shares[place] for place in places]),
            np.concatenate([lists.residuals[place] for place in places]),
        )

    def joined(self, other: _Entries) -> _Entries:
        return _Entries(
            self.images,
            self.classes + other.classes,
            np.concatenate([self.rows, other.rows]),
            np.concatenate([self.columns, other.columns + self.classes]),
            np.concatenate([self.shares, other.shares]),
            np.concatenate([self.residuals, other.residuals]),
        )

    def confusion(self) -> npt.NDArray[np.float64]:
        """Per image, the sum of p_a p_b over pairs of these classes, shape (N,)."""
        total = np.bincount(self.rows, self.shares, self.images)
        return np.square(total) - np.bincount(self.rows, np.square(self.shares), self.images)

    def leaving(self) -> npt.NDArray[np.float64]:
        """Per image, the sum of p_a p_b over pairs of one of these classes and another, shape (N,)."""
        total = np.bincount(self.rows, self.shares, self.images)
        return total * (1.0 - total)

    def bounds(self, scales: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Per image, the sum of |residual| times its class's scale, shape (N,)."""
        return np.asarray(
            np.bincount(self.rows, np.abs(self.residuals) * scales[self.columns], self.images), np.float64
        )

    def table(self, rows: Rows, values: Floats) -> Floats:
        """Lay out one value per entry as a dense (m, a) table of some images."""
        places = np.full(self.images, -1, dtype=np.int32)
        places[rows] = np.arange(len(rows))
        at = places[self.rows]
        wanted = at >= 0
        dense = np.zeros((len(rows), self.classes), dtype=np.float32)
        dense[at[wanted], self.columns[wanted]] = values[wanted]
        return dense


@dataclass(frozen=True)
class _Direction:
    """H^-1 grad L_test for some classes (a,), rows (a, d + 1), with the lists of these classes."""

    labels: Rows
    rows: Floats
    entries: _Entries

    def joined(self, other: _Direction) -> _Direction:
        return _Direction(
            np.concatenate([self.labels, other.labels]),
            np.vstack([self.rows, other.rows]),
            self.entries.joined(other.entries),
        )


def _largest(weights: npt.NDArray[np.float64], share: float) -> Rows:
    """Return, in order, the fewest rows that hold a share of the summed weights (N,)."""
    rows = np.flatnonzero(weights > 0.0)
    rows = rows[np.argsort(-weights[rows], kind="stable")]
    sums = np.cumsum(weights[rows])
    return np.sort(rows[: np.searchsorted(sums, share * sums[-1]) + 1]) if len(rows) else rows


def _class_curvature(tables: SparseTables) -> npt.NDArray[np.float64]:
    """Sum over all images of p (1 - p), per class."""
    listed = [tables.lists.shares[tables.lists.list_of(c)].sum(dtype=np.float64) for c in range(tables.lists.classes)]
    curvature = np.array(listed) - np.diag(tables.confusion) + tables.lists.unlisted_curvature
    return np.maximum(curvature, np.finfo(np.float32).tiny)


def _lengths(hidden: Floats, moment: npt.NDArray[np.float64]) -> Floats:
    inverse = solve_triangular(moment, np.eye(len(moment)), lower=True).astype(np.float32)
    parts = [hidden[start : start + CHUNK] for start in range(0, len(hidden), CHUNK)]
    return np.concatenate([np.linalg.norm(logit_changes(part, inverse), axis=1) for part in parts])
