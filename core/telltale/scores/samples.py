"""Test images to start with, each chosen from the stored scores because it teaches something."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from telltale.attacks.registry import ATTACKS
from telltale.detectors.fusion import FUSED
from telltale.scores.table import (
    ADVERSARIAL,
    ATTACK,
    CONFIDENCE,
    IMAGE_ID,
    KIND,
    L2,
    LABEL,
    NATURAL,
    NATURAL_ERROR,
    PREDICTION,
    SPLIT,
    Scored,
    natural_test_ids,
    score_column,
    scored_detectors,
)

Lesson: TypeAlias = Literal["sure", "borderline", "error", "false_alarm", "noticed", "missed"]
Columns: TypeAlias = dict[str, npt.NDArray[np.generic]]
ALPHA = 0.05
BARELY = 0.9  # confidence from which on nothing is borderline


@dataclass(frozen=True)
class Sample:
    """One test image and what it teaches.

    Attributes
    ----------
    lesson : {"sure", "borderline", "error", "false_alarm", "noticed", "missed"}
    image_id : int
    attack : str
        The attack to be shown with it; "" where the natural image is the lesson.
    label, prediction : int
        The data set's class, and the class that the natural or attacked image was read as.
    confidence : float
    noticing, detectors : int
        How many calibrated detectors called it adversarial when it was scored, and of how many.
    """

    lesson: Lesson
    image_id: int
    attack: str
    label: int
    prediction: int
    confidence: float
    noticing: int
    detectors: int


def teaching_samples(bundle: Scored, alpha: float = ALPHA) -> tuple[Sample, ...]:
    """Choose test images by rule, no image twice; a lesson for which there is none is left out.

    - sure: the most usual natural image of all (`natural_test_ids`);
    - borderline: read correctly with the least confidence, and with less than 0.9;
    - error: read wrongly, without an attack, with the most confidence;
    - false alarm: natural and read correctly, but called adversarial by the most detectors;
    - noticed and missed: no detector objects to the natural image, and the most or the fewest notice the attacked one;
      among equals the smallest change (L2). What the fused verdict calls adversarial is missed only where it misses
      nothing.

    Parameters
    ----------
    bundle : Scored
    alpha : float
        False-positive rate at which the detectors judge.

    Returns
    -------
    tuple of Sample
    """
    columns = _test_rows(bundle)
    noticing, detectors = _noticing(bundle, columns, alpha)
    chosen: list[Sample] = []
    for lesson, rows in _rankings(bundle, columns, noticing, _alarms(bundle, columns, FUSED, alpha)):
        taken = {sample.image_id for sample in chosen}
        row = next((int(row) for row in rows if int(columns[IMAGE_ID][row]) not in taken), None)
        if row is not None:
            chosen.append(_sample(lesson, columns, row, int(noticing[row]), detectors))
    return tuple(chosen)


def stories(bundle: Scored, alpha: float = ALPHA) -> tuple[Sample, ...]:
    """Return every attack on a test image that teaches something, in the order of the stored scores.

    It fooled the network, and no detector objects to the natural image. It is *missed* where the fused verdict does not
    call the attacked image adversarial, or where there is none and no detector does; else *noticed*.

    Parameters
    ----------
    bundle : Scored
    alpha : float
        False-positive rate at which the detectors judge.

    Returns
    -------
    tuple of Sample
    """
    columns = _test_rows(bundle)
    noticing, detectors = _noticing(bundle, columns, alpha)
    judged = score_column(FUSED) in columns and bundle.calibration(FUSED) is not None
    fused = _alarms(bundle, columns, FUSED, alpha) if judged else noticing > 0
    return tuple(
        _sample("noticed" if fused[row] else "missed", columns, int(row), int(noticing[row]), detectors)
        for row in _fooled_rows(columns, noticing)
    )


def another_story(told: Sequence[Sample], image_id: int | None, chance: Random) -> Sample | None:
    """Draw one story of another image; None where there is none.

    Parameters
    ----------
    told : sequence of Sample
        From `stories`.
    image_id : int or None
        The image that is shown now.
    chance : Random
    """
    others = [sample for sample in told if sample.image_id != image_id]
    return chance.choice(others) if others else None


def image_beside(scores: pa.Table, image_id: int | None, step: int) -> int | None:
    """Return the test image so many places on in the order of `natural_test_ids`, round its end; None without any.

    Parameters
    ----------
    scores : pyarrow.Table
    image_id : int or None
        Where to start; from any other image, one enters at the first, or backwards at the last.
    step : int
    """
    ids = natural_test_ids(scores).tolist()
    if not ids:
        return None
    start = ids.index(image_id) if image_id in ids else (-1 if step > 0 else 0)
    return int(ids[(start + step) % len(ids)])


def _fooled_rows(columns: Columns, noticing: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return the rows of attacks that fooled the network, on images to which no detector objects."""
    kind, ids = columns[KIND], columns[IMAGE_ID]
    calm = ids[(kind == NATURAL) & (noticing == 0)]
    shown = np.isin(columns[ATTACK], list(ATTACKS)) & np.isin(ids, calm)
    return np.flatnonzero((kind == ADVERSARIAL) & shown)


