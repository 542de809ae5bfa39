"""Controls: the cheapest things that could do a detector's work, read off the logits and measured like a detector.

A detector that does no better than one of them has earned nothing. None is fitted, calibrated by a build or part of a
verdict; they are computed from columns that every row of stored scores has.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from telltale.scores.table import CONFIDENCE, LOGSUMEXP, MARGIN, MAX_LOGIT, numbers, score_column

Doubles = npt.NDArray[np.float64]

CONTROL_PREFIX = "control_"
SEED_OF_RANDOM = 0


@dataclass(frozen=True)
class Control:
    """One control.

    Attributes
    ----------
    name : str
        Apart from every detector's.
    title : str
        For tables and legends.
    words : str
        Within a sentence.
    columns : tuple of str
        Columns of the stored scores that it is computed from; without one of them there is no such control.
    score : callable
        From a table with these columns to an array of float64, shape (rows,), higher = more suspicious.
    """

    name: str
    title: str
    words: str
    columns: tuple[str, ...]
    score: Callable[[pa.Table], Doubles]


def _random(scores: pa.Table) -> Doubles:
    return np.asarray(np.random.default_rng(SEED_OF_RANDOM).random(scores.num_rows))


CONTROLS = {
    control.name: control
    for control in (
        Control(
            "low_confidence",
            "1 − softmax",
            "low softmax confidence",
            (CONFIDENCE,),
            lambda scores: 1.0 - numbers(scores, CONFIDENCE),
        ),
        Control(
            "high_confidence",
            "softmax",
            "high softmax confidence",
            (CONFIDENCE,),
            lambda scores: numbers(scores, CONFIDENCE),
        ),
        Control(
            "low_margin",
            "− logit margin",
            "a small logit margin",
            (MARGIN,),
            lambda scores: -numbers(scores, MARGIN),
        ),
        # Liu et al. (2020), Energy-based out-of-distribution detection: -logsumexp of the logits at temperature 1.
        Control(
            "energy",
            "energy",
            "high energy (small logits)",
            (LOGSUMEXP,),
            lambda scores: -numbers(scores, LOGSUMEXP),
        ),
        Control(
            "low_max_logit",
            "− largest logit",
            "a small largest logit",
            (MAX_LOGIT,),
            lambda scores: -numbers(scores, MAX_LOGIT),
        ),
        Control("random", "random score", "a random score", (), _random),
    )
}


def controls_in(scores: pa.Table) -> tuple[str, ...]:
    """Return the names of the controls that a table has the columns for."""
    present = set(scores.column_names)
    return tuple(name for name, control in CONTROLS.items() if present.issuperset(control.columns))


def with_controls(scores: pa.Table) -> pa.Table:
    """Return a table of scores with a column for every control that it has the columns for.

    The random score depends on the rows' number and order: add controls before rows are chosen.
    """
    for name in controls_in(scores):
        if column_of(name) not in scores.column_names:
            scores = scores.append_column(column_of(name), pa.array(CONTROLS[name].score(scores)))
    return scores


def column_of(name: str) -> str:
    """Return the column that holds a detector's scores or, after `with_controls`, a control's."""
    return CONTROL_PREFIX + name if name in CONTROLS else score_column(name)
