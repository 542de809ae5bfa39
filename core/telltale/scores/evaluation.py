"""How well every detector does against every attack, from the scores that a bundle stores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from telltale.base.display import Drawn
from telltale.base.errors import DamagedBundleError
from telltale.detectors.fusion import ERROR_SCORE
from telltale.scores.metrics import DetectorMetrics, evaluate_detector, macro_auc
from telltale.scores.table import (
    ADVERSARIAL,
    ATTACK,
    FAILED,
    IMAGE_ID,
    KIND,
    L2,
    LINF,
    NATURAL,
    NATURAL_ERROR,
    SPLIT,
    Scored,
    attacks_in,
    numbers,
    score_column,
    scored_detectors,
)


@dataclass(frozen=True)
class AttackSummary:
    """What one attack achieved on the test images.

    Attributes
    ----------
    attack : str
    success_rate : float
        Share of attacked images that got another label on the 8-bit grid.
    linf, l2 : float or None
        Mean norm of the successful perturbations in [0, 1] pixel units; None where none succeeded.
    """

    attack: str
    success_rate: float
    linf: float | None
    l2: float | None


@dataclass(frozen=True)
class Evaluation(Drawn):
    """Every figure that is reported about a bundle's detectors, on its test split.

    Attributes
    ----------
    bundle : str
    rows : tuple of DetectorMetrics
        One per detector and attack, and one per detector against natural errors.
    macro_auc : dict of str to float or None
        Unweighted mean over the bundle's macro attacks, per detector; None where one of them has no AUC.
    attacks : tuple of AttackSummary
    natural_errors : DetectorMetrics or None
        How well the fusion's score of natural errors tells them from correctly classified images; None where it was
        not fitted or there is no error.
    scores : pyarrow.Table
        What it was computed from.
    """

    bundle: str
    rows: tuple[DetectorMetrics, ...]
    macro_auc: dict[str, float | None]
    attacks: tuple[AttackSummary, ...]
    natural_errors: DetectorMetrics | None
    scores: pa.Table = field(repr=False, compare=False)

    def to_json(self) -> dict[str, object]:
        """Return the stable JSON object of ``telltale evaluate --json``."""
        return {
            "bundle": self.bundle,
            "rows": [row.to_json() for row in self.rows],
            "macro_auc": dict(self.macro_auc),
            "attacks": [
                {"attack": a.attack, "success_rate": a.success_rate, "linf": a.linf, "l2": a.l2} for a in self.attacks
            ],
            "natural_errors": None if self.natural_errors is None else self.natural_errors.to_json(),
        }


def evaluate_stored(bundle: Scored) -> Evaluation:
    """Evaluate a bundle's detectors on its stored scores.

    Natural images are the correctly classified ones of the test split; adversarial images are their successfully
    attacked versions. Intervals resample whole images with all their versions.

    Parameters
    ----------
    bundle : Scored

    Raises
    ------
    DamagedBundleError
        If the stored table lacks a column or the natural test images.
    InputError
        If a stored score is not finite.
    """
    return evaluate_table(bundle.scores, bundle.name, bundle.macro_attacks, bundle.seed)


def evaluate_table(scores: pa.Table, name: str, macro_attacks: Sequence[str] | None, seed: int) -> Evaluation:
    """Evaluate the detectors of a table of scores.

    Parameters
    ----------
    scores : pyarrow.Table
        With the columns of `Bundle.scores`; only rows of the test split count.
    name : str
        Name of the bundle.
    macro_attacks : sequence of str, optional
        Attacks behind the macro AUC; all by default.
    seed : int
        Seeds the bootstrap.

    Raises
    ------
    DamagedBundleError
        If a column or the natural images are missing.
    InputError
        If a score is not finite.
    """
    test = _Table(scores, name).of_split("test")
    attacks = attacks_in(test.rows)
    detectors = scored_detectors(scores)
    natural = test.select(NATURAL)
    if natural.num_rows == 0:
        raise DamagedBundleError(f"The stored scores of bundle '{name}' hold no natural test images; build it again.")
    groups = {attack: test.select(ADVERSARIAL, attack) for attack in attacks}
    groups[NATURAL_ERROR] = test.select(NATURAL_ERROR)
    rows = tuple(
        _compare(detector, attack, natural, images, seed)
        for detector in detectors
        for attack, images in groups.items()
        if images.num_rows > 0
    )
    macro = {detector: _macro(rows, detector, macro_attacks or attacks) for detector in detectors}
    summaries = tuple(_summarise(attack, groups[attack], test.select(FAILED, attack).num_rows) for attack in attacks)
    errors = groups[NATURAL_ERROR]
    known = errors.num_rows > 0 and ERROR_SCORE in scores.column_names
    found = _compare(ERROR_SCORE, NATURAL_ERROR, natural, errors, seed, ERROR_SCORE) if known else None
    return Evaluation(name, rows, macro, summaries, found, scores)


@dataclass(frozen=True)
class _Table:
    """Stored scores with their columns checked."""

    rows: pa.Table
    bundle: str

    def __post_init__(self) -> None:
        needed = {IMAGE_ID, SPLIT, KIND, ATTACK, LINF, L2}
        missing = sorted(needed - set(self.rows.column_names))
        if missing:
            raise DamagedBundleError(f"The stored scores of bundle '{self.bundle}' lack {', '.join(missing)}.")

    def of_split(self, split: str) -> _Table:
        return _Table(self.rows.filter(pc.field(SPLIT) == split), self.bundle)

    def select(self, kind: str, attack: str = "") -> pa.Table:
        return self.rows.filter((pc.field(KIND) == kind) & (pc.field(ATTACK) == attack))


def _compare(
    detector: str, attack: str, natural: pa.Table, images: pa.Table, seed: int, column: str | None = None
) -> DetectorMetrics:
    column = column or score_column(detector)
    natural_ids, ids = numbers(natural, IMAGE_ID), numbers(images, IMAGE_ID)
    # Natural errors are other images than the natural ones: there is nothing to resample together.
    paired = bool(np.isin(ids, natural_ids).any())
    return evaluate_detector(
        detector,
        attack,
        numbers(natural, column),
        numbers(images, column),
        seed=seed,
        natural_groups=natural_ids if paired else None,
        adversarial_groups=ids if paired else None,
    )


def _macro(rows: Sequence[DetectorMetrics], detector: str, attacks: Sequence[str]) -> float | None:
    aucs = {row.attack: row.auc for row in rows if row.detector == detector and row.attack in attacks}
    return macro_auc(aucs) if aucs and set(aucs) == set(attacks) else None


def _summarise(attack: str, succeeded: pa.Table, n_failed: int) -> AttackSummary:
    n = succeeded.num_rows
    linf, l2 = (float(numbers(succeeded, norm).mean()) if n else None for norm in (LINF, L2))
    return AttackSummary(attack, n / (n + n_failed) if n + n_failed else 0.0, linf, l2)
