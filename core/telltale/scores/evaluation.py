"""How well every detector does against every attack, from the scores that a bundle stores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from telltale.base.display import Drawn
from telltale.base.errors import DamagedBundleError
from telltale.detectors.fusion import ERROR_SCORE
from telltale.scores.calibration import check_alpha
from telltale.scores.comparing import JointBootstrap, Macro, PairedComparison
from telltale.scores.controls import controls_in, with_controls
from telltale.scores.metrics import DetectorMetrics, macro_auc
from telltale.scores.rates import Rates, rates_of
from telltale.scores.standings import Standing, all_ahead, standings
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
    scored_detectors,
)

ALPHA = 0.05


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
    controls : tuple of DetectorMetrics
        The same rows of the controls (`telltale.scores.controls`).
    macro_attacks : tuple of str
        Attacks behind the macro figures; empty where one of them has no successes.
    macro : dict of str to Macro or None
        Macro AUC and macro true-positive rate at 5 % with intervals, per detector and per control; None where an
        attack is missing.
    standings : tuple of Standing
        The fused verdict beside the best control and the best single detector; empty without one.
    rates : Rates
        False alarms and what attacked images are shown as; empty without a calibration split.
    scores : pyarrow.Table
        What it was computed from.
    joint : JointBootstrap
        The resamples behind every figure, for further comparisons.
    """

    bundle: str
    rows: tuple[DetectorMetrics, ...]
    macro_auc: dict[str, float | None]
    attacks: tuple[AttackSummary, ...]
    natural_errors: DetectorMetrics | None
    controls: tuple[DetectorMetrics, ...]
    macro_attacks: tuple[str, ...]
    macro: dict[str, Macro | None]
    standings: tuple[Standing, ...]
    rates: Rates
    scores: pa.Table = field(repr=False, compare=False)
    joint: JointBootstrap = field(repr=False, compare=False)

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
            "controls": [row.to_json() for row in self.controls],
            "macro": {name: None if macro is None else macro.to_json() for name, macro in self.macro.items()},
            "standings": [standing.to_json() for standing in self.standings],
            "rates": self.rates.to_json(),
        }


def evaluate_stored(bundle: Scored, alpha: float = ALPHA) -> Evaluation:
    """Evaluate a bundle's detectors on its stored scores.

    Natural images are the correctly classified ones of the test split; adversarial images are their successfully
    attacked versions. Intervals resample whole images with all their versions.

    Parameters
    ----------
    bundle : Scored
    alpha : float
        False-positive rate of `Evaluation.rates`, in (0, 1).

    Raises
    ------
    DamagedBundleError
        If the stored table lacks a column or the natural test images.
    InputError
        If a stored score is not finite, or alpha is not in (0, 1).
    """
    return evaluate_table(bundle.scores, bundle.name, bundle.macro_attacks, bundle.seed, alpha)


