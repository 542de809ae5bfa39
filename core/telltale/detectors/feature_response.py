"""Detection by the mean local entropy of the feature response."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.metrics import roc_auc_score

from telltale.base.parameters import ParameterValue
from telltale.base.settings import Settings
from telltale.detectors.base import Arrays, Detector, Labels
from telltale.detectors.tails import TAILS, UPPER, outwardness, which_tails
from telltale.evidence.evidence import Evidence


@dataclass(frozen=True)
class FeatureResponseSettings(Settings):
    """Settings of the detector."""

    tails: str = which_tails()


class FeatureResponseDetector(Detector):
    """Threshold on the average local spatial entropy (Amirian et al. 2018, Eq. 4).

    The paper finds higher entropy in adversarial images. Not every network and data set shows that, so the direction
    is fitted: `direction_` is +1 as in the paper or -1; the paper's where no attacked image is there to show it. With
    ``tails="both"`` the direction does not matter.
    """

    name = "feature_response"
    title = "Feature response entropy"
    paper = (
        "Amirian, Schwenker & Stadelmann (2018), "
        "Trace and Detect Adversarial Attacks on CNNs using Feature Response Maps"
    )
    summary = "Measures how scattered the image regions are that drive the last convolutional stage."
    reads = ("response",)

    page = ("feature_responses", "Feature responses")
    settings = FeatureResponseSettings()
    needs_attacks = False

    @classmethod
    def alone(cls, classes: int) -> Detector:
        """Return one whose score is the entropy itself."""
        del classes
        return cls(tails=UPPER).restore({"natural": np.empty(0), "direction": np.ones(1)})

    @classmethod
    def candidates(cls, evidence: Evidence) -> list[Mapping[str, ParameterValue]]:
        """One tail and both."""
        del evidence
        return [{"tails": tails} for tails in TAILS]

    def _fit(self, evidence: Evidence, labels: Labels) -> None:
        self.natural_ = np.sort(evidence.readings["mean_entropy"][~labels.adversarial])
        if not labels.adversarial.any():
            self.direction_ = 1.0
            return
        weights = labels.balanced_weights()
        auc = roc_auc_score(labels.adversarial, evidence.readings["mean_entropy"], sample_weight=weights)
        self.direction_ = 1.0 if auc >= 0.5 else -1.0

    def _score(self, evidence: Evidence) -> npt.NDArray[np.float64]:
        if self.settings.tails == UPPER:
            return self.direction_ * evidence.readings["mean_entropy"]
        return outwardness(self.natural_, evidence.readings["mean_entropy"])

    def _arrays(self) -> Arrays:
        return {"direction": np.array([self.direction_]), "natural": self.natural_}

    def _restore(self, arrays: Arrays) -> None:
        self.direction_, self.natural_ = float(arrays["direction"][0]), arrays["natural"]
