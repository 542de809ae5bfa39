"""From a score to a verdict: p-values and thresholds against held-out natural images (split conformal)."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy import special

from telltale.base.errors import InputError
from telltale.scores.verdicts import FusedKind, FusedVerdict, Verdict

LEVEL = 0.95


def rate_interval(calibration_images: int, alpha: float) -> tuple[float, float]:
    """Return where the true false-positive rate of a threshold lies for 95 % of all draws of calibration images.

    With n of them, continuous scores and l = floor(alpha (n + 1)), the rate is distributed as Beta(l, n + 1 - l)
    (Vovk 2012, Conditional validity of inductive conformal predictors); its mean is at most `alpha`.

    Parameters
    ----------
    calibration_images : int
    alpha : float
        The stated rate, in (0, 1).

    Returns
    -------
    low, high : float
        Both 0 where so few images support no threshold at all.

    Raises
    ------
    InputError
        If alpha is not in (0, 1).
    """
    check_alpha(alpha)
    count = 1 + _allowed(calibration_images, alpha)
    if count == 0:
        return 0.0, 0.0
    tail = (1.0 - LEVEL) / 2.0
    low, high = special.betaincinv(count, calibration_images + 1 - count, [tail, 1.0 - tail])
    return float(low), float(high)


@dataclass(frozen=True)
class Calibration:
    """Scores of natural images that neither the classifier nor the detector learned from.

    Attributes
    ----------
    scores : array of float64, shape (n,)
        In ascending order; higher = more likely adversarial.

    Raises
    ------
    InputError
        If there are none, they are not finite, or not in order.
    """

    scores: npt.NDArray[np.float64]

    def __post_init__(self) -> None:
        if self.scores.ndim != 1 or self.scores.size == 0 or not np.isfinite(self.scores).all():
            raise InputError("Calibration needs a non-empty list of finite scores of natural images.")
        if (np.diff(self.scores) < 0).any():
            raise InputError("Calibration scores must be in ascending order; use Calibration.of to sort them.")

    @classmethod
    def of(cls, scores: npt.ArrayLike) -> Calibration:
        """Calibrate on the scores of natural images, in any order.

        Parameters
        ----------
        scores : array_like of float, shape (n,)

        Raises
        ------
        InputError
            If there are none or one is not finite.
        """
        return cls(np.sort(np.asarray(scores, dtype=np.float64), axis=None))

    def __len__(self) -> int:
        return len(self.scores)

    @property
    def common_score(self) -> float | None:
        """The score of all images, where several have one and the same."""
        return float(self.scores[0]) if len(self) > 1 and self.scores[0] == self.scores[-1] else None

    def p_value(self, score: float) -> float:
        """Return (1 + #{calibration >= score}) / (n + 1).

        For a natural image exchangeable with the calibration images, P(p <= alpha) <= alpha at every alpha.

        Parameters
        ----------
        score : float

        Raises
        ------
        InputError
            If the score is not finite.
        """
        if not math.isfinite(score):
            raise InputError(f"A score must be finite to be calibrated; got {score}.")
        at_least = len(self) - int(np.searchsorted(self.scores, score, side="left"))
        return (1 + at_least) / (len(self) + 1)

    def threshold(self, alpha: float) -> float:
        """Return the smallest score called adversarial at a false-positive rate of `alpha`.

        ``score >= threshold(alpha)`` exactly where ``p_value(score) <= alpha``, ties included. The scores so called
        are those above one of the calibration scores, so the smallest is the next float after it. Infinity where
        ``alpha < 1 / (n + 1)``: so few calibration images cannot support so small a rate.

        Parameters
        ----------
        alpha : float
            In (0, 1).

        Raises
        ------
        InputError
            If alpha is outside (0, 1).
        """
        check_alpha(alpha)
        allowed = _allowed(len(self), alpha)
        if allowed < 0:
            return math.inf
        return float(np.nextafter(self.scores[len(self) - 1 - allowed], np.inf))

    def verdict(self, detector: str, score: float, alpha: float) -> Verdict:
        """Judge one score at a false-positive rate; without an answer where so few images support no such rate.

        Parameters
        ----------
        detector : str
        score : float
        alpha : float
            In (0, 1).

        Raises
        ------
        InputError
            If alpha is outside (0, 1) or the score is not finite.
        """
        check_alpha(alpha)
        p_value, threshold = self.p_value(score), self.threshold(alpha)
        return Verdict(
            detector=detector,
            score=float(score),
            p_value=p_value,
            threshold=threshold,
            adversarial=p_value <= alpha if math.isfinite(threshold) else None,
            alpha=alpha,
            n_calibration=len(self),
            common_score=self.common_score,
        )


def fewest_images(alpha: float) -> int:
    """Return how many calibration images a verdict at a false-positive rate takes: 19 at 5 %, 99 at 1 %.

    Raises
    ------
    InputError
        If alpha is outside (0, 1).
    """
    guess = max(1, math.ceil(1.0 / check_alpha(alpha)) - 2)  # rounding may set it off by one
    return next(n for n in range(guess, guess + 4) if _allowed(n, alpha) >= 0)


def uncalibrated_verdict(detector: str, score: float, alpha: float) -> Verdict:
    """Return the verdict of a detector without calibration: a score and no answer."""
    return Verdict(detector, float(score), None, None, None, check_alpha(alpha), 0)


def fused_kind(attack: Verdict, error: Verdict | None) -> FusedKind:
    """Name what an image probably is.

    Both verdicts are on log odds against a correctly classified natural image. Where both raise an alarm the larger
    odds decide, so that an ordinary misclassification is not called an attack.
    """
    if attack.adversarial is None:
        return "uncalibrated"
    wrong = error is not None and bool(error.adversarial)
    if attack.adversarial and not (wrong and error is not None and error.score > attack.score):
        return "adversarial"
    return "error" if wrong else "natural"


def fused_kind_at(fused: FusedVerdict, alpha: float) -> FusedKind:
    """Name what an image probably is at another false-positive rate, from the p-values alone.

    Raises
    ------
    InputError
        If alpha is outside (0, 1).
    """
    return fused_kind(_at(fused.attack, alpha), None if fused.error is None else _at(fused.error, alpha))


def _at(verdict: Verdict, alpha: float) -> Verdict:
    """Return a verdict at another rate; its threshold, which the p-value does not tell, is left as it was."""
    if verdict.p_value is None:
        return verdict
    supported = verdict.n_calibration >= fewest_images(alpha)
    return replace(verdict, alpha=alpha, adversarial=verdict.p_value <= alpha if supported else None)


def check_alpha(alpha: float) -> float:
    """Return a false-positive rate inside (0, 1).

    Raises
    ------
    InputError
        If it is not.
    """
    if not 0.0 < alpha < 1.0:
        raise InputError(f"The false-positive rate alpha must lie between 0 and 1, both excluded; got {alpha}.")
    return float(alpha)


def _allowed(calibration_images: int, alpha: float) -> int:
    """How many calibration scores may reach an adversarial one; -1 where not even none suffices.

    Decided by the very comparison that a verdict makes, so that rounding cannot set the two apart.
    """
    guess = min(calibration_images - 1, math.floor(alpha * (calibration_images + 1)))
    return next((k for k in range(guess, -1, -1) if (1 + k) / (calibration_images + 1) <= alpha), -1)
