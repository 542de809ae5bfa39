"""Detection by how few calibration images conform as badly to the predicted label."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from telltale.base.parameters import ParameterValue
from telltale.base.settings import Settings, parameter
from telltale.detectors.base import Arrays, Detector, Labels
from telltale.detectors.knn_score import largest_k
from telltale.evidence.conformal_neighbours import credibility, empirical_p_values, nonconformity
from telltale.evidence.evidence import Evidence

COUNTS = (10, 25, 50, 75, 100)


@dataclass(frozen=True)
class DknnSettings(Settings):
    """Settings of the detector."""

    k: int = parameter(
        75,
        low=1,
        high=1_000_000,
        help="Neighbours per layer; at most half of the training images.",
        title="Neighbours k",
    )


class DknnDetector(Detector):
    """1 - p(x, predicted class) of deep k-nearest neighbours (Papernot & McDaniel 2018).

    The nonconformity of a label is the number of the k nearest training images on each layer, summed over all layers,
    that have another label. Its p-value is the share of natural images among those fitted on that conform no better
    to their own label.
    """

    name = "dknn"
    title = "Deep k-nearest neighbours"
    paper = (
        "Papernot & McDaniel (2018), "
        "Deep k-Nearest Neighbors: Towards Confident, Interpretable and Robust Deep Learning"
    )
    summary = "Asks on every layer whether the nearest training images share the predicted class."
    reads = ("neighbours",)
    page = ("neighbours", "Neighbours")
    settings = DknnSettings()
    needs_attacks = False

    @classmethod
    def candidates(cls, evidence: Evidence) -> list[Mapping[str, ParameterValue]]:
        """From ten neighbours per layer to a hundred."""
        counts = sorted({largest_k(evidence, k) for k in COUNTS}, reverse=True)
        # Only one layer's neighbours are kept at a time: all votes are counted while they are at hand.
        for layer in evidence.reference.layers:
            for k in counts:
                evidence.votes(layer, "none", "knn", k)
        return [{"k": k} for k in counts]

    def p_values(self, evidence: Evidence) -> npt.NDArray[np.float64]:
        """Empirical p-value of every label, shape (n, C)."""
        return empirical_p_values(self.calibration_, self._nonconformity(evidence))

    def credibility(self, evidence: Evidence) -> npt.NDArray[np.float64]:
        """Largest p-value over all labels, shape (n,)."""
        return credibility(self.p_values(evidence))

    def _nonconformity(self, evidence: Evidence) -> npt.NDArray[np.float64]:
        k = largest_k(evidence, self.settings.k)
        shares = [evidence.votes(layer, "none", "knn", k) for layer in evidence.reference.layers]
        return nonconformity(np.stack(shares), k)

    def _fit(self, evidence: Evidence, labels: Labels) -> None:
        own = self._nonconformity(evidence)[np.arange(len(evidence)), evidence.predictions]
        self.calibration_ = np.sort(own[~labels.adversarial])

    def _score(self, evidence: Evidence) -> npt.NDArray[np.float64]:
        return 1.0 - self.p_values(evidence)[np.arange(len(evidence)), evidence.predictions]

    def _arrays(self) -> Arrays:
        return {"calibration": self.calibration_}

    def _restore(self, arrays: Arrays) -> None:
        self.calibration_ = arrays["calibration"]