def _rankings(
    bundle: Scored, columns: Columns, noticing: npt.NDArray[np.int64], fused: npt.NDArray[np.bool_]
) -> Iterator[tuple[Lesson, list[int]]]:
    """Yield for every lesson the rows that could teach it, the best first."""
    kind, ids = columns[KIND], columns[IMAGE_ID]
    confidence = columns[CONFIDENCE].astype(np.float64)
    natural = np.flatnonzero(kind == NATURAL)
    errors = np.flatnonzero(kind == NATURAL_ERROR)
    fooled = _fooled_rows(columns, noticing)
    usual = {int(image_id): place for place, image_id in enumerate(natural_test_ids(bundle.scores))}
    yield "sure", sorted(natural.tolist(), key=lambda row: usual[int(ids[row])])
    barely = natural[confidence[natural] < BARELY]
    yield "borderline", _ordered(barely, confidence[barely])
    yield "error", _ordered(errors, -confidence[errors])
    yield "false_alarm", _ordered(natural, -noticing[natural], -confidence[natural])
    size = columns[L2].astype(np.float64)
    yield "noticed", _ordered(fooled, -noticing[fooled], size[fooled])
    yield "missed", _ordered(fooled, fused[fooled], noticing[fooled], size[fooled])


def _ordered(rows: npt.NDArray[np.int64], *keys: npt.NDArray[np.generic]) -> list[int]:
    """Return the rows in ascending order of the first key, equal ones by the next."""
    return [int(row) for row in rows[np.lexsort(keys[::-1])]]


def _sample(lesson: Lesson, columns: Columns, row: int, noticing: int, detectors: int) -> Sample:
    return Sample(
        lesson,
        int(columns[IMAGE_ID][row]),
        str(columns[ATTACK][row]),
        int(columns[LABEL][row]),
        int(columns[PREDICTION][row]),
        float(columns[CONFIDENCE][row]),
        noticing,
        detectors,
    )


def _test_rows(bundle: Scored) -> Columns:
    table = bundle.scores
    test = np.asarray(table.column(SPLIT).to_numpy(zero_copy_only=False) == "test")
    return {name: table.column(name).to_numpy(zero_copy_only=False)[test] for name in table.column_names}


def _noticing(bundle: Scored, columns: Columns, alpha: float) -> tuple[npt.NDArray[np.int64], int]:
    """Return how many detectors call each row adversarial, and how many are calibrated; the fused verdict apart."""
    names = [name for name in scored_detectors(bundle.scores) if name != FUSED]
    count, calibrated = np.zeros(len(columns[KIND]), dtype=np.int64), 0
    for name in names:
        count += _alarms(bundle, columns, name, alpha)
        calibrated += bundle.calibration(name) is not None
    return count, calibrated


def _alarms(bundle: Scored, columns: Columns, detector: str, alpha: float) -> npt.NDArray[np.bool_]:
    """Return which rows one detector calls adversarial; none where it was not scored or is not calibrated."""
    column = score_column(detector)
    calibration = bundle.calibration(detector) if column in columns else None
    if calibration is None:
        return np.zeros(len(columns[KIND]), dtype=np.bool_)
    return np.asarray(columns[column].astype(np.float64) >= calibration.threshold(alpha))
