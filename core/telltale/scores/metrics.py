"""How well a score tells adversarial from natural images. Higher scores mean more likely adversarial throughout."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

from telltale.base.errors import InputError
from telltale.scores.resampling import CELLS, N_BOOTSTRAP, Resampled, draw_apart, draw_together, interval, resample

DoubleArray = npt.NDArray[np.float64]
Groups = tuple[npt.NDArray[np.generic], npt.NDArray[np.generic]]

FALSE_POSITIVE_RATES = (0.01, 0.05, 0.10)


@dataclass(frozen=True)
class RocCurve:
    """Empirical ROC curve, one point per distinct score.

    Attributes
    ----------
    fpr, tpr : array of float64, shape (m + 1,)
        Share of natural and of adversarial images with score >= threshold; from (0, 0) to (1, 1).
    thresholds : array of float64, shape (m + 1,)
        The m distinct scores in descending order, after a leading infinity.
    """

    fpr: DoubleArray
    tpr: DoubleArray
    thresholds: DoubleArray


@dataclass(frozen=True)
class DetectorMetrics:
    """One detector against one attack.

    Attributes
    ----------
    detector, attack : str
    auc, auc_low, auc_high : float
        Area under the ROC curve with its 95 % bootstrap interval.
    eer_accuracy : float
        1 - equal error rate, see `eer_accuracy`.
    tpr_at_fpr : mapping of float to float
        For the false-positive rates 0.01, 0.05 and 0.1, see `tpr_at_fpr`.
    n_natural, n_adversarial : int
    tpr_intervals : mapping of float to (float, float)
        95 % bootstrap interval of each, the threshold read off every resample's own natural images.
    """

    detector: str
    attack: str
    auc: float
    auc_low: float
    auc_high: float
    eer_accuracy: float
    tpr_at_fpr: Mapping[float, float]
    n_natural: int
    n_adversarial: int
    tpr_intervals: Mapping[float, tuple[float, float]]

    def to_json(self) -> dict[str, object]:
        """Return the stable JSON object of one row of ``telltale evaluate --json``."""
        return {
            "detector": self.detector,
            "attack": self.attack,
            "auc": self.auc,
            "auc_low": self.auc_low,
            "auc_high": self.auc_high,
            "eer_accuracy": self.eer_accuracy,
            "tpr_at_fpr": {f"{rate:g}": value for rate, value in self.tpr_at_fpr.items()},
            "n_natural": self.n_natural,
            "n_adversarial": self.n_adversarial,
            "tpr_intervals": {f"{rate:g}": list(ends) for rate, ends in self.tpr_intervals.items()},
        }


def roc_curve(natural: npt.ArrayLike, adversarial: npt.ArrayLike) -> RocCurve:
    """Trace the ROC curve of two sets of scores.

    Parameters
    ----------
    natural, adversarial : array_like of float, shapes (n,) and (m,)

    Raises
    ------
    InputError
        If either is empty or holds a value that is not finite.
    """
    return _roc(*_validate(natural, adversarial))


def auc(natural: npt.ArrayLike, adversarial: npt.ArrayLike) -> float:
    """Probability that a random adversarial image scores above a random natural one; ties count one half.

    The Mann-Whitney statistic, equal to the trapezoidal area under `roc_curve`; O((n + m) log (n + m)).

    Parameters
    ----------
    natural, adversarial : array_like of float, shapes (n,) and (m,)

    Raises
    ------
    InputError
        If either is empty or holds a value that is not finite.
    """
    return _auc(*_validate(natural, adversarial))


def auc_interval(
    natural: npt.ArrayLike,
    adversarial: npt.ArrayLike,
    *,
    seed: int = 0,
    n_resamples: int = N_BOOTSTRAP,
    natural_groups: npt.ArrayLike | None = None,
    adversarial_groups: npt.ArrayLike | None = None,
) -> tuple[float, float]:
    """95 % percentile bootstrap interval of the AUC.

    Parameters
    ----------
    natural, adversarial : array_like of float, shapes (n,) and (m,)
    seed : int
    n_resamples : int
    natural_groups, adversarial_groups : array_like of int, shapes (n,) and (m,), optional
        Image ids, both or neither. Without them each set is resampled on its own, keeping its size. With them whole
        images are drawn, and a natural image comes along with all its adversarial versions: the two sets are not
        independent where one was made from the other.

    Raises
    ------
    InputError
        If a set is empty, holds a value that is not finite, groups and scores differ in length, or no resample held
        images of both kinds.
    """
    scores = _validate(natural, adversarial)
    groups = _groups(scores, natural_groups, adversarial_groups)
    return interval(_resampled(*scores, groups, seed, n_resamples).auc)


def eer_accuracy(natural: npt.ArrayLike, adversarial: npt.ArrayLike) -> float:
    """Accuracy at the equal error rate: 1 - FPR at the point of the ROC curve where FPR = 1 - TPR.

    The curve is interpolated linearly between distinct scores, so tied scores share one sloped segment and the answer
    does not depend on how ties are ordered.

    Parameters
    ----------
    natural, adversarial : array_like of float, shapes (n,) and (m,)

    Raises
    ------
    InputError
        If either is empty or holds a value that is not finite.
    """
    curve = _roc(*_validate(natural, adversarial))
    # Rises strictly from -1 to 1 along the curve, and is linear on each segment: its zero is the EER point.
    excess = curve.fpr + curve.tpr - 1.0
    return 1.0 - float(np.interp(0.0, excess, curve.fpr))


def tpr_at_fpr(natural: npt.ArrayLike, adversarial: npt.ArrayLike, rate: float) -> float:
    """Largest true-positive rate that a threshold reaches with a false-positive rate of at most `rate`.

    Read off the empirical curve without interpolation: a threshold that achieves it exists.

    Parameters
    ----------
    natural, adversarial : array_like of float, shapes (n,) and (m,)
    rate : float
        In [0, 1].

    Raises
    ------
    InputError
        If a set is empty or holds a value that is not finite, or the rate is outside [0, 1].
    """
    if not 0.0 <= rate <= 1.0:
        raise InputError(f"A false-positive rate lies in [0, 1]; got {rate}.")
    curve = _roc(*_validate(natural, adversarial))
    # A share k / n and a decimal such as 0.05 are each the nearest float to their value: equal ones compare equal.
    return float(curve.tpr[curve.fpr <= rate].max())


def macro_auc(aucs: Mapping[str, float]) -> float:
    """Unweighted mean of the AUCs per attack.

    Raises
    ------
    InputError
        If there is none, or one is not finite.
    """
    values = np.array(list(aucs.values()), dtype=np.float64)
    if values.size == 0 or not np.isfinite(values).all():
        raise InputError("The macro AUC needs a finite AUC for at least one attack.")
    return float(values.mean())


def binomial_interval(successes: int, trials: int, confidence: float = 0.95) -> tuple[float, float]:
    """Clopper-Pearson interval of a rate: covers the true one with at least the stated confidence.

    Parameters
    ----------
    successes, trials : int
    confidence : float
        In (0, 1).

    Raises
    ------
    InputError
        Unless 0 <= successes <= trials, trials >= 1 and the confidence is inside (0, 1).
    """
    if not (0 <= successes <= trials and trials >= 1):
        raise InputError(f"A rate needs 0 <= successes <= trials and a trial; got {successes} of {trials}.")
    if not 0.0 < confidence < 1.0:
        raise InputError(f"A confidence lies inside (0, 1); got {confidence}.")
    tail = (1.0 - confidence) / 2.0
    low = stats.beta.ppf(tail, successes, trials - successes + 1) if successes > 0 else 0.0
    high = stats.beta.ppf(1.0 - tail, successes + 1, trials - successes) if successes < trials else 1.0
    return float(low), float(high)


def evaluate_detector(
    detector: str,
    attack: str,
    natural: npt.ArrayLike,
    adversarial: npt.ArrayLike,
    *,
    seed: int = 0,
    natural_groups: npt.ArrayLike | None = None,
    adversarial_groups: npt.ArrayLike | None = None,
) -> DetectorMetrics:
    """Compute every published figure of one detector against one attack.

    Parameters
    ----------
    detector, attack : str
    natural, adversarial : array_like of float, shapes (n,) and (m,)
        Scores; higher = more likely adversarial.
    seed : int
        Seeds the bootstrap.
    natural_groups, adversarial_groups : array_like of int, optional
        Image ids, see `auc_interval`.

    Raises
    ------
    InputError
        If a set is empty, holds a value that is not finite, or groups and scores differ in length.
    """
    clean, attacked = _validate(natural, adversarial)
    groups = _groups((clean, attacked), natural_groups, adversarial_groups)
    return measure(detector, attack, clean, attacked, _resampled(clean, attacked, groups, seed, N_BOOTSTRAP))


def measure(
    detector: str, attack: str, natural: npt.ArrayLike, adversarial: npt.ArrayLike, resampled: Resampled
) -> DetectorMetrics:
    """Compute every published figure of one detector against one attack, its resamples given.

    Parameters
    ----------
    detector, attack : str
    natural, adversarial : array_like of float, shapes (n,) and (m,)
    resampled : Resampled
        With the rates of `FALSE_POSITIVE_RATES`.

    Raises
    ------
    InputError
        If a set is empty, holds a value that is not finite, or no resample held images of both kinds.
    """
    clean, attacked = _validate(natural, adversarial)
    low, high = interval(resampled.auc)
    return DetectorMetrics(
        detector=detector,
        attack=attack,
        auc=_auc(clean, attacked),
        auc_low=low,
        auc_high=high,
        eer_accuracy=eer_accuracy(clean, attacked),
        tpr_at_fpr={rate: tpr_at_fpr(clean, attacked, rate) for rate in FALSE_POSITIVE_RATES},
        n_natural=len(clean),
        n_adversarial=len(attacked),
        tpr_intervals={rate: interval(resampled.tpr[rate]) for rate in FALSE_POSITIVE_RATES},
    )


def resample_apart(natural: npt.ArrayLike, adversarial: npt.ArrayLike, seed: int, n_resamples: int) -> Resampled:
    """Resample two sets of scores of different images, each on its own.

    Parameters
    ----------
    natural, adversarial : array_like of float, shapes (n,) and (m,)
    seed, n_resamples : int

    Raises
    ------
    InputError
        If either is empty or holds a value that is not finite.
    """
    return _resampled(*_validate(natural, adversarial), None, seed, n_resamples)


def _validate(natural: npt.ArrayLike, adversarial: npt.ArrayLike) -> tuple[DoubleArray, DoubleArray]:
    return _validate_scores(natural, "natural"), _validate_scores(adversarial, "adversarial")


def _validate_scores(scores: npt.ArrayLike, kind: str) -> DoubleArray:
    try:
        values = np.asarray(scores, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"The {kind} scores must be numbers.") from error
    if values.ndim != 1 or values.size == 0:
        raise InputError(f"The {kind} scores must be a non-empty list; got shape {values.shape}.")
    if not np.isfinite(values).all():
        raise InputError(f"{(~np.isfinite(values)).sum()} of the {len(values)} {kind} scores are not finite.")
    return values


def _roc(natural: DoubleArray, adversarial: DoubleArray) -> RocCurve:
    thresholds = np.unique(np.concatenate([natural, adversarial]))[::-1]
    return RocCurve(
        fpr=np.concatenate([[0.0], _share_at_least(natural, thresholds)]),
        tpr=np.concatenate([[0.0], _share_at_least(adversarial, thresholds)]),
        thresholds=np.concatenate([[np.inf], thresholds]),
    )


def _share_at_least(scores: DoubleArray, thresholds: DoubleArray) -> DoubleArray:
    below = np.searchsorted(np.sort(scores), thresholds, side="left")
    return np.asarray((len(scores) - below) / len(scores), dtype=np.float64)


def _auc(natural: DoubleArray, adversarial: DoubleArray) -> float:
    ranks = stats.rankdata(np.concatenate([natural, adversarial]))
    m = len(adversarial)
    return float((ranks[len(natural) :].sum() - m * (m + 1) / 2) / (m * len(natural)))


def _groups(
    scores: tuple[DoubleArray, DoubleArray], natural: npt.ArrayLike | None, adversarial: npt.ArrayLike | None
) -> Groups | None:
    """Return the image ids of both sets, or None where there are none."""
    if (natural is None) != (adversarial is None):
        raise InputError("Give image ids for both the natural and the adversarial scores, or for neither.")
    if natural is None or adversarial is None:
        return None
    groups = (np.asarray(natural), np.asarray(adversarial))
    if any(ids.shape != values.shape for ids, values in zip(groups, scores, strict=True)):
        raise InputError("Every score needs exactly one image id.")
    return groups


def _resampled(
    natural: DoubleArray, adversarial: DoubleArray, groups: Groups | None, seed: int, n_resamples: int
) -> Resampled:
    if n_resamples < 1:
        raise InputError(f"A bootstrap needs at least one resample; got {n_resamples}.")
    if groups is None:
        # Tied scores share a cell, as they did when the first intervals were published: the same seed gives them again.
        distinct = len(np.unique(np.concatenate([natural, adversarial])))
        draw = draw_apart(len(natural), len(adversarial), seed, n_resamples, max(1, CELLS // distinct))
    else:
        draw = draw_together(groups[0], groups[1:], seed, n_resamples)
    return resample(natural, [adversarial], draw, FALSE_POSITIVE_RATES)[0]
