"""The bootstrap behind every interval: images drawn with replacement, and what each draw makes of two sets of scores.

A resample is a count per image, so no score is sorted twice: whatever is measured follows from sums of counts in the
order of the scores. All resamples are computed side by side.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from telltale.base.errors import InputError

Doubles = npt.NDArray[np.float64]
Counts = npt.NDArray[np.uint16]
Indices = npt.NDArray[np.intp]

N_BOOTSTRAP = 1000
# Cells (images x resamples) held in memory at once: 32 MB where each takes eight bytes.
CELLS = 4_000_000


@dataclass(frozen=True)
class Draw:
    """How often each image version is part of each of B resamples.

    Attributes
    ----------
    natural : array of uint16, shape (n, B)
    groups : tuple of arrays of uint16, shapes (m, B)
        One per set of other images, such as those of one attack.
    """

    natural: Counts
    groups: tuple[Counts, ...]


@dataclass(frozen=True)
class Resampled:
    """What B resamples make of one detector against one set of images.

    Attributes
    ----------
    auc : array of float64, shape (B,)
        NaN where a resample holds images of one kind only.
    tpr : mapping of float to array of float64, shape (B,)
        True-positive rate by false-positive rate, as `telltale.scores.metrics.tpr_at_fpr` defines it.
    """

    auc: Doubles
    tpr: Mapping[float, Doubles]


def draw_together(
    natural_ids: npt.ArrayLike, groups: Sequence[npt.ArrayLike], seed: int, n_resamples: int = N_BOOTSTRAP
) -> Draw:
    """Draw whole images, each with all its versions: sets that were made from one another are not independent.

    Parameters
    ----------
    natural_ids : array_like of int, shape (n,)
    groups : sequence of array_like of int
        Image ids of every other set.
    seed, n_resamples : int
    """
    ids = [np.asarray(natural_ids), *map(np.asarray, groups)]
    known, codes = np.unique(np.concatenate(ids), return_inverse=True)
    counts = _counts(seed, len(known), n_resamples)
    natural, *others = (counts[part] for part in np.split(codes, np.cumsum([len(part) for part in ids])[:-1]))
    return Draw(natural, tuple(others))


@lru_cache(maxsize=4)
def draw_apart(n_natural: int, n_others: int, seed: int, n_resamples: int = N_BOOTSTRAP, at_once: int = 0) -> Draw:
    """Draw two sets of images on their own, each keeping its size; they share no image.

    Parameters
    ----------
    n_natural, n_others, seed, n_resamples : int
    at_once : int
        Resamples of one set that are drawn before as many of the other: it decides which ones a seed gives.
        ``CELLS // (n_natural + n_others)`` where left out.
    """
    generator = np.random.default_rng(seed)
    step = at_once or max(1, CELLS // (n_natural + n_others))
    parts = []
    for start in range(0, n_resamples, step):
        count = min(step, n_resamples - start)
        parts.append([_draw(generator, size, count) for size in (n_natural, n_others)])
    natural, others = (np.concatenate(side, axis=1) for side in zip(*parts, strict=True))
    return Draw(natural, (others,))


def resample(natural: Doubles, groups: Sequence[Doubles], draw: Draw, rates: Sequence[float]) -> tuple[Resampled, ...]:
    """Measure one detector's scores in every resample.

    Parameters
    ----------
    natural : array of float64, shape (n,)
        Finite; higher = more likely adversarial.
    groups : sequence of arrays of float64, shapes (m,)
    draw : Draw
        Of the same images in the same order.
    rates : sequence of float
        False-positive rates in [0, 1].

    Returns
    -------
    tuple of Resampled
        One per group. O((n + sum of m) B) time; O(`CELLS`) memory besides the draw.
    """
    order = np.argsort(natural, kind="stable")
    n_resamples = draw.natural.shape[1]
    step = max(1, CELLS // len(natural))
    chunks = [slice(start, start + step) for start in range(0, n_resamples, step)]
    parts = [_resample(natural[order], draw.natural[order, chunk], groups, draw, chunk, rates) for chunk in chunks]
    return tuple(_joined(group) for group in zip(*parts, strict=True))


def interval(values: Doubles) -> tuple[float, float]:
    """Return the 95 % percentile interval of what resamples gave, those without an answer left out.

    Raises
    ------
    InputError
        If none gave one.
    """
    if not np.isfinite(values).any():
        raise InputError("There are too few images for a bootstrap interval.")
    low, high = np.nanpercentile(values, [2.5, 97.5])
    return float(low), float(high)


def _resample(
    ordered: Doubles, drawn: Counts, groups: Sequence[Doubles], draw: Draw, chunk: slice, rates: Sequence[float]
) -> list[Resampled]:
    """Measure some of the resamples; `drawn` are the counts of natural images in ascending order of their scores."""
    below = np.zeros((len(ordered) + 1, drawn.shape[1]), dtype=np.int32)  # row i: drawn among the lowest i
    np.cumsum(drawn, axis=0, dtype=np.int32, out=below[1:])
    highest = {rate: _highest_allowed(ordered, below, rate) for rate in rates}
    return [
        _against(ordered, below, highest, values, counts[:, chunk])
        for values, counts in zip(groups, draw.groups, strict=True)
    ]


def _against(
    ordered: Doubles, below: npt.NDArray[np.int32], highest: Mapping[float, Doubles], values: Doubles, drawn: Counts
) -> Resampled:
    """Return one group's AUC, as the share of pairs won with ties as halves, and its true-positive rates."""
    order = np.argsort(values, kind="stable")
    values, counts = values[order], drawn[order].astype(np.float64)
    reached = np.zeros((len(values) + 1, counts.shape[1]))
    np.cumsum(counts, axis=0, out=reached[1:])
    total = reached[-1]
    lower, up_to = np.searchsorted(ordered, values, "left"), np.searchsorted(ordered, values, "right")
    wins = np.einsum("mb,mb->b", counts, below[lower].astype(np.float64) + below[up_to]) / 2.0
    columns = np.arange(len(total))
    caught = {
        rate: total - reached[np.searchsorted(values, scores, "right"), columns] for rate, scores in highest.items()
    }
    return Resampled(
        _share(wins, total * below[-1].astype(np.float64)),
        {rate: np.where(below[-1] > 0, _share(count, total), np.nan) for rate, count in caught.items()},
    )


