"""Small computations behind the pages: what is drawn but is neither evidence nor a metric. No torch here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc
from scipy.stats import gaussian_kde, rankdata
from skimage.measure import points_in_poly

from core.images import round_to_8_bits
from core.results import Prediction, Verdict

if TYPE_CHECKING:
    import pyarrow as pa

Doubles = npt.NDArray[np.float64]
Ids = npt.NDArray[np.int64]


@dataclass(frozen=True)
class PivotDistances:
    """Distances of one image to two named pivots and to all other ones, per layer.

    Attributes
    ----------
    own, rival : array of float64, shape (L,)
        Distance to the first and the second class's pivot.
    low, high : array of float64, shape (L,)
        Range over every other class.
    """

    own: Doubles
    rival: Doubles
    low: Doubles
    high: Doubles


def pivot_distances(distances: npt.NDArray[np.floating], own: int, rival: int) -> PivotDistances:
    """Split an (L, C) table of pivot distances into two named classes and the range of the rest."""
    table = np.asarray(distances, dtype=np.float64)
    others = np.delete(table, np.unique([own, rival]), axis=1)
    rest = others if others.shape[1] else table
    return PivotDistances(table[:, own], table[:, rival], rest.min(axis=1), rest.max(axis=1))


def nearest_other(distances: npt.NDArray[np.floating], own: int, similarity: bool) -> int:
    """Return the class other than `own` whose pivot is nearest on the last layer."""
    last = np.array(distances[-1], dtype=np.float64)
    order = np.argsort(-last if similarity else last, kind="stable")
    return int(next((c for c in order if c != own), own))


def limits(*tables: npt.NDArray[np.floating], margin: float = 0.05) -> tuple[float, float]:
    """Return one axis range that holds every value of several arrays, with a margin."""
    low = min(float(np.min(table)) for table in tables)
    high = max(float(np.max(table)) for table in tables)
    space = margin * (high - low) or 1.0
    return low - space, high + space


def log_limits(*tables: npt.NDArray[np.floating]) -> tuple[float, float]:
    """Return one range, as exponents of ten, that holds every positive value of several arrays, with a margin."""
    positive = np.concatenate([np.ravel(table)[np.ravel(table) > 0] for table in tables])
    return limits(np.log10(positive)) if len(positive) else (-1.0, 1.0)


def signed_log(values: npt.ArrayLike) -> Doubles:
    """Return sign(x) * log10(1 + |x|): room for values near zero beside values in the thousands."""
    numbers = np.asarray(values, dtype=np.float64)
    return np.asarray(np.sign(numbers) * np.log10(1.0 + np.abs(numbers)))


def largest_magnitude(*tables: npt.NDArray[np.floating]) -> float:
    """Return the largest absolute value over several arrays, never zero: the end of a symmetric colour scale."""
    return max(max(float(np.abs(table).max(initial=0.0)) for table in tables), 1e-12)


def perturbation(natural: npt.NDArray[np.float32], attacked: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return attacked - natural, signed, shape (C, H, W)."""
    return np.asarray(attacked - natural, dtype=np.float32)


def amplified(change: npt.NDArray[np.float32], gain: float) -> npt.NDArray[np.float32]:
    """Return the signed change times `gain`, around mid-grey and clipped to [0, 1]."""
    return np.asarray(np.clip(0.5 + 0.5 * gain * change, 0.0, 1.0), dtype=np.float32)


def scaled(
    natural: npt.NDArray[np.float32], attacked: npt.NDArray[np.float32], strength: float
) -> npt.NDArray[np.float32]:
    """Return natural + strength * (attacked - natural), clipped to [0, 1] and rounded to 8 bits."""
    return round_to_8_bits(np.clip(natural + np.float32(strength) * (attacked - natural), 0.0, 1.0))


def first_lasting_change(labels: Sequence[int]) -> int | None:
    """Return the first index from which, to the end, the label differs from the first one; None if it ends there."""
    same = [index for index, label in enumerate(labels) if label == labels[0]]
    last = same[-1]
    return last + 1 if last + 1 < len(labels) else None


def sensible_gain(linf: float, choices: Sequence[int]) -> int:
    """Return the largest offered gain at which no pixel of a change of size `linf` is clipped."""
    fitting = [gain for gain in choices if gain * linf <= 1.0 + 1e-9]
    return max(fitting, default=min(choices))


def top_classes(prediction: Prediction, count: int) -> tuple[tuple[int, float], ...]:
    """Return the likeliest classes with their probabilities, descending."""
    order = np.argsort(-prediction.probabilities, kind="stable")[:count]
    return tuple((int(c), float(prediction.probabilities[c])) for c in order)


