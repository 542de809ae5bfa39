"""One verdict from all detectors: their calibrated p-values, combined."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.special import expit
from scipy.stats import norm
from sklearn.linear_model import LogisticRegression

from telltale.base.errors import InputError
from telltale.detectors.base import Arrays, Labels, macro_auc

FUSED = "fused"
ERROR_SCORE = "error_score"  # log odds of a misclassified against a correctly classified natural image
ATTACK, ERROR = "attack", "error"
# Variances C that the weights may have around their mean, the smallest being all but none.
SPREADS = (1e-6, 1e-4, 1e-3, 1e-2, 1e-1, 1.0)
NATURAL_SURPRISE = 1.0  # nats: the mean of -log p where p is uniform, as natural images' p-values are
SPREAD_OF_ONE = 1e-3  # where only one attack is known; what thirteen attacks on CIFAR-10 chose
ERROR_PENALTY = 0.01  # inverse strength of the L2 penalty on what tells natural errors
FEWEST_ERRORS = 10
Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]
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
        What each detector adds to `attack`, more or less than for an average natural image; together with a constant
        they sum to it.
    """

    attack: Floats
    error: Floats | None
    contributions: Floats


@dataclass(frozen=True)
class Fusion:
    """Weighted sum of the detectors' surprises -log p, Fisher's combination with learned weights.

    Fisher's (1925) weighs all alike, which is the best that can be said of attacks that nobody has seen; logistic
    regression finds the weights that suit the known ones, which may be far from those that suit the next. So weights
    are not negative, and they are drawn to their own mean as strongly as leaving out one attack at a time shows to be
    good for the attack left out; a single known attack cannot show it, and `SPREAD_OF_ONE` keeps them close.

    Misclassified natural images are a kind that is known: logistic regression on deviates and their squares tells
    them from those that are read correctly.

    Fitted on held-out scores of the fit split alone: every image is scored by detectors that were fitted without it.
    The p-values refer to that split's natural images, so the calibration split stays untouched, and a threshold taken
    from it keeps the split-conformal guarantee.

    Attributes
    ----------
    members : tuple of str
        Detectors in the order of everything below.
    natural : tuple of arrays of float64
        Their held-out scores of natural images, ascending.
    weights : dict of {"attack", "error"} to array of float64
        "attack": of the surprises, and the constant, shape (members + 1,). "error", which may be missing: of the
        deviates, of their squares, and the constant, shape (2 members + 1,).
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
        """Fit the combination; how far weights may differ is chosen by leaving out one attack at a time.

        Parameters
        ----------
        scores : mapping of str to array of float64, shape (n,)
            Held-out scores of natural and attacked images by detector.
        labels : Labels of the n images
        errors : mapping of str to array of float64, shape (m,)
            Scores of misclassified natural images.
        macro_attacks : sequence of str
            Attacks that are left out in turn.

        Returns
        -------
        Fusion
        str
            How far the weights may differ, and how that was chosen.

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
        surprises = bare.surprises(scores)
        spread, how = _choose_spread(surprises, labels, macro_attacks)
        weights = {ATTACK: _fit_weights(surprises, labels, spread)}
        if len(next(iter(errors.values()))) >= FEWEST_ERRORS:
            usual = {name: values[~labels.adversarial] for name, values in scores.items()}
            weights[ERROR] = _fit_errors(bare.shapes(usual), bare.shapes(errors))
        return cls(members, natural, weights), how

    def surprises(self, scores: Scores) -> Floats:
        """Return -log p of every member in nats, shape (n, members)."""
        return np.asarray(-norm.logsf(self._deviates(scores)))

    def shapes(self, scores: Scores) -> Floats:
        """Return deviates and their squares, shape (n, 2 members)."""
        deviates = self._deviates(scores)
        return np.hstack([deviates, np.square(deviates) - 1.0])

    def _deviates(self, scores: Scores) -> Floats:
        pairs = zip(self.members, self.natural, strict=True)
        return np.stack([normal_score(natural, scores[name]) for name, natural in pairs], axis=1)

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
        # einsum adds every image's terms in the same order, however many images there are.
        weights = self.weights[ATTACK][:-1]
        weighted = self.surprises(scores) * weights
        attack = np.einsum("nf->n", weighted) + self.weights[ATTACK][-1]
        error = None
        if ERROR in self.weights:
            error = np.einsum("nf,f->n", self.shapes(scores), self.weights[ERROR][:-1]) + self.weights[ERROR][-1]
        return FusedScores(attack, error, weighted - weights * NATURAL_SURPRISE)

    def arrays(self) -> Arrays:
        """Return everything fitted, as arrays that `restore` takes back."""
        natural = {f"natural.{name}": values for name, values in zip(self.members, self.natural, strict=True)}
        return natural | {f"weights.{name}": values for name, values in self.weights.items()}

    @classmethod
    def restore(cls, members: Sequence[str], arrays: Arrays) -> Fusion:
        """Rebuild from the members' names in order and from `arrays`."""
        weights = {name: arrays[f"weights.{name}"] for name in (ATTACK, ERROR) if f"weights.{name}" in arrays}
        return cls(tuple(members), tuple(arrays[f"natural.{name}"] for name in members), weights)


