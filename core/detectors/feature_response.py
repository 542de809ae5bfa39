"""Detection by the mean local entropy of the feature response."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from sklearn.metrics import roc_auc_score

from core.detectors.base import Arrays, Detector, Labels
from core.evidence.evidence import Evidence


class FeatureResponseDetector(Detector):
    """Threshold on the average local spatial entropy (Amirian et al. 2018, Eq. 4).

    The paper finds higher entropy in adversarial images. Not every network and data set shows that, so the direction
    is fitted: `direction_` is +1 as in the paper or -1.
    """

    name = "feature_response"
    title = "Feature response entropy"
    paper = (
        "Amirian, Schwenker & Stadelmann (2018), "
        "Trace and Detect Adversarial Attacks on CNNs using Feature Response Maps"
    )
    summary = "Measures how scattered the image regions are that drive the last convolutional stage."

    def _fit(self, evidence: Evidence, labels: Labels) -> None:
        weights = labels.balanced_weights()
        auc = roc_auc_score(labels.adversarial, evidence.mean_entropy, sample_weight=weights)
        self.direction_ = 1.0 if auc >= 0.5 else -1.0

    def _score(self, evidence: Evidence) -> npt.NDArray[np.float64]:
        return self.direction_ * evidence.mean_entropy

    def _arrays(self) -> Arrays:
        return {"direction": np.array([self.direction_])}

    def _restore(self, arrays: Arrays) -> None:
        self.direction_ = float(arrays["direction"][0])
