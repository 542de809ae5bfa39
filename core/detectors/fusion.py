"""One verdict from all detectors: their calibrated p-values, combined."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from scipy.stats import norm
from sklearn.linear_model import LogisticRegression

from core.detectors.base import Arrays, Labels, macro_auc
from core.errors import InputError

FUSED = "fused"
ERROR_SCORE = "error_score"  # log odds of a misclassified against a correctly classified natural image
ATTACK, ERROR = "attack", "error"
PENALTIES = (0.01, 0.1, 1.0, 10.0)  # inverse strengths C that cross-validation compares
FEWEST_ERRORS = 10
Floats = npt.NDArray[np.float64]
Scores = Mapping[str, Floats]


def normal_score(natural: Floats, values: Floats) -> Floats:
    """Turn scores into standard normal deviates by their p-value among natural images.

    Parameters
    ----------
    natural : array of float64, shape (m,)
        Scores of natural images, ascending.
    values : array of float64, shape (n,)

    Returns
    -------
    array of float64, shape (n,)
        The deviate that a normal variable exceeds with the score's mid-p-value, (#{natural > s} + #{natural = s} / 2
        + 1/2) / (m + 1). Beyond all natural scores, where p-values are equal, the logarithm of how many standard
        deviations farther is added, so that order is kept.
    """
    below, up_to = np.searchsorted(natural, values, "left"), np.searchsorted(natural, values, "right")
    deviates = norm.isf((len(natural) - 0.5 * (below + up_to) + 0.5) / (len(natural) + 1))
    spread = float(natural.std()) or 1.0
    beyond = np.maximum(values - natural[-1], 0.0) - np.maximum(natural[0] - values, 0.0)
    return np.asarray(deviates + np.sign(beyond) * np.log1p(np.abs(beyond) / spread))


@dataclass(frozen=True)
class FusedScores:
    """What the fusion says of n images.

    Attributes
    ----------
    attack : array of float64, shape (n,)
        Log odds of an attacked against a correctly classified natural image, both equally frequent.
    error : array of float64, shape (n,), or None
        The same for a misclassified natural image; None where there were too few of them to learn from.
    contributions : array of float64, shape (n, members)
        What each detector adds to `attack`; together with a constant they sum to it.
    """

    attack: Floats
    error: Floats | None
    contributions: Floats


@dataclass(frozen=True)
class Fusion:
    """Logistic regression on the detectors' p-values, as normal deviates and their squares.

    Fitted on held-out scores of the fit split alone: every image is scored by detectors that were fitted without it.
    The p-values refer to that split's natural images, so the calibration split stays untouched, and a threshold taken
    from it keeps the split-conformal guarantee.

    Attributes
    ----------
    members : tuple of str
        Detectors in the order of everything below.
    natural : tuple of arrays of float64
        Their held-out scores of natural images, ascending.
    weights : dict of {"attack", "error"} to array of float64, shape (2 members + 1,)
        Of the deviates, of their squares, and the constant; "error" may be missing.
    """

    name: ClassVar[str] = FUSED
    title: ClassVar[str] = "Fused verdict"
    paper: ClassVar[str] = "Vovk, Gammerman & Shafer (2005), Algorithmic Learning in a Random World (its threshold)"
    summary: ClassVar[str] = "Weighs the p-values of all detectors into one answer."

    members: tuple[str, ...]
    natural: tuple[Floats, ...]
    weights: dict[str, Floats]

    @classmethod
    def fit(cls, scores: Scores, labels: Labels, errors: Scores, macro_attacks: Sequence[str]) -> tuple[Fusion, str]:
        """Fit the combination, its penalty chosen by image-grouped cross-validation.

        Parameters
        ----------
        scores : mapping of str to array of float64, shape (n,)
            Held-out scores of natural and attacked images by detector.
        labels : Labels of the n images
        errors : mapping of str to array of float64, shape (m,)
            Scores of misclassified natural images.
        macro_attacks : sequence of str
            Attacks over whose held-out macro-AUC the penalty is chosen.

        Returns
        -------
        Fusion
        str
            How the penalty was chosen, in words.

        Raises
        ------
        InputError
            If there are no detectors, or natural or adversarial images are missing.
        """
        if not scores or labels.adversarial.all() or not labels.adversarial.any():
            raise InputError("A fused verdict needs detectors, natural images and adversarial images.")
        members = tuple(scores)
        natural = tuple(np.sort(scores[name][~labels.adversarial]) for name in members)
        bare = cls(members, natural, {})
        features = bare.features(scores)
        qualities = [_held_out_quality(features, labels, c, macro_attacks) for c in PENALTIES]
        best = int(np.argmax(qualities))
        weights = {ATTACK: _fit(features, labels.adversarial, labels.balanced_weights(), PENALTIES[best])}
        wrong = bare.features(errors)
        if len(wrong) >= FEWEST_ERRORS:
            usual = features[~labels.adversarial]
            target = np.repeat([False, True], [len(usual), len(wrong)])
            balance = np.where(target, 0.5 / len(wrong), 0.5 / len(usual)) * len(target)
            weights[ERROR] = _fit(np.vstack([usual, wrong]), target, balance, PENALTIES[best])
        how = f"C = {PENALTIES[best]:g}, best of {len(PENALTIES)}: macro-AUC {qualities[best]:.4f} on held-out folds"
        return cls(members, natural, weights), f"{how} of the fit split"

    def features(self, scores: Scores) -> Floats:
        """Return deviates, their squares and a one, shape (n, 2 members + 1)."""
        pairs = zip(self.members, self.natural, strict=True)
        deviates = np.stack([normal_score(natural, scores[name]) for name, natural in pairs], axis=1)
        return np.hstack([deviates, np.square(deviates) - 1.0, np.ones((len(deviates), 1))])

    def combine(self, scores: Scores) -> FusedScores:
        """Combine the scores of n images by all members.

        Raises
        ------
        InputError
            If a member's scores are missing.
        """
        missing = [name for name in self.members if name not in scores]
        if missing:
            raise InputError(f"The fused verdict also needs the scores of {', '.join(missing)}.")
        features = self.features(scores)
        # einsum adds every image's terms in the same order, however many images there are.
        terms = features * self.weights[ATTACK]
        count = len(self.members)
        error = np.einsum("nf,f->n", features, self.weights[ERROR]) if ERROR in self.weights else None
        return FusedScores(np.einsum("nf->n", terms), error, terms[:, :count] + terms[:, count : 2 * count])

    def arrays(self) -> Arrays:
        """Return everything fitted, as arrays that `restore` takes back."""
        natural = {f"natural.{name}": values for name, values in zip(self.members, self.natural, strict=True)}
        return natural | {f"weights.{name}": values for name, values in self.weights.items()}

    @classmethod
    def restore(cls, members: Sequence[str], arrays: Arrays) -> Fusion:
        """Rebuild from the members' names in order and from `arrays`."""
        weights = {name: arrays[f"weights.{name}"] for name in (ATTACK, ERROR) if f"weights.{name}" in arrays}
        return cls(tuple(members), tuple(arrays[f"natural.{name}"] for name in members), weights)


def _fit(features: Floats, positive: npt.NDArray[np.bool_], weights: Floats, c: float) -> Floats:
    """Return the weights of a logistic regression whose constant, the last feature, carries no penalty."""
    model = LogisticRegression(C=c, l1_ratio=0.0, solver="lbfgs", tol=1e-8, max_iter=5000, fit_intercept=True)
    model.fit(features[:, :-1], positive, sample_weight=weights)
    return np.append(model.coef_[0], model.intercept_[0])


def _held_out_quality(features: Floats, labels: Labels, c: float, macro_attacks: Sequence[str]) -> float:
    watched = np.isin(labels.attacks, ["", *macro_attacks])
    found = []
    for fit, held_out in labels.folds():
        weights = _fit(features[fit], labels.adversarial[fit], labels.take(fit).balanced_weights(), c)
        rows = held_out[watched[held_out]]
        found.append(macro_auc(features[rows] @ weights, labels.take(rows)))
    return float(np.mean(found))