def _highest_allowed(ordered: Doubles, below: npt.NDArray[np.int32], rate: float) -> Doubles:
    """Return per resample the score that must be exceeded for the false-positive rate to be at most `rate`, (B,).

    It is the (k + 1)-th highest natural score drawn, where k / n is the largest share within the rate, compared as
    floats exactly as `tpr_at_fpr` does; minus infinity where every natural image may be called adversarial.
    """
    total = below[-1].astype(np.int64)
    allowed = np.floor(rate * total).astype(np.int64)
    with np.errstate(invalid="ignore", divide="ignore"):
        allowed += (allowed + 1) / total <= rate
        allowed -= allowed / total > rate
    low, high = np.zeros_like(total), np.full_like(total, len(ordered))
    columns = np.arange(len(total))
    while (low < high).any():  # bisection in every column at once: the first place where enough are drawn
        middle = (low + high) // 2
        short = below[np.minimum(middle + 1, len(ordered)), columns] < total - allowed
        low, high = np.where(short & (low < high), middle + 1, low), np.where(short, high, middle)
    return np.where(allowed >= total, -np.inf, ordered[np.minimum(low, len(ordered) - 1)])


def _share(part: Doubles, whole: Doubles) -> Doubles:
    return np.asarray(np.divide(part, whole, out=np.full(len(part), np.nan), where=whole > 0))


def _joined(parts: Sequence[Resampled]) -> Resampled:
    rates = parts[0].tpr
    return Resampled(
        np.concatenate([part.auc for part in parts]),
        {rate: np.concatenate([part.tpr[rate] for part in parts]) for rate in rates},
    )


@lru_cache(maxsize=2)
def _counts(seed: int, size: int, n_resamples: int) -> Counts:
    """Draw `size` of `size` images per resample, shape (size, resamples); kept, as every detector needs the same."""
    generator = np.random.default_rng(seed)
    step = max(1, CELLS // size)
    parts = [_draw(generator, size, min(step, n_resamples - s)) for s in range(0, n_resamples, step)]
    counts = np.concatenate(parts, axis=1)
    counts.flags.writeable = False
    return counts


def _draw(generator: np.random.Generator, size: int, count: int) -> Counts:
    """Return how often each of `size` things is drawn in `size` draws with replacement, shape (size, count)."""
    drawn = generator.integers(0, size, (count, size)) * count + np.arange(count)[:, None]
    return np.bincount(drawn.ravel(), minlength=count * size).reshape(size, count).astype(np.uint16)