def evaluate_table(
    scores: pa.Table,
    name: str,
    macro_attacks: Sequence[str] | None,
    seed: int,
    alpha: float = ALPHA,
    calibration: pa.Table | None = None,
) -> Evaluation:
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
    alpha : float
        False-positive rate of `Evaluation.rates`.
    calibration : pyarrow.Table, optional
        Scores by the same detectors that hold the calibration split, where `scores` do not.

    Raises
    ------
    DamagedBundleError
        If a column or the natural images are missing.
    InputError
        If a score is not finite, or alpha is not in (0, 1).
    """
    check_alpha(alpha)
    test = _Table(with_controls(scores), name).of_split("test")
    attacks = attacks_in(test.rows)
    detectors, controls = scored_detectors(scores), controls_in(scores)
    joint = _joint(test, attacks, seed)
    rows, of_controls = (
        tuple(joint.metrics(one, group) for one in names for group in joint.groups) for names in (detectors, controls)
    )
    wanted = tuple(macro_attacks or attacks)
    whole = _present(joint, wanted)
    known = NATURAL_ERROR in joint.groups and ERROR_SCORE in scores.column_names
    return Evaluation(
        bundle=name,
        rows=rows,
        macro_auc={detector: _macro(rows, detector, wanted) for detector in detectors},
        attacks=tuple(_summarise(test, attack) for attack in attacks),
        natural_errors=joint.metrics(ERROR_SCORE, NATURAL_ERROR, ERROR_SCORE) if known else None,
        controls=of_controls,
        macro_attacks=whole,
        macro={one: joint.macro(one, whole) if whole else None for one in (*detectors, *controls)},
        standings=_standings(joint, scores, whole),
        rates=rates_of(scores, alpha, calibration),
        scores=scores,
        joint=joint,
    )


def stored_joint(bundle: Scored) -> JointBootstrap:
    """Return a bundle's test images as `evaluate_stored` resamples them; nothing is computed until it is asked for.

    Parameters
    ----------
    bundle : Scored

    Raises
    ------
    DamagedBundleError
        If the stored table lacks a column or the natural test images.
    """
    test = _Table(with_controls(bundle.scores), bundle.name).of_split("test")
    return _joint(test, attacks_in(test.rows), bundle.seed)


def stored_standings(bundle: Scored, joint: JointBootstrap) -> tuple[Standing, ...]:
    """Return where a bundle's fused verdict stands, as `evaluate_stored` finds it but in a fraction of the time.

    Parameters
    ----------
    bundle : Scored
    joint : JointBootstrap
        `stored_joint` of it.
    """
    return _standings(joint, bundle.scores, stored_macro_attacks(bundle, joint))


def stored_ahead(bundle: Scored, joint: JointBootstrap) -> tuple[PairedComparison, ...]:
    """Return every detector and control with a larger AUC than a bundle's fused verdict, attack by attack.

    Parameters
    ----------
    bundle : Scored
    joint : JointBootstrap
        `stored_joint` of it.
    """
    return all_ahead(joint, *_compared(joint, bundle.scores, stored_macro_attacks(bundle, joint)))


def stored_macro_attacks(bundle: Scored, joint: JointBootstrap) -> tuple[str, ...]:
    """Return the attacks behind a bundle's macro figures; empty where one of them has no successes."""
    return _present(joint, bundle.macro_attacks or [name for name in joint.groups if name != NATURAL_ERROR])


def _standings(joint: JointBootstrap, scores: pa.Table, macro_attacks: Sequence[str]) -> tuple[Standing, ...]:
    return standings(joint, *_compared(joint, scores, macro_attacks))


def _compared(
    joint: JointBootstrap, scores: pa.Table, macro_attacks: Sequence[str]
) -> tuple[Sequence[str], Sequence[str], Sequence[str], bool]:
    """Return what stands beside the fused verdict, as `standings` takes it."""
    with_errors = NATURAL_ERROR in joint.groups and ERROR_SCORE in scores.column_names
    return scored_detectors(scores), controls_in(scores), macro_attacks, with_errors


def _present(joint: JointBootstrap, macro_attacks: Sequence[str]) -> tuple[str, ...]:
    """Return the macro attacks where all of them have successes, else none."""
    return tuple(macro_attacks) if macro_attacks and set(macro_attacks) <= set(joint.paired) else ()


def _joint(test: _Table, attacks: Sequence[str], seed: int) -> JointBootstrap:
    natural = test.select(NATURAL)
    if natural.num_rows == 0:
        raise DamagedBundleError(
            f"The stored scores of bundle '{test.bundle}' hold no natural test images; build it again."
        )
    groups = {attack: test.select(ADVERSARIAL, attack) for attack in attacks}
    groups[NATURAL_ERROR] = test.select(NATURAL_ERROR)
    return JointBootstrap(natural, {name: rows for name, rows in groups.items() if rows.num_rows > 0}, seed)


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


def _macro(rows: Sequence[DetectorMetrics], detector: str, attacks: Sequence[str]) -> float | None:
    aucs = {row.attack: row.auc for row in rows if row.detector == detector and row.attack in attacks}
    return macro_auc(aucs) if aucs and set(aucs) == set(attacks) else None


def _summarise(test: _Table, attack: str) -> AttackSummary:
    succeeded, n_failed = test.select(ADVERSARIAL, attack), test.select(FAILED, attack).num_rows
    n = succeeded.num_rows
    linf, l2 = (float(numbers(succeeded, norm).mean()) if n else None for norm in (LINF, L2))
    return AttackSummary(attack, n / (n + n_failed) if n + n_failed else 0.0, linf, l2)
