"""Influence for many classes and millions of training images: sparse residuals and the classes that matter.

A classifier of a thousand classes gives one image a noticeable probability for a few of them. So H^-1 grad L_test is
solved for the classes that one query moves most, with exact curvature within each class and, between classes, that of
the images that tie them most and an average for the others; the classes of the images found so are added by one
further step; and a Cauchy-Schwarz bound per training image shows which of them can be among the strongest, so that few
hidden states are read from a memory-mapped file.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from telltale.evidence.class_coupling import Coupling, MeanMoments
from telltale.evidence.curvature import ClassBlocks, conjugate_gradients, logit_changes, test_gradients
from telltale.evidence.influence import SoftmaxHead
from telltale.evidence.most_influential import MostInfluential
from telltale.evidence.sparse_probabilities import probability_chunks
from telltale.evidence.sparse_tables import SparseTables
from telltale.evidence.threads import one_blas_thread

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]

FIRST, ACTIVE, ADDED = 16, 48, 64  # classes of the first solution, of the second, and added by the last step
ROUGH, FINE = 3e-2, 5e-3  # relative residuals of the two solutions
TIES = 4096  # images taken as they are in each solution
NOTICEABLE = 0.01  # share below which an image ties no classes worth a look
CANDIDATES = 300  # images of each kind whose classes are added
FIRST_READ = 4096
READ_AT_ONCE = 16_384
ROUNDING = 1.0 + 1e-5  # of bounds in float32
# No value was found farther off the whole Hessian's than this share of the largest one; most are within a third of it.
STATED_TOLERANCE = 0.1


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
        self._hidden = np.asarray(hidden)
        self._labels = labels
        self._tables = SparseTables.build(head, hidden, labels) if tables is None else tables
        self._lists = self._tables.lists
        self._blocks = ClassBlocks(self._tables.factors)
        self._confusion = self._tables.confusion / np.float32(len(hidden))
        self._squared_confusion = np.square(self._confusion, dtype=np.float64)
        self._mean_length = float(np.mean(self._tables.lengths))
        self._curvature = self._tables.curvature() / len(hidden)
        self._moments = MeanMoments(self._blocks, head.damping, self._curvature.astype(np.float32))

    def top(self, hidden: Floats, predictions: Rows, count: int) -> MostInfluential:
        """Return the most helpful and the most harmful training images; see `Influence.top`."""
        found = MostInfluential.empty(len(hidden), count)
        gradients, lengths = test_gradients(self.head, hidden, predictions)
        for i, (gradient, length) in enumerate(zip(gradients, lengths, strict=True)):
            with one_blas_thread():
                rows, values = self._strongest(self.direction(gradient), count)
            helpful, harmful = np.lexsort((rows, -values))[:count], np.lexsort((rows, values))[:count]
            found.helpful[i], found.harmful[i] = rows[helpful], rows[harmful]
            found.helpful_values[i], found.harmful_values[i] = length * values[helpful], length * values[harmful]
        return found

    def direction(self, gradient: Floats) -> _Direction:
        """Solve approximately for H^-1 grad L_test, given one query's gradient (C, d + 1), of length 1."""
        solved = self._solve(gradient)
        missed = self._classes_missed(self._candidates(solved), solved)
        return solved.joined(self._response(gradient, solved, missed)) if len(missed) else solved

    def _solve(self, gradient: Floats) -> _Direction:
        sizes = np.linalg.norm(gradient, axis=1)
        first = np.sort(np.argsort(-sizes / np.sqrt(self._curvature))[:FIRST])
        scales = sizes / self._mean_length / self._curvature
        rough = self._solve_for(first, gradient, scales[first], ROUGH)
        known = self._scales(rough)
        pulls = self._squared_confusion[:, first] @ np.square(known) + np.square(sizes / self._mean_length)
        scales = np.sqrt(pulls) / self._curvature
        scales[first] = known
        scores = pulls / self._curvature
        scores[first] = np.inf
        active = np.sort(np.argsort(-scores)[:ACTIVE])
        return self._solve_for(active, gradient, scales[active], FINE)

    def _solve_for(self, labels: Rows, gradient: Floats, scales: Doubles, tolerance: float) -> _Direction:
        coupling = self._coupling(self._ties(labels, scales), labels, labels)

        def multiply(rows: Floats) -> Floats:
            products = self._blocks.multiply(labels, rows)
            return products - coupling.multiply(rows, products)

        solved = conjugate_gradients(multiply, lambda r: self._blocks.solve(labels, r), gradient[labels], tolerance)
        return _Direction(labels, solved.rows)

    def _response(self, gradient: Floats, solved: _Direction, labels: Rows) -> _Direction:
        """Solve for further classes with the ones already solved held fixed."""
        coupling = self._coupling(self._ties_outwards(solved), solved.labels, labels)
        pulled = coupling.multiply(solved.rows, self._blocks.multiply(solved.labels, solved.rows))
        return _Direction(labels, self._blocks.solve(labels, gradient[labels] + pulled))

    def _coupling(self, images: Rows, ours: Rows, theirs: Rows) -> Coupling:
        root = np.float32(np.sqrt(len(self._hidden)))
        our_shares, their_shares = (self._lists.table(images, labels) / root for labels in (ours, theirs))
        read = (self._hidden[images], our_shares, their_shares)
        return Coupling.of(self._moments, (ours, theirs), read, self._confusion[np.ix_(theirs, ours)])

    def _ties(self, labels: Rows, scales: Doubles) -> Rows:
        """Return the images that pull most between these classes, whose logits change by about `scales` (a,)."""
        shares = self._lists.lists_of(labels, self._lists.shares, NOTICEABLE)
        changes = scales.astype(np.float32)
        total, pull = shares @ np.ones_like(changes), shares @ changes
        return _largest(pull * total - shares.power(2) @ changes, TIES)

    def _ties_outwards(self, solved: _Direction) -> Rows:
        """Return the images through which the solved classes pull most at others."""
        shares = self._lists.lists_of(solved.labels, self._lists.shares, NOTICEABLE)
        changes = self._scales(solved).astype(np.float32)
        return _largest((shares @ changes) * (1.0 - shares @ np.ones_like(changes)), TIES)

    def _candidates(self, solved: _Direction) -> Rows:
        """Return images that are likely among the strongest."""
        rows = _largest(self._bounds(solved), max(FIRST_READ, 4 * CANDIDATES))
        order = np.argsort(self._values(solved, rows))
        return rows[np.union1d(order[:CANDIDATES], order[-CANDIDATES:])]

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

    def _strongest(self, direction: _Direction, count: int) -> tuple[Rows, Doubles]:
        """Return rows that surely hold the `count` largest and smallest values, and their values."""
        bounds = self._bounds(direction)
        likely = _largest(bounds, max(FIRST_READ, 4 * count))
        values = self._values(direction, likely)
        bounds[likely] = 0.0
        least = min(np.partition(values, -count)[-count], -np.partition(values, count - 1)[count - 1])
        others = np.flatnonzero(bounds > max(least, 0.0))
        return np.concatenate([likely, others]), np.concatenate([values, self._values(direction, others)])

    def _bounds(self, direction: _Direction) -> Floats:
        """Per image, what its value cannot exceed: the sum of |residual| times its class's scale, times its length."""
        residuals = self._lists.lists_of(direction.labels, self._lists.residuals)
        np.abs(residuals.data, out=residuals.data)
        changes = residuals @ self._scales(direction).astype(np.float32)
        changes *= self._tables.lengths
        return np.asarray(changes * np.float32(ROUNDING / len(self._hidden)))

    def _values(self, direction: _Direction, rows: Rows) -> Doubles:
        parts = [rows[start : start + READ_AT_ONCE] for start in range(0, len(rows), READ_AT_ONCE)]
        return np.concatenate([np.empty(0), *(self._values_of_part(direction, part) for part in parts)])

    def _values_of_part(self, direction: _Direction, rows: Rows) -> Doubles:
        residuals = self._lists.table(rows, direction.labels)
        residuals -= self._labels[rows, None] == direction.labels
        changes = logit_changes(self._hidden[rows], direction.rows)
        values = np.einsum("na,na->n", residuals, changes, dtype=np.float64)
        return np.asarray(values / len(self._hidden))

    def _scales(self, direction: _Direction) -> Doubles:
        """Root mean square, over all images, of the change of each class's logit."""
        return np.asarray(np.linalg.norm(direction.rows @ self._tables.moment, axis=1))


@dataclass(frozen=True)
class _Direction:
    """H^-1 grad L_test for some classes (a,), rows (a, d + 1)."""

    labels: Rows
    rows: Floats

    def joined(self, other: _Direction) -> _Direction:
        return _Direction(np.concatenate([self.labels, other.labels]), np.vstack([self.rows, other.rows]))


def _largest(weights: Floats, count: int) -> Rows:
    """Return, in order, the rows of the `count` largest weights (N,), or all of them; ties at will."""
    rows = np.flatnonzero(weights > 0.0)
    if len(rows) < count:
        return np.sort(np.argpartition(weights, max(0, len(weights) - count))[-count:])
    # Partitioning values and looking for the limit is many times faster than partitioning their rows.
    limit = np.partition(weights[rows], len(rows) - count)[len(rows) - count]
    return np.flatnonzero(weights >= limit)[:count]
