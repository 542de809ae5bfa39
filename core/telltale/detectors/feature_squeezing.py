"""Detection by how far the softmax output moves when the image is squeezed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from telltale.base.parameters import ParameterValue
from telltale.base.settings import Settings, parameter
from telltale.detectors.base import Arrays, Detector, Labels
from telltale.detectors.tails import TAILS, UPPER, outwardness, which_tails
from telltale.evidence.evidence import Evidence
from telltale.evidence.squeezing import SQUEEZERS

BITS = ("1", "4", "5")
SMOOTHING = ("median_2x2", "non_local_means")


@dataclass(frozen=True)
class FeatureSqueezingSettings(Settings):
    """Settings of the detector."""

    bits: str = parameter("5", choices=BITS, help="Bits kept per pixel by the bit-depth squeezer.")
    tails: str = which_tails()


class FeatureSqueezingDetector(Detector):
    """Largest L1 distance between the softmax outputs for an image and for its squeezed versions.

    Xu, Evans & Qi (2018): fewer bits per pixel, a 2 x 2 median and non-local means, joined by the maximum. How many
    bits are kept is chosen on the fit split. A strong attack moves an image so deep into another class that squeezing
    moves its softmax output less than a natural image's; ``tails="both"`` takes either as a sign.
    """

    name = "feature_squeezing"
    title = "Feature squeezing"
    paper = "Xu, Evans & Qi (2018), Feature Squeezing: Detecting Adversarial Examples in Deep Neural Networks"
    summary = "Asks whether the answer survives fewer bits and some smoothing."
    reads = ("squeezing",)
    settings = FeatureSqueezingSettings()
    needs_attacks = False

    @classmethod
    def alone(cls, classes: int) -> Detector:
        """Return one whose score is the largest distance itself."""
        del classes
        return cls(tails=UPPER).restore({"natural": np.empty(0)})

    @classmethod
    def candidates(cls, evidence: Evidence) -> list[Mapping[str, ParameterValue]]:
        """Every bit depth, with one tail and both."""
        del evidence
        return [{"bits": bits, "tails": tails} for bits in BITS for tails in TAILS]

    def _fit(self, evidence: Evidence, labels: Labels) -> None:
        self.natural_ = np.sort(self._moved(evidence)[~labels.adversarial])

    def _score(self, evidence: Evidence) -> npt.NDArray[np.float64]:
        moved = self._moved(evidence)
        return moved if self.settings.tails == UPPER else outwardness(self.natural_, moved)

    def _moved(self, evidence: Evidence) -> npt.NDArray[np.float64]:
        names = list(SQUEEZERS)
        columns = [names.index(name) for name in (f"bits_{self.settings.bits}", *SMOOTHING)]
        return np.asarray(evidence.readings["squeezed"][:, columns].max(1))

    def _arrays(self) -> Arrays:
        return {"natural": self.natural_}

    def _restore(self, arrays: Arrays) -> None:
        self.natural_ = arrays["natural"]
