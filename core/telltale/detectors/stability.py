"""Detection by how much of the predicted class's lead is lost when the image moves by one pixel."""

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
from telltale.evidence.margins import logit_margins
from telltale.evidence.stability import MIRROR, margin_drops

FEWEST = 10  # natural images that say whether a class survives mirroring


@dataclass(frozen=True)
class StabilitySettings(Settings):
    """Settings of the detector."""

    tails: str = which_tails()
    keep: float = parameter(
        0.9,
        low=0.0,
        high=1.0,
        help="Share of a class's natural images that keep their class when mirrored, for mirroring to count.",
        step=0.05,
    )


class StabilityDetector(Detector):
    """s(x) = m(x) - mean over t of m(t(x)), m the margin of the class predicted for x in logits, t small movements.

    Tian, Yang & Cai (2018) see that attacked images react to rotations and shifts more than natural ones. Here t are
    shifts by one pixel in four directions, the edge repeated, and mirroring; nothing refers to training images, and
    nothing is fitted but which tails count and of which classes mirroring is a fair question: a mirrored 3 is no
    longer a 3, attacked or not. So mirroring counts for the classes of which at least `keep` of the natural images
    keep their class when mirrored; a class with fewer than `FEWEST` of them goes by all classes together.
    """

    name = "stability"
    title = "Stability"
    paper = "Tian, Yang & Cai (2018), Detecting Adversarial Examples through Image Transformation"
    summary = "Asks whether the answer survives a shift by one pixel, and a mirror."
    reads = ("stability",)
    page = ("feature_responses", "Stability")
    settings = StabilitySettings()
    needs_attacks = False

    @classmethod
    def alone(cls, classes: int) -> Detector:
        """Return one whose score is the drop itself, over shifts: nothing says which classes survive mirroring."""
        return cls(tails=UPPER).restore({"natural": np.empty(0), "surviving": np.full(classes, -np.inf)})

    @classmethod
    def candidates(cls, evidence: Evidence) -> list[Mapping[str, ParameterValue]]:
        """One tail and both."""
        del evidence
        return [{"tails": tails} for tails in TAILS]

    def mirrored(self, classes: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Return whether mirroring counts for images predicted as `classes`, shape (n,)."""
        return np.asarray(self.surviving_[classes] >= self.settings.keep)

    def _fit(self, evidence: Evidence, labels: Labels) -> None:
        natural = np.flatnonzero(~labels.adversarial)
        self.surviving_ = _surviving_mirrors(evidence.take(natural))
        self.natural_ = np.sort(self._drops(evidence)[natural])

    def _score(self, evidence: Evidence) -> npt.NDArray[np.float64]:
        drops = self._drops(evidence)
        return drops if self.settings.tails == UPPER else outwardness(self.natural_, drops)

    def _drops(self, evidence: Evidence) -> npt.NDArray[np.float64]:
        margins = logit_margins(evidence.trace.logits, evidence.predictions)
        return margin_drops(margins, evidence.readings["transformed_margins"], self.mirrored(evidence.predictions))

    def _arrays(self) -> Arrays:
        return {"natural": self.natural_, "surviving": self.surviving_}

    def _restore(self, arrays: Arrays) -> None:
        self.natural_, self.surviving_ = arrays["natural"], arrays["surviving"]


def _surviving_mirrors(natural: Evidence) -> npt.NDArray[np.float64]:
    """Share of the images predicted as each class that are so when mirrored too, shape (C,)."""
    survives = natural.readings["transformed_margins"][:, MIRROR] > 0.0
    counts = np.bincount(natural.predictions, minlength=natural.reference.classes)
    surviving = np.bincount(natural.predictions, survives, minlength=natural.reference.classes)
    return np.where(counts >= FEWEST, surviving / np.maximum(counts, 1), survives.mean())
