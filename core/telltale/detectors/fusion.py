"""One verdict from all detectors: their calibrated p-values, combined."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from scipy.special import log_ndtr, ndtri

from telltale.base.errors import InputError
from telltale.detectors.base import Arrays, Labels
from telltale.detectors.boosted_trees import BoostedTrees
from telltale.detectors.confidence import ConfidenceDetector
from telltale.detectors.error_weights import fit_error_weights
from telltale.detectors.fusion_forms import fit_forms
from telltale.detectors.tails import tail_surprises

FUSED = "fused"
ERROR_SCORE = "error_score"  # log odds of a misclassified against a correctly classified natural image
ATTACK, ERROR = "attack", "error"
MARGIN = "margin"
NATURAL_SURPRISE = 1.0  # nats: the mean of -log p where p is uniform, as natural images' p-values are
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
    return _normal_score(natural, float(natural.std()) or 1.0, values)


def _normal_score(natural: Floats, spread: float, values: Floats) -> Floats:
    below, up_to = np.searchsorted(natural, values, "left"), np.searchsorted(natural, values, "right")
    deviates = -ndtri((len(natural) - 0.5 * (below + up_to) + 0.5) / (len(natural) + 1))
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
class Grown:
    """The trees' part in the fused score.

    Attributes
    ----------
    trees : BoostedTrees
        On the members' surprises and on those of too small and of too large a margin.
    share : float
        Weight of their log odds in the fused score, in (0, 1]; the weighted sum has the rest.
    usual : array of float64, shape (members + 2,)
        What every feature adds for an average natural image.
    """

    trees: BoostedTrees
    share: float
    usual: Floats


@dataclass(frozen=True)
class Fusion:
    """The detectors' surprises -log p in one score: weighed, read by trees, or both.

    Fisher (1925) weighs all alike, which is the best that can be said of attacks that nobody has seen; logistic
    regression finds the weights that suit the known ones, which may be far from those that suit the next. So weights
    are not negative, and they are drawn to their own mean as strongly as leaving out one attack at a time shows to be
    good for the attack left out; a single known attack cannot show it, and the weights stay alike.

    A sum cannot say that much confidence is as odd as little, or that one alarm weighs more beside another. Boosted
    trees can: they read the same surprises, in none of which more may count as less, and the surprise at either tail
    of the logit margin. They take the place of the sum, or half of it, where that is better for attacks left out;
    where few attacks are known they do not.

    Misclassified natural images are a kind that is known: logistic regression tells them from those read correctly.

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
        deviates, of their squares, of the margin's deviate where margins are read, and the constant.
    margins : array of float64, shape (m,), or None
        Logit margins of natural images, ascending; None where the confidence is no member.
    grown : Grown or None
        None where the weighted sum stands alone.
    """

    name: ClassVar[str] = FUSED
    title: ClassVar[str] = "Fused verdict"
    paper: ClassVar[str] = "Vovk, Gammerman & Shafer (2005), Algorithmic Learning in a Random World (its threshold)"
    summary: ClassVar[str] = "Weighs the p-values of all detectors into one answer."

    members: tuple[str, ...]
    natural: tuple[Floats, ...]
    weights: dict[str, Floats]
    margins: Floats | None = None
    grown: Grown | None = None

    @classmethod
    def fit(
        cls,
        scores: Scores,
        labels: Labels,
        errors: Scores,
        macro_attacks: Sequence[str],
        margins: tuple[Floats, Floats] | None = None,
    ) -> tuple[Fusion, str]:
        """Fit the combination; its form is chosen by leaving out one attack at a time.

        Parameters
        ----------
        scores : mapping of str to array of float64, shape (n,)
            Held-out scores of natural and attacked images by detector.
        labels : Labels of the n images
        errors : mapping of str to array of float64, shape (m,)
            Scores of misclassified natural images.
        macro_attacks : sequence of str
            Attacks that are left out in turn.
        margins : (array of float64, shape (n,), array of float64, shape (m,)), optional
            Logit margins of the images and of the misclassified ones; read where the confidence is a member.

        Returns
        -------
        Fusion
        str
            Its form, and how that was chosen.

        Raises
        ------
        InputError
            If there are no detectors, or natural or adversarial images are missing.
        """
        if not scores or labels.adversarial.all() or not labels.adversarial.any():
            raise InputError("A fused verdict needs detectors, natural images and adversarial images.")
        members, usual = tuple(scores), ~labels.adversarial
        natural = tuple(np.sort(scores[name][usual]) for name in members)
        read = margins if ConfidenceDetector.name in members else None
        bare = cls(members, natural, {}, None if read is None else np.sort(read[0][usual]))
        of_images, of_errors = (None, None) if read is None else read
        tails = None if of_images is None else bare.tails(of_images)
        forms = fit_forms(bare.surprises(scores), tails, labels, macro_attacks)
        weights, grown = {ATTACK: forms.weights}, None
        if forms.trees is not None and tails is not None:
            features = np.hstack([bare.surprises(scores), tails])[usual]
            grown = Grown(forms.trees, forms.share, forms.trees.contributions(features).mean(0))
        if len(next(iter(errors.values()))) >= FEWEST_ERRORS:
            right = {name: values[usual] for name, values in scores.items()}
            right_margins = None if of_images is None else of_images[usual]
            weights[ERROR] = fit_error_weights(
                bare.shapes(right, right_margins), bare.shapes(errors, of_errors), read is not None
            )
        return cls(members, natural, weights, bare.margins, grown), forms.how

    def surprises(self, scores: Scores) -> Floats:
        """Return -log p of every member in nats, shape (n, members)."""
        return _surprises(self._deviates(scores))

    def tails(self, margins: Floats) -> Floats:
        """Return -log p of margins as small, and as large, in nats, shape (n, 2)."""
        assert self.margins is not None
        return tail_surprises(self.margins, margins)

    def shapes(self, scores: Scores, margins: Floats | None = None) -> Floats:
        """Return deviates, their squares and, where margins are read, the margin's, shape (n, 2 members [+ 1])."""
        return self._shapes(self._deviates(scores), margins)

    def _shapes(self, deviates: Floats, margins: Floats | None) -> Floats:
        found = [deviates, np.square(deviates) - 1.0]
        if self.margins is not None and margins is not None:
            found.append(-normal_score(self.margins, margins)[:, None])
        return np.hstack(found)

    def _deviates(self, scores: Scores) -> Floats:
        members = zip(self.members, self.natural, self._spreads, strict=True)
        return np.stack([_normal_score(natural, spread, scores[name]) for name, natural, spread in members], axis=1)

    @cached_property
    def _spreads(self) -> tuple[float, ...]:
        return tuple(float(natural.std()) or 1.0 for natural in self.natural)

    def combine(self, scores: Scores, margins: Floats | None = None) -> FusedScores:
        """Combine the scores of n images by all members, and their logit margins where these are read.

        Raises
        ------
        InputError
            If a member's scores, or the margins, are missing.
        """
        missing = [name for name in self.members if name not in scores]
        missing += [MARGIN] if self.margins is not None and margins is None else []
        if missing:
            raise InputError(f"The fused verdict also needs the scores of {', '.join(missing)}.")
        # einsum adds every image's terms in the same order, however many images there are.
        weights = self.weights[ATTACK][:-1]
        deviates = self._deviates(scores)
        surprises = _surprises(deviates)
        weighted = surprises * weights
        attack = np.einsum("nf->n", weighted) + self.weights[ATTACK][-1]
        contributions = weighted - weights * NATURAL_SURPRISE
        if self.grown is not None and margins is not None:
            features, share = np.hstack([surprises, self.tails(margins)]), self.grown.share
            attack = (1.0 - share) * attack + share * self.grown.trees.log_odds(features)
            added = self.grown.trees.contributions(features) - self.grown.usual
            contributions = (1.0 - share) * contributions + share * self._by_member(added)
        error = None
        if ERROR in self.weights:
            shapes = self._shapes(deviates, margins)
            error = np.einsum("nf,f->n", shapes, self.weights[ERROR][:-1]) + self.weights[ERROR][-1]
        return FusedScores(attack, error, contributions)

    def _by_member(self, added: Floats) -> Floats:
        """Give the confidence what both tails of the margin add, shape (n, members)."""
        found = added[:, : len(self.members)].copy()
        found[:, self.members.index(ConfidenceDetector.name)] += added[:, len(self.members) :].sum(1)
        return found

    def arrays(self) -> Arrays:
        """Return everything fitted, as arrays that `restore` takes back."""
        found = {f"natural.{name}": values for name, values in zip(self.members, self.natural, strict=True)}
        found |= {f"weights.{name}": values for name, values in self.weights.items()}
        if self.margins is not None:
            found[MARGIN] = self.margins
        if self.grown is not None:
            found |= {f"trees.{name}": values for name, values in self.grown.trees.to_arrays().items()}
            found |= {"share": np.array([self.grown.share]), "usual": self.grown.usual}
        return found

    @classmethod
    def restore(cls, members: Sequence[str], arrays: Arrays) -> Fusion:
        """Rebuild from the members' names in order and from `arrays`."""
        weights = {name: arrays[f"weights.{name}"] for name in (ATTACK, ERROR) if f"weights.{name}" in arrays}
        trees = {name.removeprefix("trees."): values for name, values in arrays.items() if name.startswith("trees.")}
        grown = None
        if trees:
            read = BoostedTrees.from_arrays(trees, len(members) + 2)
            grown = Grown(read, float(arrays["share"][0]), arrays["usual"])
        natural = tuple(arrays[f"natural.{name}"] for name in members)
        return cls(tuple(members), natural, weights, arrays.get(MARGIN), grown)


def _surprises(deviates: Floats) -> Floats:
    return np.asarray(-log_ndtr(-deviates))