def count_noticing(verdicts: Sequence[Verdict]) -> tuple[int, int]:
    """Return how many calibrated detectors call the image adversarial, and how many are calibrated."""
    calibrated = [v for v in verdicts if v.adversarial is not None]
    return sum(bool(v.adversarial) for v in calibrated), len(calibrated)


def strongest_contributions(contributions: Mapping[str, float], count: int) -> tuple[tuple[str, float], ...]:
    """Return the detectors that moved a fused verdict most, either way, the strongest first."""
    return tuple(sorted(contributions.items(), key=lambda item: -abs(item[1]))[:count])


def shared_ids(first: Ids, second: Ids) -> Ids:
    """Return the ids that occur in both lists, in the order of the first."""
    return first[np.isin(first, second)]


def positions_of(ids: Ids, reference: Ids) -> Ids:
    """Return the row of each id in `reference`; ids that are absent are left out."""
    order = np.argsort(reference, kind="stable")
    at = np.minimum(np.searchsorted(reference[order], ids), len(reference) - 1)
    rows = order[at]
    return np.asarray(rows[reference[rows] == ids], dtype=np.int64)


def evenly(count: int, most: int) -> Ids:
    """Return at most `most` of `count` rows, evenly spaced and in order."""
    return np.arange(min(count, most), dtype=np.int64) * count // max(1, min(count, most))


def inside(points: npt.NDArray[np.floating], outlines: Sequence[Doubles]) -> Ids:
    """Return the rows of points (n, 2) inside any closed outline (m, 2), in order."""
    found = np.zeros(len(points), dtype=bool)
    for outline in outlines:
        found |= points_in_poly(np.asarray(points, dtype=np.float64), outline)  # type: ignore[no-untyped-call]
    return np.flatnonzero(found)


def share_at_least(values: npt.NDArray[np.floating], threshold: float) -> float:
    """Return the share of scores that reach a threshold: a rate of false alarms or of catches; NaN without scores."""
    return float(np.mean(values >= threshold)) if len(values) else float("nan")


def corners(x: npt.NDArray[np.floating], y: npt.NDArray[np.floating]) -> Ids:
    """Return the indices of a line's ends and of the points at which it turns: the others add nothing to its drawing.

    Parameters
    ----------
    x, y : array of float, shape (n,)
    """
    across, up = np.diff(x), np.diff(y)
    turns = across[:-1] * up[1:] != up[:-1] * across[1:]
    return np.flatnonzero(np.concatenate([[True], turns, [True]])[: len(x)]).astype(np.int64)


def distinguishable(*coordinates: npt.NDArray[np.floating], steps: int = 400) -> Ids:
    """Return the rows of a line that a chart can tell apart: its ends, and where a coordinate enters another cell.

    Parameters
    ----------
    *coordinates : arrays of float, each of shape (n,)
        Finite, as drawn: logarithms for a logarithmic axis.
    steps : int
        Cells into which the range of each is divided; no row that is left out is farther than one from a kept one.
    """
    kept = np.zeros(len(coordinates[0]), dtype=np.bool_)
    kept[[0, -1]] = True
    for values in coordinates:
        span = max(float(np.ptp(values)), float(np.finfo(np.float64).tiny))
        cells = np.floor(steps * ((values - values.min()) / span))
        kept[1:] |= np.diff(cells) != 0.0
    return np.flatnonzero(kept).astype(np.int64)


def density_curve(values: npt.NDArray[np.floating], points: int = 160) -> tuple[Doubles, Doubles]:
    """Return a Gaussian kernel density estimate as (positions, density); a spike where all values are equal."""
    finite = np.asarray(values, dtype=np.float64)
    finite = finite[np.isfinite(finite)]
    if len(finite) < 2 or np.ptp(finite) < 1e-12:
        centre = float(finite[0]) if len(finite) else 0.0
        return np.array([centre - 1e-6, centre, centre + 1e-6]), np.array([0.0, 1.0, 0.0])
    low, high = limits(finite, margin=0.15)
    position = np.linspace(low, high, points)
    return position, gaussian_kde(finite)(position)


def ellipse(mean: npt.ArrayLike, covariance: npt.ArrayLike, deviations: float = 2.0, points: int = 60) -> Doubles:
    """Return the closed outline, shape (points, 2), `deviations` standard deviations from a Gaussian's mean."""
    values, vectors = np.linalg.eigh(np.asarray(covariance, dtype=np.float64))
    angle = np.linspace(0.0, 2.0 * np.pi, points)
    circle = np.stack([np.cos(angle), np.sin(angle)])
    spread = vectors @ (np.sqrt(np.maximum(values, 0.0))[:, None] * circle)
    return np.asarray(np.asarray(mean, dtype=np.float64) + deviations * spread.T)


