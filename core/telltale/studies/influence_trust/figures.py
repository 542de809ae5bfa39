"""The scores of a study as people read them: mean, interval, and what noise there is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow.compute as pc

from telltale.scores.table import numbers
from telltale.studies.influence_trust.datamodeling import ceiling, intervals_of_means
from telltale.studies.influence_trust.methods import TITLES
from telltale.studies.influence_trust.results import CORRELATION, METHOD, StoredTrust


@dataclass(frozen=True)
class MethodTrust:
    """The linear datamodeling score of one method.

    Attributes
    ----------
    method : str
    score : float
        Mean rank correlation over test images, in [-1, 1].
    low, high : float
        95 % bootstrap interval over test images.
    subset_error : float
        Standard error that comes from which subsets were drawn; not part of the interval.
    """

    method: str
    score: float
    low: float
    high: float
    subset_error: float

    @property
    def title(self) -> str:
        """Name shown to people."""
        return TITLES[self.method]

    def to_json(self) -> dict[str, object]:
        """Return the score as JSON holds it."""
        return {**vars(self), "title": self.title}


def method_trusts(found: StoredTrust) -> tuple[MethodTrust, ...]:
    """Return the score of every method that is stored, in the order of `TITLES`."""
    present = set(found.table.column(METHOD).to_pylist())
    chosen = [method for method in TITLES if method in present]
    rows = np.array([numbers(found.table.filter(pc.field(METHOD) == method), CORRELATION) for method in chosen])
    errors = found.retraining.subset_errors
    return tuple(
        MethodTrust(method, float(row.mean()), float(low), float(high), errors[method])
        for method, row, (low, high) in zip(
            chosen, rows, intervals_of_means(rows, found.origin.plan["seed"]), strict=True
        )
    )


def best_possible(found: StoredTrust) -> float | None:
    """Return about the highest score that any attribution can reach; None where nothing was retrained twice."""
    agreed = found.retraining.agreement
    return None if agreed is None else ceiling(agreed, found.origin.plan["repeats"])
