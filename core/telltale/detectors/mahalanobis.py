"""Detection by the Mahalanobis distance to the nearest class on every layer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from telltale.base.parameters import ParameterValue
from telltale.base.settings import Settings, parameter
from telltale.detectors.base import Arrays, Detector, Labels
from telltale.detectors.logistic import LogisticScore, inverse_penalty
from telltale.evidence.density import FEWEST
from telltale.evidence.evidence import Evidence
from telltale.evidence.mahalanobis import TiedGaussians


@dataclass(frozen=True)
class MahalanobisSettings(Settings):
    """Settings of the detector."""

    step: float = parameter(
        0.0,
        low=0.0,
        high=0.1,
        help="Step along the score's gradient sign, in [0, 1] pixel units.",
        title="Step ε",
        pixels=True,
    )
    c: float = inverse_penalty()


class MahalanobisDetector(Detector):
    """Logistic regression on max_c -1/2 d^2 of every layer (Lee et al. 2018, Eqs. 1-3).

    The input step needs the pixels. Settings are compared on stored traces, so that it is never chosen by itself.
    """

    name = "mahalanobis"
    title = "Mahalanobis distance"
    paper = (
        "Lee, Lee, Lee & Shin (2018), "
        "A Simple Unified Framework for Detecting Out-of-Distribution Samples and Adversarial Attacks"
    )
    summary = "Asks on every layer how far the nearest class is, in units of the classes' own spread."
    reads = ("density",)  # class means and a covariance ask as much of every class as its density does
    settings = MahalanobisSettings()

    @classmethod
    def lacks(cls, references: npt.NDArray[np.int64]) -> str | None:
        """Two references of a class on average: single ones lie on their class's mean and show no spread."""
        classes = len(np.unique(references))
        if len(references) >= FEWEST * classes:
            return None
        return (
            f"The spread of classes needs at least {FEWEST} reference images of a class on average; there are "
            f"{len(references):,} of {classes:,} classes."
        )

    @classmethod
    def candidates(cls, evidence: Evidence) -> list[Mapping[str, ParameterValue]]:
        """Penalties of the logistic regression."""
        del evidence
        return [{"c": c} for c in (0.01, 1.0, 100.0)]

    def features(self, evidence: Evidence) -> npt.NDArray[np.float64]:
        """Score of the nearest class on every layer, shape (n, L)."""
        return evidence.mahalanobis(self.gaussians_, self.settings.step)

    def _fit(self, evidence: Evidence, labels: Labels) -> None:
        self.gaussians_ = evidence.reference.gaussians
        self.regression_ = LogisticScore.fit(self.features(evidence), labels, self.settings.c)

    def _score(self, evidence: Evidence) -> npt.NDArray[np.float64]:
        return self.regression_.score(self.features(evidence))

    def _arrays(self) -> Arrays:
        return {**self.gaussians_.to_arrays(), **self.regression_.to_arrays()}

    def _restore(self, arrays: Arrays) -> None:
        self.gaussians_ = TiedGaussians.from_arrays(arrays)
        self.regression_ = LogisticScore.from_arrays(arrays)
