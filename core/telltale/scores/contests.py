"""One detector or control against one attack, on stored scores: what ROC curves and operating points are made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from telltale.scores import table
from telltale.scores.controls import CONTROLS, column_of, with_controls
from telltale.scores.titles import attack_title

if TYPE_CHECKING:
    import pyarrow as pa

NATURAL_ERRORS = "natural errors"
EVERY_ATTACK = "all attacks"


@dataclass(frozen=True)
class Contest:
    """One detector against one attack on stored test scores.

    Attributes
    ----------
    detector, attack : str
        Registry names; `detector` may be a control of `telltale.scores.controls`, `attack` may be `NATURAL_ERRORS` or
        `EVERY_ATTACK`.
    natural, adversarial : ScoreSet
    """

    detector: str
    attack: str
    natural: table.ScoreSet
    adversarial: table.ScoreSet

    @property
    def possible(self) -> bool:
        """Whether there are scores on both sides."""
        return len(self.natural) > 0 and len(self.adversarial) > 0

    def rates(self, threshold: float) -> tuple[float, float]:
        """Return the shares of natural and of adversarial images that reach a threshold: (FPR, TPR)."""
        return (
            table.share_at_least(self.natural.values, threshold),
            table.share_at_least(self.adversarial.values, threshold),
        )


def contest(scores: pa.Table, detector: str, attack: str) -> Contest:
    """Gather the test scores of one detector against one attack.

    Parameters
    ----------
    scores : pyarrow Table
        With the columns of `Bundle.scores`.
    detector, attack : str
    """
    scores, column = with_controls(scores) if detector in CONTROLS else scores, column_of(detector)
    natural = table.select_scores(scores, column, table.NATURAL)
    if attack == NATURAL_ERRORS:
        return Contest(detector, attack, natural, table.select_scores(scores, column, table.NATURAL_ERROR))
    chosen = None if attack == EVERY_ATTACK else attack
    return Contest(detector, attack, natural, table.select_scores(scores, column, table.ADVERSARIAL, attack=chosen))


def opponents(scores: pa.Table) -> tuple[str, ...]:
    """Return everything that a detector can be held against: all attacks together, each one, and natural errors."""
    return (EVERY_ATTACK, *table.attacks_in(scores), NATURAL_ERRORS)


def opponent_title(attack: str) -> str:
    """Return the name of an attack, or of what stands in its place, for people."""
    return attack if attack in (NATURAL_ERRORS, EVERY_ATTACK) else attack_title(attack)
