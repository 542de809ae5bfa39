"""Failure slices: groups of images that a model misreads more often than others, named in words and confirmed.

Thousands of groups are tried, so the best one looks bad by chance alone. Therefore half of the images, drawn at
random, are searched, and the groups that come out are counted among the other half, which had no say in them. A group
is reported where errors are more frequent in it than outside by the hypergeometric test (Fisher's exact, one-sided),
with Holm's correction for all groups that were counted: where errors have nothing to do with any feature, at most
`LEVEL` of all searches report any. Intervals are Clopper-Pearson's with Bonferroni's correction: they hold for all
groups at once with at least 95 %.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import hypergeom

from telltale.model_errors.evaluated import Evaluated
from telltale.model_errors.slices_conditions import Condition, Mask, conditions_on, name_of, together
from telltale.model_errors.slices_features import Feature
from telltale.model_errors.slices_search import DEFAULT_LIMITS, Limits, search
from telltale.scores.metrics import binomial_interval
from telltale.scores.rates import Rate

LEVEL = 0.05


@dataclass(frozen=True)
class Slice:
    """One group of images that the model misreads more often.

    Attributes
    ----------
    name : str
        In words.
    details : tuple of str
        Every condition exactly.
    errors : Rate
        Misread images among those of the group, in the half that was not searched.
    low, high : float
        Interval of the error rate that holds for all groups at once with at least 95 %.
    p_value : float
        Of the test whether errors are more frequent inside than outside, corrected for the number of groups.
    share : float
        Part of all errors, in the half that was not searched, that lie in the group.
    ids : array of int64
        All its images, of both halves.
    """

    name: str
    details: tuple[str, ...]
    errors: Rate
    low: float
    high: float
    p_value: float
    share: float
    ids: npt.NDArray[np.int64]

    def to_json(self) -> dict[str, object]:
        """Return the slice as JSON holds it, without its images."""
        return {
            "slice": self.name,
            "conditions": list(self.details),
            "errors": self.errors.count,
            "images": self.errors.total,
            "error_rate": self.errors.share,
            "low": self.low,
            "high": self.high,
            "p_value": self.p_value,
            "share_of_errors": self.share,
        }


@dataclass(frozen=True)
class FailureSlices:
    """What a search for failure slices says.

    Attributes
    ----------
    slices : tuple of Slice
        Those confirmed, the best of the search first.
    overall : Rate
        Errors among all images of the half that was not searched.
    tried, counted : int
        Groups rated by the search, and those whose errors were counted among the other half.
    features : tuple of str
        What groups could be described by.
    missing : mapping of str to str
        What else there could be, and in one sentence what would bring it.
    """

    slices: tuple[Slice, ...]
    overall: Rate
    tried: int
    counted: int
    features: tuple[str, ...]
    missing: Mapping[str, str]

    def to_json(self) -> dict[str, object]:
        """Return everything as JSON holds it."""
        return {
            "slices": [found.to_json() for found in self.slices],
            "overall": self.overall.to_json(),
            "tried": self.tried,
            "counted": self.counted,
            "features": list(self.features),
            "missing": dict(self.missing),
        }


def find_slices(
    images: Evaluated,
    features: Sequence[Feature],
    seed: int = 0,
    limits: Limits = DEFAULT_LIMITS,
    missing: Mapping[str, str] | None = None,
) -> FailureSlices:
    """Search one half of the images for groups that fail more often, and count their errors among the other.

    Parameters
    ----------
    images : Evaluated
        n images, right and wrong.
    features : sequence of NumberFeature or CodeFeature
        About the same n images.
    seed : int
        Draws the half that is searched; it holds half of the errors and half of the rest.
    limits : Limits
    missing : mapping of str to str, optional
        Handed on to the result.
    """
    searched = half_of(images.wrong, seed)
    conditions = conditions_on(features, searched)
    allowed = np.array([[together(a, b) for b in conditions] for a in conditions], dtype=bool)
    holds = np.array([condition.holds for condition in conditions], dtype=bool).reshape(len(conditions), len(images))
    found = search(holds[:, searched], allowed.reshape(len(holds), len(holds)), images.wrong[searched], limits)
    counted = _count(images, [[conditions[row] for row in rule] for rule in found.rules], ~searched)
    rest = images.wrong[~searched]
    return FailureSlices(
        slices=tuple(group for group in counted if group.p_value <= LEVEL),
        overall=Rate(int(rest.sum()), len(rest)),
        tried=found.tried,
        counted=len(counted),
        features=tuple(feature.name for feature in features),
        missing=dict(missing or {}),
    )


def half_of(wrong: Mask, seed: int) -> Mask:
    """Draw half of the misread and half of the other images, shape (n,)."""
    draws, chosen = np.random.default_rng(seed), np.zeros(len(wrong), dtype=bool)
    for rows in (np.flatnonzero(wrong), np.flatnonzero(~wrong)):
        chosen[draws.permutation(rows)[: len(rows) // 2]] = True
    return chosen


def _count(images: Evaluated, groups: Sequence[Sequence[Condition]], rest: Mask) -> list[Slice]:
    """Count images and errors of groups among the rest."""
    members = [np.all([condition.holds for condition in group], axis=0) for group in groups]
    counts = [Rate(int((inside & rest & images.wrong).sum()), int((inside & rest).sum())) for inside in members]
    total, wrong = int(rest.sum()), int((rest & images.wrong).sum())
    p_values = _holm([float(hypergeom.sf(rate.count - 1, total, wrong, rate.total)) for rate in counts])
    slices = []
    for group, inside, rate, p_value in zip(groups, members, counts, p_values, strict=True):
        low, high = binomial_interval(rate.count, rate.total, 1.0 - LEVEL / len(groups)) if rate.total else (0.0, 1.0)
        share = rate.count / wrong if wrong else 0.0
        details = tuple(condition.detail for condition in group)
        slices.append(Slice(name_of(group), details, rate, low, high, p_value, share, images.ids[inside]))
    return slices


def _holm(p_values: Sequence[float]) -> list[float]:
    """Correct p-values for their number (Holm 1979)."""
    order = np.argsort(p_values, kind="stable")
    factors = np.arange(len(order), 0, -1)
    raised = np.minimum(np.maximum.accumulate(np.asarray(p_values)[order] * factors), 1.0)
    corrected = np.empty(len(order))
    corrected[order] = raised
    return [float(value) for value in corrected]
