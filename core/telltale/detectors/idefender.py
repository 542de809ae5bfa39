"""Detection by the density of the hidden state under the predicted class's mixture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from telltale.base.parameters import ParameterValue
from telltale.base.settings import Settings, parameter
from telltale.detectors.base import Arrays, Detector, Labels
from telltale.detectors.tails import TAILS, UPPER, outwardness, position, which_tails
from telltale.evidence.density import of_predicted
from telltale.evidence.evidence import Evidence

LOG_DENSITY, CLASS_QUANTILE = "log_density", "class_quantile"


@dataclass(frozen=True)
class IDefenderSettings(Settings):
    """Settings of the detector."""

    variant: str = parameter(
        LOG_DENSITY,
        choices=(LOG_DENSITY, CLASS_QUANTILE),
        help="Raw −log density, or its quantile within the predicted class.",
    )
    tails: str = which_tails()


class IDefender(Detector):
    """-log p(H | predicted class) of Zheng & Hong (2018), or its quantile among that class's natural images.

    The paper rejects below one threshold per class. ``class_quantile`` is the same decision as one number: the
    share of held-out natural images of the predicted class that are at least as dense, with linear interpolation
    between them and the raw density as tie-breaker beyond them. With ``tails="both"`` hidden states that are denser
    than natural ones are suspicious as well: strong attacks can produce them.
    """

    name = "idefender"
    title = "I-defender"
    paper = "Zheng & Hong (2018), Robust Detection of Adversarial Attacks by Modeling the Intrinsic Properties of DNNs"
    summary = "Asks how usual the hidden state is for images of the predicted class."
    reads = ("density",)
    page = ("hidden_state_density", "Density")
    settings = IDefenderSettings()
    needs_attacks = False

    @classmethod
    def candidates(cls, evidence: Evidence) -> list[Mapping[str, ParameterValue]]:
        """Both variants, one tail and both."""
        del evidence
        return [{"variant": v, "tails": tails} for v in (LOG_DENSITY, CLASS_QUANTILE) for tails in TAILS]

    def _fit(self, evidence: Evidence, labels: Labels) -> None:
        natural = ~labels.adversarial
        surprise = _surprise(evidence)[natural]
        predictions = evidence.predictions[natural]
        everything = np.sort(surprise)
        per_class = [np.sort(surprise[predictions == c]) for c in range(evidence.reference.classes)]
        by_class = self.settings.variant == CLASS_QUANTILE
        self.natural_ = tuple(own if by_class and own.size else everything for own in per_class)

    def _score(self, evidence: Evidence) -> npt.NDArray[np.float64]:
        surprise = _surprise(evidence)
        upper = self.settings.tails == UPPER
        if upper and self.settings.variant == LOG_DENSITY:
            return surprise
        place = position if upper else outwardness
        scores = np.empty(len(surprise))
        for c, natural in enumerate(self.natural_):
            rows = evidence.predictions == c
            scores[rows] = place(natural, surprise[rows])
        return scores

    def _arrays(self) -> Arrays:
        return {f"natural_{c}": values for c, values in enumerate(self.natural_)}

    def _restore(self, arrays: Arrays) -> None:
        self.natural_ = tuple(arrays[f"natural_{c}"] for c in range(len(arrays)))


def _surprise(evidence: Evidence) -> npt.NDArray[np.float64]:
    """-log p(H | predicted class) in nats, shape (n,)."""
    return -of_predicted(evidence.log_density, evidence.predictions)
