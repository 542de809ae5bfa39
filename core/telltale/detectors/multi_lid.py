"""Detection by all the terms of the local intrinsic dimensionality on every layer, read by trees."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.spatial.distance import cdist

from telltale.base.parameters import ParameterValue
from telltale.base.settings import Settings, parameter
from telltale.detectors.base import Arrays, Detector, Labels
from telltale.detectors.boosted_trees import BoostedTrees, Boosting
from telltale.evidence.evidence import Evidence
from telltale.evidence.lid import MINIBATCH, draw_minibatch, lid_terms

COUNTS = (10, 20, 50)
GROWN = Boosting()


@dataclass(frozen=True)
class MultiLidSettings(Settings):
    """Settings of the detector."""

    k: int = parameter(
        20,
        low=2,
        high=MINIBATCH,
        help="Nearest images of the minibatch whose distances are read.",
        title="Neighbours k",
    )
    seed: int = parameter(0, low=0, high=2**31 - 1, help="Seeds the choice of the minibatch.")


class MultiLidDetector(Detector):
    """Boosted trees on log(d_i / d_k) of the k nearest images on every layer (Lorenz, Keuper & Keuper 2023).

    The local intrinsic dimensionality is the mean of these terms, in which much of what they tell is lost. Distances
    are those to one minibatch of training images, drawn once under `seed` with every class in its share.
    """

    name = "multi_lid"
    title = "Multi-LID"
    paper = "Lorenz, Keuper & Keuper (2023), Unfolding Local Growth Rate Estimates for (Almost) Perfect Detection"
    summary = "Reads how distances to the nearest training images grow, one by one instead of on average."
    settings = MultiLidSettings()

    @classmethod
    def candidates(cls, evidence: Evidence) -> list[Mapping[str, ParameterValue]]:
        """Few, some and many neighbours, as far as there are training images."""
        return [{"k": k} for k in COUNTS if k <= len(evidence.reference.labels)] or [{}]

    def features(self, evidence: Evidence) -> npt.NDArray[np.float64]:
        """Terms of every layer, one layer after the other, shape (n, L (k - 1))."""
        k = min(self.settings.k, len(self.minibatch_))
        pairs = zip(evidence.trace.activations, evidence.reference.trace.activations, strict=True)
        return np.hstack([lid_terms(cdist(queries, known[self.minibatch_]), k) for queries, known in pairs])

    def _fit(self, evidence: Evidence, labels: Labels) -> None:
        self.minibatch_ = draw_minibatch(evidence.reference.labels, self.settings.seed)
        features = self.features(evidence)
        self.features_ = features.shape[1]
        self.trees_ = BoostedTrees.fit(features, labels, GROWN)

    def _score(self, evidence: Evidence) -> npt.NDArray[np.float64]:
        return self.trees_.log_odds(self.features(evidence))

    def _arrays(self) -> Arrays:
        shape = {"features": np.array([float(self.features_)]), "minibatch": self.minibatch_.astype(np.float64)}
        return {**self.trees_.to_arrays(), **shape}

    def _restore(self, arrays: Arrays) -> None:
        self.minibatch_ = arrays["minibatch"].astype(np.int64)
        self.features_ = int(arrays["features"][0])
        self.trees_ = BoostedTrees.from_arrays(arrays, self.features_)
