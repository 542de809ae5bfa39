"""All fitted detectors of a bundle with the fusion of their scores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from telltale.detectors.base import Detector
from telltale.detectors.fusion import FUSED, FusedScores, Fusion
from telltale.evidence.evidence import Evidence
from telltale.evidence.margins import logit_margins
from telltale.models.trace import Trace


@dataclass(frozen=True)
class FittedDetectors:
    """Detectors in the order of the stored scores, and what combines them.

    Attributes
    ----------
    detectors : dict of str to Detector
    fusion : Fusion or None
        None for a bundle that was built without one.
    """

    detectors: dict[str, Detector]
    fusion: Fusion | None

    @property
    def names(self) -> tuple[str, ...]:
        """Names under which `score_all` returns scores."""
        return (*self.detectors, *(() if self.fusion is None else (FUSED,)))

    def score(self, evidence: Evidence) -> dict[str, npt.NDArray[np.float64]]:
        """Score n images with every detector: arrays of shape (n,), higher = more likely adversarial."""
        return {name: detector.score(evidence) for name, detector in self.detectors.items()}

    def fuse(self, scores: Mapping[str, npt.NDArray[np.float64]], trace: Trace) -> FusedScores | None:
        """Combine the detectors' scores of n images with the trace of the same; None where there is no fusion."""
        if self.fusion is None:
            return None
        return self.fusion.combine(scores, logit_margins(trace.logits, trace.predictions))

    def score_all(self, evidence: Evidence) -> dict[str, npt.NDArray[np.float64]]:
        """Score n images with every detector and, where there is a fusion, under its name with all of them."""
        scores = self.score(evidence)
        fused = self.fuse(scores, evidence.trace)
        return scores if fused is None else scores | {FUSED: fused.attack}