@dataclass(frozen=True)
class ScoreSet:
    """Stored scores of one kind of image with the images they belong to.

    Attributes
    ----------
    values : array of float64, shape (n,)
        Finite.
    ids : array of int64, shape (n,)
        Data-set id of each image: versions of one image share it.
    """

    values: Doubles
    ids: Ids

    def __len__(self) -> int:
        return len(self.values)


def select_scores(scores: pa.Table, column: str, kind: str, split: str = "test", attack: str | None = None) -> ScoreSet:
    """Return one column of a bundle's stored scores for one kind of image, finite values only.

    Parameters
    ----------
    scores : pyarrow Table
        `Bundle.scores`.
    column : str
    kind : {"natural", "natural_error", "adversarial", "failed"}
    split : str
    attack : str, optional
        One attack only; every attack where None.
    """
    chosen = _mask(scores, split=split, kind=kind, **({} if attack is None else {"attack": attack}))
    values = _numbers(scores, column)
    chosen &= np.isfinite(values)
    return ScoreSet(values[chosen], _numbers(scores, "image_id")[chosen].astype(np.int64))


def natural_test_ids(scores: pa.Table, label: int | None = None) -> Ids:
    """Return ids of correctly classified natural test images, of one class or of all, the most usual first.

    Usual is an image that no detector finds odd: images are ordered by their largest rank over all detectors' scores
    among the natural test images, equal ones by id. The first picture that a person sees should mislead nobody.
    """
    natural = _mask(scores, split="test", kind="natural")
    ids = _numbers(scores, "image_id")[natural].astype(np.int64)
    columns = [_numbers(scores, name)[natural] for name in scores.column_names if name.startswith("score_")]
    oddness = np.max([rankdata(column) for column in columns], axis=0)
    chosen = np.full(len(ids), True) if label is None else _numbers(scores, "label")[natural] == label
    return np.asarray(ids[chosen][np.lexsort((ids[chosen], oddness[chosen]))])


def fooled_test_ids(scores: pa.Table, attack: str) -> Ids:
    """Return ids of the natural test images on which an attack succeeded, the most usual first."""
    fooled = _numbers(scores, "image_id")[_mask(scores, split="test", kind="adversarial", attack=attack)]
    usual = natural_test_ids(scores)
    return usual[np.isin(usual, fooled.astype(np.int64))]


def draw_test_ids(scores: pa.Table, count: int, seed: int) -> Ids:
    """Return distinct ids of correctly classified natural test images, drawn at random under a seed."""
    ids = natural_test_ids(scores)
    return np.random.default_rng(seed).permutation(ids)[:count].astype(np.int64)


def attacks_in(scores: pa.Table) -> tuple[str, ...]:
    """Return the attacks with stored scores, in order of appearance."""
    names = scores.column("attack").to_pylist()
    return tuple(name for name in dict.fromkeys(names) if name)


@dataclass(frozen=True)
class SuccessRow:
    """How often one attack worked on the images of one split.

    Attributes
    ----------
    attack : str
    tried, succeeded : int
    median_linf, median_l2 : float
        Over its successes; NaN where there are none.
    """

    attack: str
    tried: int
    succeeded: int
    median_linf: float
    median_l2: float

    @property
    def rate(self) -> float:
        """Share of attempts that succeeded."""
        return self.succeeded / self.tried if self.tried else float("nan")


def success_rows(scores: pa.Table, split: str = "test") -> tuple[SuccessRow, ...]:
    """Return the success of every attack on one split, failed attempts counted."""
    rows = []
    for attack in attacks_in(scores):
        won = _mask(scores, split=split, kind="adversarial", attack=attack)
        lost = _mask(scores, split=split, kind="failed", attack=attack)
        rows.append(
            SuccessRow(
                attack,
                int(won.sum() + lost.sum()),
                int(won.sum()),
                _median(scores, "linf", won),
                _median(scores, "l2", won),
            )
        )
    return tuple(rows)


def _mask(scores: pa.Table, **wanted: str) -> npt.NDArray[np.bool_]:
    chosen = np.ones(scores.num_rows, dtype=bool)
    for column, value in wanted.items():
        chosen &= pc.equal(scores.column(column), value).to_numpy(zero_copy_only=False)
    return chosen


def _numbers(scores: pa.Table, column: str) -> Doubles:
    return np.asarray(scores.column(column).to_numpy(zero_copy_only=False), dtype=np.float64)


def _median(scores: pa.Table, column: str, chosen: npt.NDArray[np.bool_]) -> float:
    values = _numbers(scores, column)[chosen]
    return float(np.median(values)) if len(values) else float("nan")
