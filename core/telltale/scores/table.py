"""The stored scores of a bundle: which rows, which images, which attacks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from scipy.stats import rankdata

from telltale.scores.calibration import Calibration

Doubles = npt.NDArray[np.float64]

Ids = npt.NDArray[np.int64]


def share_at_least(values: npt.NDArray[np.floating], threshold: float) -> float:
    """Return the share of scores that reach a threshold: a rate of false alarms or of catches; NaN without scores."""
    return float(np.mean(values >= threshold)) if len(values) else float("nan")


# Columns of a table of scores: which image version a row is about, and what the classifier made of it. Kinds of
# evidence add theirs (`telltale.kinds.kind.Kind.columns`), and every detector one (`score_column`).
IMAGE_ID, SPLIT, KIND, ATTACK = "image_id", "split", "kind", "attack"
LABEL, PREDICTION, CONFIDENCE = "label", "prediction", "confidence"
# Of the logits: the largest above the second largest, the logarithm of the sum of exponentials, and the largest.
MARGIN, LOGSUMEXP, MAX_LOGIT = "margin", "logsumexp", "max_logit"
LINF, L2, L0 = "linf", "l2", "l0"
SCORE_PREFIX = "score_"

# Kinds of image versions.
NATURAL, NATURAL_ERROR, ADVERSARIAL, FAILED = "natural", "natural_error", "adversarial", "failed"


def score_column(detector: str) -> str:
    """Return the column that holds a detector's scores."""
    return SCORE_PREFIX + detector


def scored_detectors(scores: pa.Table) -> tuple[str, ...]:
    """Return the detectors that a table has scores of, in its order."""
    return tuple(name.removeprefix(SCORE_PREFIX) for name in scores.column_names if name.startswith(SCORE_PREFIX))


class Scored(Protocol):
    """What stores scores: a bundle, as far as its scores go."""

    @property
    def name(self) -> str:
        """Named in what is said of it."""

    @property
    def scores(self) -> pa.Table:
        """One row per evaluated image version."""

    @property
    def macro_attacks(self) -> tuple[str, ...] | None:
        """Attacks behind the macro figures; all where None."""

    @property
    def seed(self) -> int:
        """Seeds what is drawn."""

    def calibration(self, detector: str) -> Calibration | None:
        """Return the calibration of one detector, or None where it has none."""


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
    chosen = _mask(scores, {SPLIT: split, KIND: kind} | ({} if attack is None else {ATTACK: attack}))
    values = numbers(scores, column)
    chosen &= np.isfinite(values)
    return ScoreSet(values[chosen], numbers(scores, IMAGE_ID)[chosen].astype(np.int64))


def natural_test_ids(scores: pa.Table, label: int | None = None) -> Ids:
    """Return ids of correctly classified natural test images, of one class or of all, the most usual first.

    Usual is an image that no detector finds odd: images are ordered by their largest rank over all detectors' scores
    among the natural test images, equal ones by id. The first picture that a person sees should mislead nobody.
    """
    natural = _mask(scores, {SPLIT: "test", KIND: NATURAL})
    ids = numbers(scores, IMAGE_ID)[natural].astype(np.int64)
    columns = [numbers(scores, score_column(name))[natural] for name in scored_detectors(scores)]
    oddness = np.max([rankdata(column) for column in columns], axis=0)
    chosen = np.full(len(ids), True) if label is None else numbers(scores, LABEL)[natural] == label
    return np.asarray(ids[chosen][np.lexsort((ids[chosen], oddness[chosen]))])


def fooled_test_ids(scores: pa.Table, attack: str) -> Ids:
    """Return ids of the natural test images on which an attack succeeded, the most usual first."""
    fooled = numbers(scores, IMAGE_ID)[_mask(scores, {SPLIT: "test", KIND: ADVERSARIAL, ATTACK: attack})]
    usual = natural_test_ids(scores)
    return usual[np.isin(usual, fooled.astype(np.int64))]


def draw_test_ids(scores: pa.Table, count: int, seed: int) -> Ids:
    """Return distinct ids of correctly classified natural test images, drawn at random under a seed."""
    ids = natural_test_ids(scores)
    return np.random.default_rng(seed).permutation(ids)[:count].astype(np.int64)


def attacks_in(scores: pa.Table) -> tuple[str, ...]:
    """Return the attacks with stored scores, in order of appearance."""
    names = scores.column(ATTACK).to_pylist()
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
        won = _mask(scores, {SPLIT: split, KIND: ADVERSARIAL, ATTACK: attack})
        lost = _mask(scores, {SPLIT: split, KIND: FAILED, ATTACK: attack})
        rows.append(
            SuccessRow(
                attack,
                int(won.sum() + lost.sum()),
                int(won.sum()),
                _median(scores, LINF, won),
                _median(scores, L2, won),
            )
        )
    return tuple(rows)


def _mask(scores: pa.Table, wanted: Mapping[str, str]) -> npt.NDArray[np.bool_]:
    chosen = np.ones(scores.num_rows, dtype=bool)
    for column, value in wanted.items():
        chosen &= pc.equal(scores.column(column), value).to_numpy(zero_copy_only=False)
    return chosen


def numbers(scores: pa.Table, column: str) -> Doubles:
    """Return one column of numbers, shape (rows,)."""
    return np.asarray(scores.column(column).to_numpy(zero_copy_only=False), dtype=np.float64)


def _median(scores: pa.Table, column: str, chosen: npt.NDArray[np.bool_]) -> float:
    values = numbers(scores, column)[chosen]
    return float(np.median(values)) if len(values) else float("nan")
