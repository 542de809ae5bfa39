"""Gradient-boosted trees that are stored as plain arrays and say what every feature adds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.ensemble import HistGradientBoostingClassifier

from telltale.base.errors import DamagedBundleError
from telltale.detectors.base import Arrays, Labels
from telltale.detectors.bins import Bins

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
LEAF = -1
AT_ONCE = 4096


@dataclass(frozen=True)
class Boosting:
    """How trees are grown.

    Attributes
    ----------
    trees, leaves : int
        Their number, and the largest number of leaves of each.
    learning_rate : float
    fewest : int
        Images that a leaf holds at least.
    penalty : float
        L2, on the leaves.
    """

    trees: int = 100
    leaves: int = 8
    learning_rate: float = 0.1
    fewest: int = 20
    penalty: float = 1.0


@dataclass(frozen=True)
class BoostedTrees:
    """The log odds of being adversarial as a sum of trees (Friedman 2001), grown by scikit-learn.

    Attributes
    ----------
    baseline : float
        Log odds before any tree.
    roots : array of int64, shape (T,)
        Node in which each tree begins.
    feature : array of int64, shape (N,)
        Which feature a node asks about; `LEAF` at a leaf.
    threshold : array of float64, shape (N,)
        Up to and including it, the left child follows.
    left, right : array of int64, shape (N,)
        Children, which come after their parent.
    value : array of float64, shape (N,)
        What a node's tree would answer if it ended there.
    """

    baseline: float
    roots: Ints
    feature: Ints
    threshold: Floats
    left: Ints
    right: Ints
    value: Floats

    @classmethod
    def fit(
        cls, features: Floats, labels: Labels, boosting: Boosting, monotone: Sequence[int] | None = None, seed: int = 0
    ) -> BoostedTrees:
        """Grow trees on features (n, f) with `Labels.balanced_weights`.

        Parameters
        ----------
        features : array of float64, shape (n, f)
        labels : Labels of the n images
        boosting : Boosting
        monotone : sequence of {-1, 0, 1}, length f, optional
            1 where more of a feature may never lower the answer, -1 where it may never raise it.
        seed : int
        """
        model = HistGradientBoostingClassifier(
            max_iter=boosting.trees,
            max_leaf_nodes=boosting.leaves,
            learning_rate=boosting.learning_rate,
            min_samples_leaf=boosting.fewest,
            l2_regularization=boosting.penalty,
            monotonic_cst=None if monotone is None else list(monotone),
            early_stopping=False,
            random_state=seed,
        )
        weights = labels.balanced_weights()
        bins = Bins.of(features, weights)
        model.fit(bins.put(features), labels.adversarial, sample_weight=weights)
        # The library's own way to keep a model is a pickle; its nodes are the only other form that it has.
        grown = [predictors[0].nodes for predictors in model._predictors]
        starts = np.cumsum([0, *(len(nodes) for nodes in grown)])
        nodes = np.concatenate(grown)
        leaf = nodes["is_leaf"].astype(bool)
        offset = np.repeat(starts[:-1], np.diff(starts))
        threshold = np.zeros(len(nodes))
        threshold[~leaf] = bins.thresholds(nodes["feature_idx"][~leaf], nodes["num_threshold"][~leaf])
        return cls(
            baseline=float(np.ravel(model._baseline_prediction)[0]),
            roots=starts[:-1].astype(np.int64),
            feature=np.where(leaf, LEAF, nodes["feature_idx"]).astype(np.int64),
            threshold=threshold,
            left=np.where(leaf, 0, nodes["left"] + offset).astype(np.int64),
            right=np.where(leaf, 0, nodes["right"] + offset).astype(np.int64),
            # Only leaves are kept as they count; inner nodes as before the learning rate.
            value=np.where(leaf, 1.0, boosting.learning_rate) * nodes["value"],
        )

    def log_odds(self, features: Floats) -> Floats:
        """Return the answers for features (n, f), shape (n,)."""
        return self.baseline + np.concatenate(
            [self._part(features[start : start + AT_ONCE], None) for start in range(0, max(1, len(features)), AT_ONCE)]
        )

    def contributions(self, features: Floats) -> Floats:
        """Return what every feature adds, shape (n, f); with `baseline` they sum to `log_odds`.

        A step from a node to its child changes what the tree would answer; the change belongs to the feature that the
        node asks about (Saabas 2014).
        """
        found = np.zeros(features.shape)
        for start in range(0, len(features), AT_ONCE):
            self._part(features[start : start + AT_ONCE], found[start : start + AT_ONCE])
        return found

    def _part(self, features: Floats, found: Floats | None) -> Floats:
        """Walk down all trees at once; `found`, where given, is told what every step adds."""
        rows = np.arange(len(features))[:, None]
        at = np.tile(self.roots, (len(features), 1))
        while (inner := self.feature[at] != LEAF).any():
            asked = np.maximum(self.feature[at], 0)
            below = features[rows, asked] <= self.threshold[at]
            to = np.where(inner, np.where(below, self.left[at], self.right[at]), at)
            if found is not None:
                np.add.at(found, (np.broadcast_to(rows, at.shape), asked), self.value[to] - self.value[at])
            at = to
        # einsum adds every image's terms in the same order, however many images there are.
        return np.asarray(np.einsum("nt->n", self.value[at]))

    def to_arrays(self) -> Arrays:
        """Return everything that `from_arrays` needs."""
        return {name: np.atleast_1d(part).astype(np.float64) for name, part in vars(self).items()}

    @classmethod
    def from_arrays(cls, arrays: Arrays, features: int) -> BoostedTrees:
        """Rebuild from `to_arrays`, among other arrays.

        Raises
        ------
        DamagedBundleError
            If they are no trees over this number of features.
        """
        try:
            found = cls(
                baseline=float(arrays["baseline"][0]),
                roots=arrays["roots"].astype(np.int64),
                feature=arrays["feature"].astype(np.int64),
                threshold=arrays["threshold"].astype(np.float64),
                left=arrays["left"].astype(np.int64),
                right=arrays["right"].astype(np.int64),
                value=arrays["value"].astype(np.float64),
            )
        except (KeyError, ValueError, IndexError) as error:
            raise DamagedBundleError(f"Stored trees lack a part: {error}.") from error
        found._check(features)
        return found

    def _check(self, features: int) -> None:
        count = len(self.feature)
        inner = np.flatnonzero(self.feature != LEAF)
        sound = all(part.shape == (count,) for part in (self.threshold, self.left, self.right, self.value))
        sound = sound and len(self.roots) > 0 and bool(((self.roots >= 0) & (self.roots < count)).all())
        sound = sound and bool(((self.feature >= LEAF) & (self.feature < features)).all())
        for children in (self.left, self.right):  # children that come later leave no way round in circles
            sound = sound and bool(((children[inner] > inner) & (children[inner] < count)).all())
        if not sound or not np.isfinite(self.value).all():
            raise DamagedBundleError(f"Stored trees do not fit together, or ask about more than {features} features.")
