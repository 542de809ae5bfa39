"""Calibrated answers: one detector's, and the fused one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

FusedKind = Literal["natural", "error", "adversarial", "uncalibrated"]


@dataclass(frozen=True)
class Verdict:
    """One detector's calibrated answer.

    Attributes
    ----------
    detector : str
        Registry name.
    score : float
        Higher = more likely adversarial.
    p_value : float or None
        (1 + #{calibration >= score}) / (n + 1) over natural calibration images; None where not calibrated.
    threshold : float or None
        Smallest score called adversarial at false-positive rate `alpha`; None where not calibrated, infinite where
        too few images are behind it for that rate.
    adversarial : bool or None
        ``p_value <= alpha``; None where not calibrated, or by too few images for that rate.
    alpha : float
    n_calibration : int
    common_score : float or None
        The score of all natural images behind it, where it is one and the same, so that it tells none of them apart.
    """

    detector: str
    score: float
    p_value: float | None
    threshold: float | None
    adversarial: bool | None
    alpha: float
    n_calibration: int
    common_score: float | None = None

    def to_json(self) -> dict[str, object]:
        """Return the part of ``telltale analyse --json`` about one detector."""
        alike = {} if self.common_score is None else {"common_score": self.common_score}
        return {
            "detector": self.detector,
            "score": self.score,
            "p_value": self.p_value,
            "threshold": self.threshold,
            "adversarial": self.adversarial,
            **alike,
        }


@dataclass(frozen=True)
class FusedVerdict:
    """One answer from all detectors.

    Attributes
    ----------
    kind : {"natural", "error", "adversarial", "uncalibrated"}
        ``"error"`` means probably misclassified, but not attacked.
    attack : Verdict
        Of the fused score, higher = more likely adversarial.
    error : Verdict or None
        Of the score of natural errors, higher = more likely misclassified; None where it was not fitted.
    contributions : mapping of str to float
        What each detector adds to the fused score, which is a log odds, beside an average natural image.
    """

    kind: FusedKind
    attack: Verdict
    error: Verdict | None
    contributions: Mapping[str, float]

    def to_json(self) -> dict[str, object]:
        """Return the part of ``telltale analyse --json`` about the fused verdict."""
        error = None if self.error is None else {"score": self.error.score, "p_value": self.error.p_value}
        return {
            "kind": self.kind,
            **self.attack.to_json(),
            "n_calibration": self.attack.n_calibration,
            "error": error,
            "contributions": dict(self.contributions),
        }
