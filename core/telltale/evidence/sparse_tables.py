"""What influence with sparse residuals needs once for all queries: listed probabilities, class blocks, bounds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.linalg import cholesky, solve_triangular
from scipy.sparse import csc_matrix

from telltale.evidence.curvature import ClassBlocks, logit_changes, second_moment
from telltale.evidence.influence import SoftmaxHead
from telltale.evidence.sparse_probabilities import CHUNK, SparseProbabilities

Floats = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]
AnyArrays = dict[str, npt.NDArray[np.generic]]

RIDGE = 1e-6  # of the mean of the moment's diagonal: fewer images than features leave it without an inverse


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
        Cholesky factor L of the mean of [e, 1] [e, 1]', with a ridge: the bounds below hold for any such L.
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
        moment = cholesky(_with_ridge(second_moment(hidden)), lower=True)
        shares = csc_matrix((lists.shares, lists.rows, lists.starts), shape=(len(hidden), lists.classes))
        return cls(
            lists,
            ClassBlocks.fit(hidden, lists, head.damping).factors,
            (shares.T @ shares).toarray(),
            moment,
            _lengths(hidden, moment),
        )

    def curvature(self) -> npt.NDArray[np.float64]:
        """Sum over all images of p (1 - p), per class."""
        listed = [self.lists.shares[self.lists.list_of(c)].sum(dtype=np.float64) for c in range(self.lists.classes)]
        curvature = np.array(listed) - np.diag(self.confusion) + self.lists.unlisted_curvature
        return np.maximum(curvature, np.finfo(np.float32).tiny)

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


def _with_ridge(moment: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return moment + RIDGE * float(np.trace(moment)) / len(moment) * np.eye(len(moment))


def _lengths(hidden: Floats, moment: npt.NDArray[np.float64]) -> Floats:
    inverse = solve_triangular(moment, np.eye(len(moment)), lower=True).astype(np.float32)
    parts = [hidden[start : start + CHUNK] for start in range(0, len(hidden), CHUNK)]
    return np.concatenate([np.linalg.norm(logit_changes(part, inverse), axis=1) for part in parts])
