"""What each detector catches of each attack at a false-alarm rate, and the images it misses, finds and accuses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from telltale.detectors.fusion import FUSED
from telltale.scores.contests import EVERY_ATTACK, NATURAL_ERRORS
from telltale.scores.controls import CONTROLS, column_of, controls_in, with_controls
from telltale.scores.rates import ALL_NATURAL, Rate, groups_of
from telltale.scores.table import (
    ADVERSARIAL,
    ATTACK,
    CONFIDENCE,
    IMAGE_ID,
    KIND,
    LABEL,
    NATURAL,
    NATURAL_ERROR,
    PREDICTION,
    SPLIT,
    numbers,
    scored_detectors,
)

Rows = npt.NDArray[np.bool_]

GROUP_NAMES = {NATURAL_ERROR: NATURAL_ERRORS}


@dataclass(frozen=True)
class CaughtMatrix:
    """How many test images of every group reach the threshold of every detector and control.

    Attributes
    ----------
    names : tuple of str
        The fused verdict first, then the other detectors by what they catch of all attacked images, then controls.
    groups : tuple of str
        `NATURAL` (images that are read correctly: false alarms), `EVERY_ATTACK`, each attack, and `NATURAL_ERRORS`.
    rates : mapping of (str, str) to Rate
        By name and group; images without a finite score are not counted.
    """

    names: tuple[str, ...]
    groups: tuple[str, ...]
    rates: Mapping[tuple[str, str], Rate]


@dataclass(frozen=True)
class ScoredImage:
    """One version of a test image, as it was scored.

    Attributes
    ----------
    image_id : int
    attack : str
        "" for a natural image.
    label, prediction : int
    confidence, score : float
    """

    image_id: int
    attack: str
    label: int
    prediction: int
    confidence: float
    score: float


@dataclass(frozen=True)
class Extremes:
    """The test images on which one detector does worst and best against one opponent.

    Attributes
    ----------
    missed : tuple of ScoredImage
        Below the threshold, the least suspicious first.
    found : tuple of ScoredImage
        At or above it, the most suspicious first.
    accused : tuple of ScoredImage
        Natural images, read correctly, at or above it: false alarms, the most suspicious first.
    n_missed, n_found, n_accused : int
        How many there are in all.
    """

    missed: tuple[ScoredImage, ...]
    found: tuple[ScoredImage, ...]
    accused: tuple[ScoredImage, ...]
    n_missed: int
    n_found: int
    n_accused: int


def caught_matrix(scores: pa.Table, thresholds: Mapping[str, float]) -> CaughtMatrix:
    """Count what reaches each threshold among the test images of a table of scores.

    Parameters
    ----------
    scores : pyarrow.Table
        With the columns of `Bundle.scores`.
    thresholds : mapping of str to float
        Of every calibrated detector and control, as `telltale.scores.rates.thresholds` returns them; others are left
        out.
    """
    test = with_controls(scores).filter(pc.field(SPLIT) == "test")
    groups = {GROUP_NAMES.get(name, name): rows for name, rows in groups_of(test) if rows.any()}
    groups.pop(ALL_NATURAL, None)
    if NATURAL_ERRORS in groups:
        groups[NATURAL_ERRORS] = groups.pop(NATURAL_ERRORS)  # last
    rates = {}
    for name in (*scored_detectors(test), *controls_in(test)):
        if name in thresholds:
            values = numbers(test, column_of(name))
            for group, rows in groups.items():
                finite = values[rows & np.isfinite(values)]
                rates[name, group] = Rate(int((finite >= thresholds[name]).sum()), len(finite))
    names = sorted(dict.fromkeys(name for name, _ in rates), key=lambda name: _place(name, rates))
    return CaughtMatrix(tuple(names), tuple(groups), rates)


def _place(name: str, rates: Mapping[tuple[str, str], Rate]) -> tuple[bool, bool, float]:
    caught = rates.get((name, EVERY_ATTACK), Rate(0, 0))
    return name in CONTROLS, name != FUSED, -caught.share if caught.total else 0.0


def extremes(scores: pa.Table, detector: str, opponent: str, threshold: float, most: int) -> Extremes:
    """Choose the test images that one detector misses, finds easiest and wrongly accuses, no image twice in a list.

    Carrara et al. (2017) show the images that are easiest and hardest to detect in this way (Table 3).

    Parameters
    ----------
    scores : pyarrow.Table
        With the columns of `Bundle.scores`.
    detector : str
        Or a control.
    opponent : str
        An attack, `EVERY_ATTACK` or `NATURAL_ERRORS`.
    threshold : float
    most : int
        Length of each list.
    """
    test = (with_controls(scores) if detector in CONTROLS else scores).filter(pc.field(SPLIT) == "test")
    values = numbers(test, column_of(detector))
    kind, attack = (test.column(name).to_numpy(zero_copy_only=False) for name in (KIND, ATTACK))
    against = kind == (NATURAL_ERROR if opponent == NATURAL_ERRORS else ADVERSARIAL)
    if opponent not in (NATURAL_ERRORS, EVERY_ATTACK):
        against &= attack == opponent
    finite, alarm = np.isfinite(values), values >= threshold
    missed, found, accused = against & finite & ~alarm, against & alarm, (kind == NATURAL) & alarm
    return Extremes(
        _listed(test, values, missed, values, most),
        _listed(test, values, found, -values, most),
        _listed(test, values, accused, -values, most),
        *(int(rows.sum()) for rows in (missed, found, accused)),
    )


def _listed(
    test: pa.Table, values: npt.NDArray[np.float64], rows: Rows, order: npt.NDArray[np.float64], most: int
) -> tuple[ScoredImage, ...]:
    """Return the first versions of distinct images in an order; equal ones by their id."""
    ids = numbers(test, IMAGE_ID).astype(np.int64)
    sorted_rows = np.flatnonzero(rows)[np.lexsort((ids[rows], order[rows]))]
    _, first = np.unique(ids[sorted_rows], return_index=True)
    columns = {name: test.column(name) for name in (ATTACK, LABEL, PREDICTION, CONFIDENCE)}
    return tuple(
        ScoredImage(
            int(ids[row]),
            str(columns[ATTACK][row].as_py() or ""),
            int(columns[LABEL][row].as_py()),
            int(columns[PREDICTION][row].as_py()),
            float(columns[CONFIDENCE][row].as_py()),
            float(values[row]),
        )
        for row in sorted_rows[np.sort(first)[:most]].tolist()
    )