def _choose_spread(surprises: Floats, labels: Labels, macro_attacks: Sequence[str]) -> tuple[float, str]:
    """Return the variance of the weights that suits attacks left out best, and how it was chosen."""
    pairs = _others_and_left_out(labels, macro_attacks)
    if not pairs:
        return SPREAD_OF_ONE, f"variance of the weights {SPREAD_OF_ONE:g}: a single known attack cannot choose it"

    def quality(spread: float) -> float:
        found = []
        for others, judged in pairs:
            weights = _fit_weights(surprises[others], labels.take(others), spread)
            found.append(macro_auc(surprises[judged] @ weights[:-1], labels.take(judged)))
        return float(np.mean(found))

    qualities = [quality(spread) for spread in SPREADS]
    best = int(np.argmax(qualities))
    how = f"variance of the weights {SPREADS[best]:g}, best of {len(SPREADS)}: AUC {qualities[best]:.4f} on attacks"
    return SPREADS[best], f"{how} left out one at a time, on held-out folds of the fit split"


def _others_and_left_out(labels: Labels, macro_attacks: Sequence[str]) -> list[tuple[Rows, Rows]]:
    """Return, per fold and attack, the rows of the other attacks to fit to and the held-out rows of the one left out.

    Natural images are among both; an attack that is missing on either side, as rare ones may be, leaves nothing out.
    """
    pairs = []
    for fit, held_out in labels.folds():
        for attack in macro_attacks:
            others = fit[labels.attacks[fit] != attack]
            judged = held_out[np.isin(labels.attacks[held_out], ["", attack])]
            if labels.adversarial[others].any() and labels.adversarial[judged].any():
                pairs.append((others, judged))
    return pairs


def _fit_weights(surprises: Floats, labels: Labels, spread: float) -> Floats:
    """Return weights of the surprises, none negative, and a constant, shape (members + 1,).

    They minimise the weighted logistic loss plus sum((w - mean(w))^2) / (2 spread).
    """
    sign, balance = np.where(labels.adversarial, 1.0, -1.0), labels.balanced_weights()

    def loss(values: Floats) -> tuple[float, Floats]:
        weights, apart = values[:-1], values[:-1] - values[:-1].mean()
        margin = sign * (surprises @ weights + values[-1])
        slope = -sign * expit(-margin) * balance
        total = float(balance @ np.logaddexp(0.0, -margin) + apart @ apart / (2.0 * spread))
        return total, np.append(surprises.T @ slope + apart / spread, slope.sum())

    members = surprises.shape[1]
    start, bounds = np.append(np.full(members, 1.0 / members), 0.0), [(0.0, None)] * members + [(None, None)]
    options = {"maxiter": 10_000, "maxfun": 100_000, "ftol": 1e-12, "gtol": 1e-7}
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options)
    return np.asarray(found.x, dtype=np.float64)


def _fit_errors(usual: Floats, wrong: Floats) -> Floats:
    """Return weights and a constant that tell misclassified natural images from the others, both counting the same."""
    features, target = np.vstack([usual, wrong]), np.repeat([False, True], [len(usual), len(wrong)])
    balance = np.where(target, 0.5 / len(wrong), 0.5 / len(usual)) * len(target)
    model = LogisticRegression(C=ERROR_PENALTY, l1_ratio=0.0, solver="lbfgs", tol=1e-8, max_iter=5000)
    model.fit(features, target, sample_weight=balance)
    return np.append(model.coef_[0], model.intercept_[0])
