"""Detection by the doubt of a second network about the class that the first one predicts."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from telltale.detectors.base import Arrays, Detector, Labels
from telltale.evidence.evidence import Evidence

LOG_PROBABILITIES = "twin_log_probabilities"  # the reading of `telltale.kinds.twin`


class TwinDetector(Detector):
    """-log p of the predicted class, by a network that was trained on the same images from another start.

    What is natural is read alike by both. What was made for one network carries over to another only in part: less,
    the smaller the change (Papernot, McDaniel & Goodfellow 2016). Nothing is fitted.
    """

    name = "twin"
    title = "Second opinion"
    paper = "Papernot, McDaniel & Goodfellow (2016), Transferability in Machine Learning"
    summary = "Asks a second, smaller network how likely it thinks the predicted class is."
    reads = ("twin",)
    page = ("feature_responses", "Second opinion")
    needs_attacks = False

    def _fit(self, evidence: Evidence, labels: Labels) -> None:
        del evidence, labels

    def _score(self, evidence: Evidence) -> npt.NDArray[np.float64]:
        found = evidence.readings[LOG_PROBABILITIES]
        return np.asarray(-found[np.arange(len(evidence)), evidence.predictions])

    def _arrays(self) -> Arrays:
        return {}

    def _restore(self, arrays: Arrays) -> None:
        del arrays
