"""How a softmax head's Hessian ties classes to each other, without reading all images that tie them.

The block of two classes is minus the mean of p_a p_b [e, 1] [e, 1]'. A few images are taken as they are: those whose
part in it no average stands for. All others together count with the sum of their p_a p_b, which is known for every
pair of classes, times the mean second moment of the images that are undecided about either class, which is what the
blocks on the diagonal hold.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from telltale.evidence.curvature import ClassBlocks, logit_changes, outer_sum

Floats = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class MeanMoments:
    """Mean second moments of the images undecided about each class, weighted by p (1 - p).

    Attributes
    ----------
    blocks : ClassBlocks
    damping : float
        In the blocks; not in the moments.
    weights : array of float32, shape (C,)
        Mean over all images of p (1 - p).
    """

    blocks: ClassBlocks
    damping: float
    weights: Floats

    def multiply(self, labels: Rows, rows: Floats) -> Floats:
        """Multiply the moments of some classes (a,) by a row each (a, d + 1)."""
        return self.of_products(labels, rows, self.blocks.multiply(labels, rows))

    def of_products(self, labels: Rows, rows: Floats, products: Floats) -> Floats:
        """Return the same, where the products of the blocks with these rows are known."""
        return np.asarray((products - np.float32(self.damping) * rows) / self.weights[labels, None])


@dataclass(frozen=True)
class Coupling:
    """What classes `ours` (a,) pull at classes `theirs` (b,): minus the Hessian's blocks between them.

    Attributes
    ----------
    moments : MeanMoments
    ours, theirs : arrays of int64, shapes (a,) and (b,)
        The same, or without one in common.
    hidden : array of float32, shape (m, d)
        Images taken as they are.
    our_shares, their_shares : arrays of float32, shapes (m, a) and (m, b)
        Their softmax outputs, each divided by sqrt(N).
    rest : array of float32, shape (b, a)
        Mean over all other images of p_a p_b; 0 for a class and itself.
    """

    moments: MeanMoments
    ours: Rows
    theirs: Rows
    hidden: Floats
    our_shares: Floats
    their_shares: Floats
    rest: Floats

    @classmethod
    def of(
        cls, moments: MeanMoments, labels: tuple[Rows, Rows], images: tuple[Floats, Floats, Floats], confusion: Floats
    ) -> Coupling:
        """Join two sets of classes.

        Parameters
        ----------
        moments : MeanMoments
        labels : pair of arrays
            `ours` and `theirs`.
        images : triple of arrays
            `hidden`, `our_shares` and `their_shares`.
        confusion : array of float32, shape (b, a)
            Mean over all images of p_a p_b.
        """
        rest = confusion - images[2].T @ images[1]
        rest[labels[1][:, None] == labels[0]] = 0.0
        return cls(moments, *labels, *images, np.maximum(rest, np.float32(0.0)))

    def multiply(self, rows: Floats, products: Floats) -> Floats:
        """Return what rows (a, d + 1) pull, (b, d + 1), given the products of our blocks with them."""
        pulled = outer_sum(self._pulled_by_images(rows), self.hidden)
        ours = self.rest @ self.moments.of_products(self.ours, rows, products)
        theirs = self.moments.multiply(self.theirs, self.rest @ rows)
        return np.asarray(pulled + np.float32(0.5) * (ours + theirs))

    def _pulled_by_images(self, rows: Floats) -> Floats:
        weighted = self.our_shares * logit_changes(self.hidden, rows)
        total = weighted.sum(1, keepdims=True)
        same = np.array_equal(self.ours, self.theirs)
        return np.asarray(self.their_shares * (total - weighted if same else total))
