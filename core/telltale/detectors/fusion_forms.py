"""The forms that the fused score can take, and the choice among them by families of attacks that are left out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.special import expit

from telltale.detectors.base import Labels, macro_auc
from telltale.detectors.boosted_trees import BoostedTrees, Boosting

# Variances C that the weights may have around their mean, the smallest being all but none.
SPREADS = (1e-6, 1e-4, 1e-3, 1e-2, 1e-1, 1.0)
GROWN = Boosting(trees=100, leaves=8, learning_rate=0.1, fewest=20, penalty=1.0)
SHARES = (0.0, 0.5, 1.0)  # of the trees in the fused score
FEWEST_FAMILIES = 3  # of which trees learn what a sum cannot say, with one of them left out
FEWEST_ATTACKS = 4
# What looks alike to a detector: who knows one of a family has nearly seen the others. Any other is a family by itself.
FAMILIES = (
    {"bim", "pgd", "pgd_l2", "mifgsm", "apgd_ce", "apgd_dlr", "adaptive", "graybox", "graybox_l2"},  # go on and on
    {"deepfool", "gradient", "cw", "cw_opt", "ead", "lbfgs", "ddn", "boundary", "hopskipjump"},  # stop at the border
    {"jsma", "onepixel"},  # change few pixels
)
Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]
Judged = Callable[[Rows, Rows], Floats]  # fits on some rows, and scores others


@dataclass(frozen=True)
class Forms:
    """What the fused score is made of.

    Attributes
    ----------
    weights : array of float64, shape (members + 1,)
        Of the surprises, and the constant.
    trees : BoostedTrees or None
        None where the weighted sum stands alone.
    share : float
        Of the trees, in [0, 1].
    how : str
        How all this was chosen.
    """

    weights: Floats
    trees: BoostedTrees | None
    share: float
    how: str


def fit_forms(surprises: Floats, tails: Floats | None, labels: Labels, macro_attacks: Sequence[str]) -> Forms:
    """Choose a form on attacks whose family is left out, and fit it to everything.

    Parameters
    ----------
    surprises : array of float64, shape (n, members)
    tails : array of float64, shape (n, 2), or None
        Surprises at a small and at a large margin; without them there are no trees.
    labels : Labels of the n images
    macro_attacks : sequence of str
        Attacks that are left out in turn, each with its family.
    """
    pairs = _others_and_left_out(labels, macro_attacks)
    families = len({family_of(attack) for attack in labels.known_attacks})
    if families < 2 or not pairs:
        weights = _fit_weights(surprises, labels, SPREADS[0])
        return Forms(weights, None, 0.0, "equal weights: a single known family of attacks cannot choose others")
    spread, how = _choose_spread(surprises, labels, pairs)
    weights = _fit_weights(surprises, labels, spread)
    if tails is None:
        return Forms(weights, None, 0.0, how)
    if families < FEWEST_FAMILIES or len(labels.known_attacks) < FEWEST_ATTACKS:
        few = f"{len(labels.known_attacks)} attacks of {families} families are too few for trees"
        return Forms(weights, None, 0.0, f"{how}; {few}")
    features = np.hstack([surprises, tails])
    share, said = _choose_share(features, surprises, labels, pairs, spread)
    trees = _grow(features, labels) if share else None
    return Forms(weights, trees, share, f"{how}; {said}")


def family_of(attack: str) -> str:
    """Name the family of an attack, after its first member in alphabetical order; an unknown one is its own."""
    return next((min(family) for family in FAMILIES if attack in family), attack)


def _grow(features: Floats, labels: Labels) -> BoostedTrees:
    """Grow trees in which more of a member's surprise never lowers the answer; either tail of the margin may."""
    return BoostedTrees.fit(features, labels, GROWN, [1] * (features.shape[1] - 2) + [0, 0])


def _choose_share(
    features: Floats, surprises: Floats, labels: Labels, pairs: Sequence[tuple[Rows, Rows]], spread: float
) -> tuple[float, str]:
    """Return the share of the trees that suits attacks left out best, and how it was chosen."""
    found = []
    for others, judged in pairs:
        known, asked = labels.take(others), labels.take(judged)
        weights = _fit_weights(surprises[others], known, spread)
        sums = surprises[judged] @ weights[:-1] + weights[-1]
        grown = _grow(features[others], known).log_odds(features[judged])
        found.append([macro_auc((1.0 - share) * sums + share * grown, asked) for share in SHARES])
    qualities = np.mean(found, axis=0)
    best = int(np.argmax(qualities))
    said = ", ".join(f"{share:g}: {quality:.4f}" for share, quality in zip(SHARES, qualities, strict=True))
    return SHARES[best], f"share of the trees {SHARES[best]:g}, by the same AUC ({said})"


def _choose_spread(surprises: Floats, labels: Labels, pairs: Sequence[tuple[Rows, Rows]]) -> tuple[float, str]:
    """Return the variance of the weights that suits attacks left out best, and how it was chosen."""

    def quality(spread: float) -> float:
        found = []
        for others, judged in pairs:
            weights = _fit_weights(surprises[others], labels.take(others), spread)
            found.append(macro_auc(surprises[judged] @ weights[:-1], labels.take(judged)))
        return float(np.mean(found))

    qualities = [quality(spread) for spread in SPREADS]
    best = int(np.argmax(qualities))
    how = f"variance of the weights {SPREADS[best]:g}, best of {len(SPREADS)}: AUC {qualities[best]:.4f} on attacks"
    return SPREADS[best], f"{how} whose family is left out, on held-out folds of the fit split"


def _others_and_left_out(labels: Labels, macro_attacks: Sequence[str]) -> list[tuple[Rows, Rows]]:
    """Return, per fold and attack, the rows of other families to fit to and the held-out rows of the one left out.

    Natural images are among both; an attack that is missing on either side, as rare ones may be, leaves nothing out.
    """
    pairs = []
    kin = np.array([family_of(str(attack)) for attack in labels.attacks])
    for fit, held_out in labels.folds():
        for attack in macro_attacks:
            others = fit[kin[fit] != family_of(attack)]
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
