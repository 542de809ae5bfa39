"""Boosted trees whose splits have soft edges, so that they have slopes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch

from telltale.detectors.boosted_trees import LEAF, BoostedTrees

SOFTNESS = 0.2  # width of a split's edge, in standard deviations of the thresholds that its feature is compared with


def differentiable_trees(trees: BoostedTrees, softness: float = SOFTNESS) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return the log odds (n,) as a function of float64 features (n, f): exact values, slopes of soft splits.

    A soft split sends the share sigmoid((t - x) / width) of an image to the left and the rest to the right.

    Parameters
    ----------
    trees : BoostedTrees
    softness : float
    """
    soft = _SoftTrees(trees, softness)

    def log_odds(features: torch.Tensor) -> torch.Tensor:
        exact = torch.from_numpy(trees.log_odds(features.detach().numpy()))
        smooth = soft.log_odds(features)
        return exact + (smooth - smooth.detach())

    return log_odds


class _SoftTrees:
    """All trees at once, from the roots down, one level after the other."""

    def __init__(self, trees: BoostedTrees, softness: float) -> None:
        self._baseline, self._count = trees.baseline, len(trees.feature)
        self._levels = [torch.from_numpy(nodes) for nodes in _levels(trees)]
        self._feature, self._left, self._right = (
            torch.from_numpy(part) for part in (trees.feature, trees.left, trees.right)
        )
        self._threshold = torch.from_numpy(trees.threshold)
        self._width = torch.from_numpy(softness * _spreads(trees))
        self._roots = torch.from_numpy(trees.roots)
        self._leaf_values = torch.from_numpy(np.where(trees.feature == LEAF, trees.value, 0.0))

    def log_odds(self, features: torch.Tensor) -> torch.Tensor:
        shares = torch.zeros(len(features), self._count, dtype=torch.float64)
        shares[:, self._roots] = 1.0
        for nodes in self._levels:
            asked = features[:, self._feature[nodes]]
            left = torch.sigmoid((self._threshold[nodes] - asked) / self._width[nodes])
            here = shares[:, nodes]
            children = torch.cat([self._left[nodes], self._right[nodes]])
            shares = shares.index_copy(1, children, torch.cat([here * left, here * (1.0 - left)], dim=1))
        return self._baseline + shares @ self._leaf_values


def _levels(trees: BoostedTrees) -> list[npt.NDArray[np.int64]]:
    """Return the nodes that ask something, by their distance from the root."""
    levels, nodes = [], trees.roots
    while len(nodes := nodes[trees.feature[nodes] != LEAF]):
        levels.append(nodes)
        nodes = np.concatenate([trees.left[nodes], trees.right[nodes]])
    return levels


def _spreads(trees: BoostedTrees) -> npt.NDArray[np.float64]:
    """Return for every node the spread of its feature's thresholds; of all thresholds where they are one."""
    inner = trees.feature != LEAF
    spread = np.full(len(trees.feature), float(trees.threshold[inner].std()) or 1.0)
    for feature in np.unique(trees.feature[inner]):
        nodes = trees.feature == feature
        own = float(trees.threshold[nodes].std())
        if own > 0.0:
            spread[nodes] = own
    return spread
