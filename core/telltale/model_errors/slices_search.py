"""A beam search for conjunctions of conditions under which errors are frequent.

Quality of a group of n images with error rate p, where p0 is the rate of all: sqrt(n) (p - p0), the binomial-test
quality of subgroup discovery (Kloesgen 1996, Explora). It weighs how far a rate is raised against for how many.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from telltale.base.errors import InputError
from telltale.model_errors.slices_conditions import Mask

Rule: TypeAlias = tuple[int, ...]


@dataclass(frozen=True)
class Limits:
    """What is searched, and what is kept of it.

    Attributes
    ----------
    conditions : int
        Most conditions of a group.
    beam : int
        How many groups of each number of conditions are extended.
    images, errors : int
        Least of them in a group, among the images that are searched.
    overlap : float
        Of two groups that share a larger part (Jaccard) of their images or of their errors, the better one is kept.
    kept : int
        Most groups.
    """

    conditions: int = 3
    beam: int = 40
    images: int = 20
    errors: int = 3
    overlap: float = 0.5
    kept: int = 8


DEFAULT_LIMITS = Limits()


@dataclass(frozen=True)
class Found:
    """What a search has found.

    Attributes
    ----------
    rules : tuple of tuples of int
        Rows of the conditions of each group, the best first.
    tried : int
        How many different groups were rated.
    """

    rules: tuple[Rule, ...]
    tried: int


def quality(errors: npt.ArrayLike, images: npt.ArrayLike, overall: float) -> npt.NDArray[np.float64]:
    """Return sqrt(n) (errors / n - overall) of groups of n images; minus infinity without any."""
    n, wrong = np.asarray(images, dtype=np.float64), np.asarray(errors, dtype=np.float64)
    rate = np.divide(wrong, n, out=np.zeros_like(n), where=n > 0)
    return np.where(n > 0, np.sqrt(n) * (rate - overall), -np.inf)


def search(holds: Mask, allowed: Mask, wrong: Mask, limits: Limits = DEFAULT_LIMITS) -> Found:
    """Find groups that fail more often: conjunctions of conditions, each of which adds to the quality.

    Parameters
    ----------
    holds : array of bool, shape (m, n)
        Which of n images meet which of m conditions.
    allowed : array of bool, shape (m, m)
        Which two conditions may stand together; symmetric.
    wrong : array of bool, shape (n,)
        Which images are misread.
    limits : Limits

    Raises
    ------
    InputError
        If the shapes do not fit each other.
    """
    conditions = len(holds)
    if holds.shape != (conditions, len(wrong)) or allowed.shape != (conditions, conditions):
        raise InputError("A search needs as many columns as images, and a square table of what may stand together.")
    ratings = _Ratings(holds, wrong, limits)
    beam: list[Rule] = [()]
    everything: list[Rule] = []
    for _ in range(limits.conditions):
        better = sorted({longer for rule in beam for longer in ratings.extensions(rule, allowed)}, key=ratings.order)
        beam = better[: limits.beam]
        everything += beam
    return Found(ratings.distinct(sorted(everything, key=ratings.order)), len(ratings.tried))


class _Ratings:
    """Qualities of rules, each computed once, among the images that are searched."""

    def __init__(self, holds: Mask, wrong: Mask, limits: Limits) -> None:
        self.holds, self.wrong, self.limits = holds, wrong, limits
        self.overall = float(wrong.mean()) if len(wrong) else 0.0
        self.counting = holds.astype(np.float32)  # as a product of matrices counting is fast; exact up to 2^24 images
        self.known: dict[Rule, float] = {}
        self.tried: set[Rule] = set()

    def images(self, rule: Rule) -> Mask:
        return np.asarray(self.holds[list(rule)].all(0))

    def order(self, rule: Rule) -> tuple[float, int, Rule]:
        """Best first; of equal ones that with fewer conditions."""
        return -self.rated(rule), len(rule), rule

    def rated(self, rule: Rule) -> float:
        if rule not in self.known:
            images = self.images(rule)
            self.known[rule] = float(quality((images & self.wrong).sum(), images.sum(), self.overall))
        return self.known[rule]

    def extensions(self, rule: Rule, allowed: Mask) -> list[Rule]:
        """Return the rules with one condition more that are large enough and better than the rule."""
        inside = self.images(rule)
        images = self.counting @ inside.astype(np.float32)
        errors = self.counting @ (inside & self.wrong).astype(np.float32)
        rated = quality(errors, images, self.overall)
        own = quality((inside & self.wrong).sum(), inside.sum(), self.overall)
        large = (images >= self.limits.images) & (errors >= self.limits.errors)
        better = large & (rated > max(float(own), 0.0))
        found = []
        for row in np.flatnonzero(allowed[list(rule)].all(0)):
            longer = tuple(sorted((*rule, int(row))))
            self.tried.add(longer)
            if better[row]:
                self.known[longer] = float(rated[row])
                found.append(longer)
        return found

    def distinct(self, rules: list[Rule]) -> tuple[Rule, ...]:
        """Keep rules, best first, of which every condition adds something and that overlap with no better one."""
        kept: list[Rule] = []
        masks: list[Mask] = []
        for rule in rules:
            if len(kept) == self.limits.kept:
                break
            images = self.images(rule)
            if self._minimal(rule) and not any(self._overlaps(images, other) for other in masks):
                kept.append(rule)
                masks.append(images)
        return tuple(kept)

    def _minimal(self, rule: Rule) -> bool:
        shorter = combinations(rule, len(rule) - 1)
        return len(rule) == 1 or all(self.rated(rule) > self.rated(part) for part in shorter)

    def _overlaps(self, first: Mask, second: Mask) -> bool:
        parts = ((first, second), (first & self.wrong, second & self.wrong))
        return any((a & b).sum() > self.limits.overlap * (a | b).sum() for a, b in parts)
