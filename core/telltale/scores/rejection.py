"""Success after rejection: how many attacked images end wrong and unrejected, whatever the attacker knows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from telltale.base.errors import DamagedBundleError
from telltale.scores.calibration import check_alpha
from telltale.scores.rates import Rate
from telltale.scores.table import ATTACK, IMAGE_ID, numbers, score_column
from telltale.scores.titles import attack_title

Knowledge: TypeAlias = Literal["none", "adaptive"]
Bools: TypeAlias = npt.NDArray[np.bool_]

KNOWLEDGE, EPS, WRONG, P_VALUE, FUSED_SCORE = "knowledge", "eps", "wrong", "p_value", score_column("fused")
NONE: Knowledge = "none"
ADAPTIVE: Knowledge = "adaptive"
KNOWLEDGE_TITLES: Mapping[Knowledge, str] = {NONE: "zero-knowledge", ADAPTIVE: "adaptive"}
WORST = "worst"

# One row per attack, budget and attacked image; budgets in levels of 255, so that equal ones are equal.
SCHEMA = pa.schema(
    {
        ATTACK: pa.string(),
        KNOWLEDGE: pa.string(),
        EPS: pa.int64(),
        IMAGE_ID: pa.int64(),
        WRONG: pa.bool_(),
        FUSED_SCORE: pa.float64(),
        P_VALUE: pa.float64(),
    }
)


@dataclass(frozen=True)
class Success:
    """What one attacker achieves within one budget, among all images that are attacked.

    Attributes
    ----------
    attack : str
        Registry name, or `WORST` for the most successful of several on each image.
    knowledge : {"none", "adaptive"}
        Whether the attacker knows the detectors. The adaptive worst case is over the attacks of both kinds: who knows
        the detectors can also run what does not use them.
    eps : int
        Budget in the L∞ norm, in levels of 255.
    before : Rate
        Attacked images that end wrong.
    after : Rate
        Attacked images that end wrong and are not rejected. Attacks that fail count as no success.
    """

    attack: str
    knowledge: Knowledge
    eps: int
    before: Rate
    after: Rate

    @property
    def title(self) -> str:
        """Name for people, which says what the attacker knows."""
        name = "Worst case" if self.attack == WORST else attack_title(self.attack)
        return f"{name}, {KNOWLEDGE_TITLES[self.knowledge]}"

    def to_json(self) -> dict[str, object]:
        """Return the rates as JSON holds them."""
        named = {"attack": self.attack, "knowledge": self.knowledge, "eps": self.eps}
        return {**named, "before": self.before.to_json(), "after": self.after.to_json()}


def success_after_rejection(table: pa.Table, alpha: float) -> tuple[Success, ...]:
    """Count successes before and after rejection by the fused verdict.

    An image is rejected where the fused verdict raises its alarm, ``p_value <= alpha``, whatever it is then shown as.

    Parameters
    ----------
    table : pyarrow.Table
        With the columns of `SCHEMA`. Every attack has met the same images at every budget.
    alpha : float
        False-positive rate of the verdict, in (0, 1).

    Returns
    -------
    tuple of Success
        Attack by attack in order of appearance, then the worst cases; budgets ascending. An attacker's worst case is
        there where more than one attack is behind it.

    Raises
    ------
    InputError
        If alpha is not in (0, 1).
    DamagedBundleError
        If a column is missing, a p-value or a knowledge is none, or attacks have met different images.
    """
    check_alpha(alpha)
    cells = _cells(table, alpha)
    attacks = list(dict.fromkeys((attack, knowledge) for attack, knowledge, _ in cells))
    budgets = sorted({eps for *_, eps in cells})
    known = [knowledge for _, knowledge in attacks]
    groups: list[tuple[str, Knowledge, Sequence[tuple[str, Knowledge]]]] = [(*one, [one]) for one in attacks]
    if known.count(NONE) > 1:
        groups.append((WORST, NONE, [one for one in attacks if one[1] == NONE]))
    if ADAPTIVE in known and len(attacks) > 1:
        groups.append((WORST, ADAPTIVE, attacks))
    return tuple(
        Success(name, knowledge, eps, *_best(cells, [(*one, eps) for one in members]))
        for name, knowledge, members in groups
        for eps in budgets
    )


def adaptive_shown(table: pa.Table) -> bool:
    """Return whether any attacker behind a table knows the detectors."""
    return ADAPTIVE in table.column(KNOWLEDGE).to_pylist()


@dataclass(frozen=True)
class _Cell:
    """One attack within one budget: per image, by ascending id, whether it ends wrong, and also unrejected."""

    wrong: Bools
    unrejected: Bools


def _best(
    cells: Mapping[tuple[str, Knowledge, int], _Cell], members: Sequence[tuple[str, Knowledge, int]]
) -> list[Rate]:
    chosen = [cells[member] for member in members]
    outcomes = (
        np.any([cell.wrong for cell in chosen], axis=0),
        np.any([cell.unrejected for cell in chosen], axis=0),
    )
    return [Rate(int(outcome.sum()), len(outcome)) for outcome in outcomes]


def _cells(table: pa.Table, alpha: float) -> dict[tuple[str, Knowledge, int], _Cell]:
    missing = sorted(set(SCHEMA.names) - set(table.column_names))
    if missing:
        raise DamagedBundleError(f"The table of attacks lacks {', '.join(missing)}.")
    p_values, ids = numbers(table, P_VALUE), numbers(table, IMAGE_ID)
    if not ((p_values > 0.0) & (p_values <= 1.0)).all():
        raise DamagedBundleError("The table of attacks holds p-values outside (0, 1].")
    wrong = np.asarray(table.column(WRONG).to_pylist(), dtype=np.bool_)
    keys = list(zip(*(table.column(name).to_pylist() for name in (ATTACK, KNOWLEDGE, EPS)), strict=True))
    rows: dict[tuple[str, Knowledge, int], list[int]] = {}
    for row, key in enumerate(keys):
        rows.setdefault(key, []).append(row)
    if any(knowledge not in KNOWLEDGE_TITLES for _, knowledge, _ in rows):
        raise DamagedBundleError(f"The table of attacks knows attackers other than {', '.join(KNOWLEDGE_TITLES)}.")
    ordered = {key: np.asarray(places)[np.argsort(ids[places], kind="stable")] for key, places in rows.items()}
    _check_images([ids[places] for places in ordered.values()])
    _check_budgets(rows)
    return {key: _Cell(wrong[at], wrong[at] & (p_values[at] > alpha)) for key, at in ordered.items()}


def _check_images(met: Sequence[npt.NDArray[np.float64]]) -> None:
    """Refuse attacks that have met different images, or one twice: no worst case could be told."""
    if any(len(np.unique(ids)) != len(ids) or not np.array_equal(ids, met[0]) for ids in met):
        raise DamagedBundleError("The attacks of the table have not all met the same images, each once.")


def _check_budgets(cells: Mapping[tuple[str, Knowledge, int], object]) -> None:
    attacks = {(attack, knowledge) for attack, knowledge, _ in cells}
    if len(cells) != len(attacks) * len({eps for *_, eps in cells}):
        raise DamagedBundleError("The attacks of the table have not all been run within the same budgets.")
