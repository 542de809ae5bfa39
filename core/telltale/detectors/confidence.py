"""Detection by the network's own confidence: too little of it, or too much."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from telltale.base.parameters import ParameterValue
from telltale.base.settings import Settings, parameter
from telltale.detectors.base import Arrays, Detector, Labels
from telltale.detectors.tails import BOTH, outwardness, tail_surprises
from telltale.evidence.evidence import Evidence
from telltale.evidence.margins import log_odds, logit_margins

LOG_ODDS, MARGIN = "log_odds", "margin"
SCALES = {LOG_ODDS: log_odds, MARGIN: logit_margins}
LOW, HIGH = "low", "high"
SIDES = (LOW, HIGH, BOTH)


@dataclass(frozen=True)
class ConfidenceSettings(Settings):
    """Settings of the detector."""

    scale: str = parameter(
        LOG_ODDS,
        choices=tuple(SCALES),
        help="Log odds of the predicted class, in the order of its softmax output, or its lead over the next logit.",
    )
    tails: str = parameter(BOTH, choices=SIDES, help="Whether low confidence is suspicious, high, or either.")


class ConfidenceDetector(Detector):
    """How little, or how much, the network is sure of the class that it predicts.

    Hendrycks & Gimpel (2017) take a small softmax output as the sign of an error. An attack that stops just across the
    border, as DeepFool does, leaves too little confidence, one that goes on, as PGD does, leaves too much. The softmax
    output p is 1.0 for most natural images already; log(p / (1 - p)), taken from the logits, or the margin between the
    two largest logits keeps their order. With ``tails="both"`` the score is how far that lies from the natural median
    on either side, |2 q - 1| with q the quantile among natural images; `surprises` gives each side by itself.
    """

    name = "confidence"
    title = "Confidence"
    paper = (
        "Hendrycks & Gimpel (2017), "
        "A Baseline for Detecting Misclassified and Out-of-Distribution Examples in Neural Networks"
    )
    summary = "Asks whether the network is less sure of its answer than usual, or more."
    settings = ConfidenceSettings()
    needs_attacks = False

    @classmethod
    def alone(cls, classes: int) -> Detector:
        """Return one whose score is the lack of confidence itself."""
        del classes
        return cls(tails=LOW).restore({"natural": np.empty(0)})

    @classmethod
    def candidates(cls, evidence: Evidence) -> list[Mapping[str, ParameterValue]]:
        """Both scales, either tail and both."""
        del evidence
        return [{"scale": scale, "tails": tails} for scale in SCALES for tails in SIDES]

    def confidence(self, evidence: Evidence) -> npt.NDArray[np.float64]:
        """Confidence in the predicted class on the detector's scale, shape (n,)."""
        return SCALES[self.settings.scale](evidence.trace.logits, evidence.predictions)

    def surprises(self, evidence: Evidence) -> npt.NDArray[np.float64]:
        """Return how surprising so little, and so much, confidence is, in nats, for what reads the tails apart.

        Returns
        -------
        array of float64, shape (n, 2)
            -log of the one-sided p-value among the natural images that the detector was fitted on: low, high.
        """
        return tail_surprises(self.natural_, self.confidence(evidence))

    def _fit(self, evidence: Evidence, labels: Labels) -> None:
        self.natural_ = np.sort(self.confidence(evidence)[~labels.adversarial])

    def _score(self, evidence: Evidence) -> npt.NDArray[np.float64]:
        values = self.confidence(evidence)
        if self.settings.tails == BOTH:
            return outwardness(self.natural_, values)
        return values if self.settings.tails == HIGH else -values

    def _arrays(self) -> Arrays:
        return {"natural": self.natural_}

    def _restore(self, arrays: Arrays) -> None:
        self.natural_ = arrays["natural"]
