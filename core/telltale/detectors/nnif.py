"""Detection by where the most influential training images lie."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from telltale.base.parameters import ParameterValue
from telltale.base.settings import Settings, parameter
from telltale.detectors.base import Arrays, Detector, Labels
from telltale.detectors.logistic import LogisticScore, inverse_penalty
from telltale.evidence.evidence import MAX_INFLUENTIAL, Evidence

MEAN, LIST = "mean", "list"
LINEAR, LOG = "linear", "log"
SMALLEST = 1e-5  # added before logarithms are taken: about the rank of the nearest of ImageNet's training images
COUNTS = (*range(10, 101, 10), *range(150, 501, 50))
LIST_COUNTS = (10, 30, 100)  # longer lists have more values than there are images to fit on


@dataclass(frozen=True)
class NnifSettings(Settings):
    """Settings of the detector."""

    m: int = parameter(
        50,
        low=1,
        high=MAX_INFLUENTIAL,
        help="Helpful and harmful training images taken, each.",
        title="Influential images M",
    )
    form: str = parameter(MEAN, choices=(MEAN, LIST), help="Means per layer, or all values.")
    scale: str = parameter(LINEAR, choices=(LINEAR, LOG), help="Ranks and distances, or their logarithms.")
    c: float = inverse_penalty()


class NnifDetector(Detector):
    """Logistic regression on ranks and distances of the M most helpful and M most harmful training images.

    Cohen, Sapiro & Giryes (2020), Algorithm 1. ``list`` keeps all 4 M values per layer, as the algorithm is
    printed; ``mean`` keeps their 4 means per layer, as its authors' experiments do. Ranks and distances spread over
    orders of magnitude; ``log`` takes their logarithms before the regression.
    """

    name = "nnif"
    title = "NNIF"
    paper = (
        "Cohen, Sapiro & Giryes (2020), Detecting Adversarial Samples Using Influence Functions and Nearest Neighbors"
    )
    summary = "Asks whether the training images that decided are also the nearest ones."
    reads = ("influence",)
    page = ("neighbours", "Influence")
    settings = NnifSettings()

    @classmethod
    def candidates(cls, evidence: Evidence) -> list[Mapping[str, ParameterValue]]:
        """Both forms over the paper's counts, with penalties of their scale."""
        most = evidence.influential.helpful.shape[1]
        counts = [m for m in COUNTS if m <= most]
        means: list[Mapping[str, ParameterValue]] = [
            {"form": MEAN, "m": m, "scale": scale, "c": c}
            for scale in (LINEAR, LOG)
            for m in counts
            for c in (1.0, 10.0, 100.0)
        ]
        lists: list[Mapping[str, ParameterValue]] = [
            {"form": LIST, "m": m, "c": c} for m in LIST_COUNTS if m <= most for c in (0.01, 0.1)
        ]
        return [*means, *lists]

    def features(self, evidence: Evidence) -> npt.NDArray[np.float64]:
        """Ranks and distances of the influential training images, shape (n, 4 L) or (n, 4 L M)."""
        chosen = (self.name, self.settings.m, self.settings.form, self.settings.scale)
        return evidence.derived(chosen, self._features)

    def _features(self, evidence: Evidence) -> npt.NDArray[np.float64]:
        found, m = evidence.influential, self.settings.m
        parts = (found.helpful_ranks, found.helpful_distances, found.harmful_ranks, found.harmful_distances)
        if self.settings.form == MEAN:
            values = np.hstack([part[:, :, :m].mean(2, dtype=np.float64) for part in parts])
        else:
            values = np.hstack([part[:, :, :m].reshape(len(evidence), -1).astype(np.float64) for part in parts])
        return np.log(values + SMALLEST) if self.settings.scale == LOG else values

    def _fit(self, evidence: Evidence, labels: Labels) -> None:
        self.regression_ = LogisticScore.fit(self.features(evidence), labels, self.settings.c)

    def _score(self, evidence: Evidence) -> npt.NDArray[np.float64]:
        return self.regression_.score(self.features(evidence))

    def _arrays(self) -> Arrays:
        return self.regression_.to_arrays()

    def _restore(self, arrays: Arrays) -> None:
        self.regression_ = LogisticScore.from_arrays(arrays)
