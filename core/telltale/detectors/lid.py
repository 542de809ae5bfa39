"""Detection by the local intrinsic dimensionality on every layer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.spatial.distance import cdist

from telltale.base.parameters import ParameterValue
from telltale.base.settings import Settings, parameter
from telltale.detectors.base import Arrays, Detector, Labels
from telltale.detectors.logistic import LogisticScore, inverse_penalty
from telltale.evidence.evidence import Evidence
from telltale.evidence.lid import MINIBATCH, draw_minibatch, lid_estimates

COUNTS = tuple(range(10, 100, 10))


@dataclass(frozen=True)
class LidSettings(Settings):
    """Settings of the detector."""

    k: int = parameter(
        20,
        low=2,
        high=MINIBATCH,
        help="Nearest images of the minibatch that count.",
        title="Neighbours k",
    )
    seed: int = parameter(0, low=0, high=2**31 - 1, help="Seeds the choice of the minibatch.")
    c: float = inverse_penalty()


class LidDetector(Detector):
    """Logistic regression on the local intrinsic dimensionality of every layer (Ma et al. 2018).

    Distances are those to one minibatch of training images, drawn once under `seed` with every class in its share.
    """

    name = "lid"
    title = "Local intrinsic dimensionality"
    paper = "Ma et al. (2018), Characterizing Adversarial Subspaces Using Local Intrinsic Dimensionality"
    summary = "Asks in how many directions the space around the image's activations spreads out."
    settings = LidSettings()

    @classmethod
    def candidates(cls, evidence: Evidence) -> list[Mapping[str, ParameterValue]]:
        """Every number of neighbours that the paper tries, as far as there are training images."""
        return [{"k": k} for k in COUNTS if k <= len(evidence.reference.labels)] or [{}]

    def features(self, evidence: Evidence) -> npt.NDArray[np.float64]:
        """Local intrinsic dimensionality on every layer, shape (n, L)."""
        k = min(self.settings.k, len(self.minibatch_))
        pairs = zip(evidence.trace.activations, evidence.reference.trace.activations, strict=True)
        distances = (cdist(queries, known[self.minibatch_]) for queries, known in pairs)
        return np.stack([lid_estimates(to_minibatch, k) for to_minibatch in distances], axis=1)

    def _fit(self, evidence: Evidence, labels: Labels) -> None:
        self.minibatch_ = draw_minibatch(evidence.reference.labels, self.settings.seed)
        self.regression_ = LogisticScore.fit(self.features(evidence), labels, self.settings.c)

    def _score(self, evidence: Evidence) -> npt.NDArray[np.float64]:
        return self.regression_.score(self.features(evidence))

    def _arrays(self) -> Arrays:
        return {"minibatch": self.minibatch_.astype(np.float64), **self.regression_.to_arrays()}

    def _restore(self, arrays: Arrays) -> None:
        self.minibatch_ = arrays["minibatch"].astype(np.int64)
        self.regression_ = LogisticScore.from_arrays(arrays)
