"""What a table of judged images says about each defence: counted anew from its rows, never stored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from telltale.data.shifts import SHIFTS
from telltale.scores.calibration import check_alpha
from telltale.scores.metrics import auc, auc_interval
from telltale.scores.rates import Rate
from telltale.scores.rejection import FUSED_SCORE, NONE, WORST, Success, success_after_rejection
from telltale.scores.table import ATTACK, numbers
from telltale.studies.robust_twin.results import (
    CONDITION,
    DEFENCE,
    EPS,
    IMAGE_ID,
    KNOWLEDGE,
    NATURAL,
    P_VALUE,
    SCORE,
    SECOND_WRONG,
    WRONG,
)

AS_IT_IS = SHIFTS[0].name
SHIFTED = tuple(shift.name for shift in SHIFTS[1:])


@dataclass(frozen=True)
class Detection:
    """How well a defence tells one attack that does not know it from natural images read correctly.

    Attributes
    ----------
    attack : str
    eps : int
        In levels of 255.
    auc : float
        NaN where the attack never succeeded.
    interval : (float, float)
        Of the AUC, 95 % bootstrap over images.
    caught : Rate
        Successful attacks that are rejected at alpha.
    """

    attack: str
    eps: int
    auc: float
    interval: tuple[float, float]
    caught: Rate

    def to_json(self) -> dict[str, object]:
        """Return the figures as JSON holds them."""
        low, high = self.interval
        named = {"attack": self.attack, "eps": self.eps, "auc": self.auc, "auc_low": low, "auc_high": high}
        return named | {"caught": self.caught.to_json()}


@dataclass(frozen=True)
class DefenceFigures:
    """Everything about one defence at one alpha.

    Attributes
    ----------
    name : str
    accuracy : Rate
        Of the second opinion on natural test images.
    alarms, all_alarms : Rate
        On natural test images that the classifier reads correctly, and on all of them.
    errors_caught : Rate
        Alarms on natural test images that it misreads.
    shifts : mapping of str to Rate
        Alarms by natural shift, on images still read correctly.
    detections : tuple of Detection
    successes : tuple of Success
        Per attack and budget, and the worst cases per image; see `telltale.scores.rejection`.
    """

    name: str
    accuracy: Rate
    alarms: Rate
    all_alarms: Rate
    errors_caught: Rate
    shifts: Mapping[str, Rate]
    detections: tuple[Detection, ...]
    successes: tuple[Success, ...]

    def success(self, knowledge: str, eps: int) -> Success:
        """Return an attacker's worst case within a budget."""
        chosen = [s for s in self.successes if (s.attack, s.knowledge, s.eps) == (WORST, knowledge, eps)]
        return chosen[0]

    def to_json(self) -> dict[str, object]:
        """Return the figures as JSON holds them."""
        return {
            "name": self.name,
            "accuracy": self.accuracy.to_json(),
            "alarms": self.alarms.to_json(),
            "all_alarms": self.all_alarms.to_json(),
            "errors_caught": self.errors_caught.to_json(),
            "shifts": {name: rate.to_json() for name, rate in self.shifts.items()},
            "detections": [detection.to_json() for detection in self.detections],
            "successes": [success.to_json() for success in self.successes],
        }


def figures(table: pa.Table, alpha: float) -> tuple[DefenceFigures, ...]:
    """Count what each defence of a table achieves, in order of appearance.

    Parameters
    ----------
    table : pyarrow.Table
        With the columns of `telltale.studies.robust_twin.results.SCHEMA`.
    alpha : float
        Rate of false alarms at which images are rejected, in (0, 1).

    Raises
    ------
    InputError
        If alpha is not in (0, 1).
    DamagedBundleError
        If attacks have met different images.
    """
    check_alpha(alpha)
    names = dict.fromkeys(table.column(DEFENCE).to_pylist())
    return tuple(_figures(name, table.filter(pc.field(DEFENCE) == name), alpha) for name in names)


def _figures(name: str, table: pa.Table, alpha: float) -> DefenceFigures:
    processed = table.filter(pc.field(KNOWLEDGE) == NATURAL)
    natural = processed.filter(pc.field(CONDITION) == AS_IT_IS)
    right, wrong = natural.filter(~pc.field(WRONG)), natural.filter(pc.field(WRONG))
    shifted = {shift: processed.filter((pc.field(CONDITION) == shift) & ~pc.field(WRONG)) for shift in SHIFTED}
    attacked = table.filter(pc.field(KNOWLEDGE) != NATURAL)
    second = natural.column(SECOND_WRONG).to_pylist()
    return DefenceFigures(
        name,
        Rate(second.count(False), len(second)),
        _alarms(right, alpha),
        _alarms(natural, alpha),
        _alarms(wrong, alpha),
        {shift: _alarms(rows, alpha) for shift, rows in shifted.items()},
        _detections(right, attacked.filter(pc.field(KNOWLEDGE) == NONE), alpha),
        success_after_rejection(_as_attacks(attacked), alpha),
    )


def _alarms(rows: pa.Table, alpha: float) -> Rate:
    return Rate(int((numbers(rows, P_VALUE) <= alpha).sum()), rows.num_rows)


def _detections(natural: pa.Table, attacked: pa.Table, alpha: float) -> tuple[Detection, ...]:
    pairs = zip(attacked.column(CONDITION).to_pylist(), attacked.column(EPS).to_pylist(), strict=True)
    return tuple(_detection(natural, attacked, *pair, alpha) for pair in dict.fromkeys(pairs))


def _detection(natural: pa.Table, attacked: pa.Table, attack: str, eps: int, alpha: float) -> Detection:
    rows = attacked.filter((pc.field(CONDITION) == attack) & (pc.field(EPS) == eps) & pc.field(WRONG))
    if rows.num_rows == 0:
        return Detection(attack, eps, float("nan"), (0.0, 1.0), Rate(0, 0))
    scores = numbers(natural, SCORE), numbers(rows, SCORE)
    ids = numbers(natural, IMAGE_ID), numbers(rows, IMAGE_ID)
    interval = auc_interval(*scores, natural_groups=ids[0], adversarial_groups=ids[1])
    return Detection(attack, eps, auc(*scores), interval, _alarms(rows, alpha))


def _as_attacks(attacked: pa.Table) -> pa.Table:
    """Call the columns what `success_after_rejection` calls them: the score of a verdict, whichever it is."""
    return attacked.rename_columns([{CONDITION: ATTACK, SCORE: FUSED_SCORE}.get(n, n) for n in attacked.column_names])
