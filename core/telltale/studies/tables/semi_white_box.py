"""Table 6 of Zheng & Hong (2018): attacks on a known classifier whose I-defender the attacker does not know."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from telltale.base.parameters import ParameterValue
from telltale.building.versions import Versions
from telltale.detectors.idefender import IDefender
from telltale.recipes import AttackPlan
from telltale.studies.tables.hidden_states import QUANTILE, RAW, Judge, StateForm, StateModel
from telltale.studies.tables.lab import Lab
from telltale.studies.tables.protocol import LabelledEvidence, auc_cell, balanced_cell, share_cell
from telltale.studies.tables.table import Cell

TRIED, SHOWN = 150, 500  # images attacked to find the strengths, and for the report
CALIBRATION = 600
LEVEL = 1 / 255


@dataclass(frozen=True)
class Column:
    """An attack and how much accuracy it is to leave.

    Attributes
    ----------
    attack : str
        Key of `STRENGTHS`.
    accuracy : float
        The classifier's on attacked images, in percent, as published.
    """

    attack: str
    accuracy: float

    @property
    def title(self) -> str:
        """As in the paper."""
        return f"{self.attack}, {self.accuracy:.2f} %"


COLUMNS = (
    Column("Iter-L∞", 13.14),
    Column("Iter-L2", 10.80),
    Column("FGSM", 27.84),
    Column("DeepFool", 24.53),
    Column("Iter-L∞", 29.56),
    Column("FGSM", 45.68),
)
PAPER = {
    "SVM": (83.6, 84.840, 75.545, 78.305, 76.330, 61.755),
    "mSVM": (92.52, 93.915, 74.480, 86.635, 76.670, 60.895),
    "Subnet": (98.235, 98.660, 68.980, 49.270, 49.295, 49.27),
    "ID-95": (81.28, 79.398, 87.464, 87.636, 78.730, 85.024),
    "ID-99": (79.04, 74.173, 90.485, 90.709, 74.580, 87.596),
}
KEEPS = {"ID-95": 0.95, "ID-99": 0.99}


def _plan(name: str, **parameters: ParameterValue) -> AttackPlan:
    return AttackPlan(name, TRIED, SHOWN, parameters)


# Strengths that can be told apart on the 8-bit grid; the paper gives none, only what they leave of the accuracy.
STRENGTHS: Mapping[str, Sequence[AttackPlan]] = {
    "Iter-L∞": [_plan("bim", eps=k * LEVEL, step=k * LEVEL / 5, steps=10) for k in (1, 2, 3, 4)],
    "Iter-L2": [
        _plan("pgd_l2", eps=eps, step=eps / 5, steps=10, random_start=False) for eps in (0.1, 0.15, 0.2, 0.3, 0.4, 0.5)
    ],
    "FGSM": [_plan("fgsm", eps=k * LEVEL) for k in (1, 2, 3, 4, 6, 8)],
    "DeepFool": [_plan("deepfool", steps=steps) for steps in (1, 2, 3, 50)],
}


def table_6(lab: Lab) -> list[Cell]:
    """I-defender of the bundle against attacks that leave about the published accuracy."""
    plans = _matched(lab)
    distinct = list({str(plan): plan for plan in plans}.values())
    found = lab.attacked("test", distinct, [SHOWN] * len(distinct), readings=False)
    attacked = {str(plan): versions for plan, versions in zip(distinct, found, strict=True)}
    last = max(int(versions.ids[-1]) for versions in found)
    natural = lab.natural("test", int((lab.loaded.bundle.splits.test <= last).sum()), readings=False)
    judge = bundle_judge(lab)
    cells = [
        cell
        for i, (column, plan) in enumerate(zip(COLUMNS, plans, strict=True))
        for cell in _column(lab, judge, natural, attacked[str(plan)], column, plan, i)
    ]
    return [*cells, *_supervised()]


def bundle_judge(lab: Lab) -> Judge:
    """Return the bundle's own I-defender, with the calibration images as it sees them."""
    densities = lab.loaded.reference.densities
    form = StateForm(lab.loaded.bundle.layers[-1], False, densities.settings.dimensions)
    return Judge.of(StateModel(form, densities), lab.natural("calibration", CALIBRATION, readings=False).trace)


def _matched(lab: Lab) -> list[AttackPlan]:
    """Return the strength for every column whose accuracy on attacked fit images is nearest to the published one."""
    clean = lab.loaded.bundle.manifest.accuracies["fit"]
    left: dict[str, list[float]] = {}
    for attack, plans in STRENGTHS.items():
        found = lab.attacked("fit", plans, [TRIED] * len(plans), readings=False)
        left[attack] = [100.0 * clean * float(1.0 - versions.success.mean()) for versions in found]
    return [
        STRENGTHS[column.attack][int(np.abs(np.array(left[column.attack]) - column.accuracy).argmin())]
        for column in COLUMNS
    ]


def _column(
    lab: Lab, judge: Judge, natural: Versions, attacked: Versions, column: Column, plan: AttackPlan, place: int
) -> list[Cell]:
    """Return one column's cells; natural images are those that were attacked."""
    seen = natural.take(np.flatnonzero(np.isin(natural.ids, attacked.ids)))
    case = LabelledEvidence.of(lab.loaded.reference, seen, [attacked])
    strength = ", ".join(f"{name} {value:.3g}" for name, value in plan.parameters.items() if name != "random_start")
    note = f"{plan.name}, {strength}; strength chosen on fit images, the nearest that was tried"
    return [
        *_decided(judge, case, column, place),
        *_scored(lab, judge, case, column),
        share_cell("Adv Acc", column.title, column.accuracy, _still_right(natural, attacked), note),
    ]


def _decided(judge: Judge, case: LabelledEvidence, column: Column, place: int) -> list[Cell]:
    """Return the balanced accuracies at the thresholds that the paper names; none where no attack succeeded."""
    adversarial = case.labels.adversarial
    if not adversarial.any():
        return []
    return [
        balanced_cell(
            row,
            column.title,
            PAPER[row][place],
            judge.rejects(case.evidence.trace, keep),
            adversarial,
            f"balanced accuracy at thresholds that keep {keep:.0%} of the calibration images: the paper says AUC, but "
            "its two rows differ on the same scores",
        )
        for row, keep in KEEPS.items()
    ]


def _scored(lab: Lab, judge: Judge, case: LabelledEvidence, column: Column) -> list[Cell]:
    """Return the AUCs of both scores and of the bundle's own detector."""
    scores, own = judge.scores(case.evidence.trace), lab.loaded.detectors[IDefender.name]
    settings = ", ".join(f"{name} {value}" for name, value in own.settings.values().items())
    rows = [(f"I-defender, {variant}", scores[variant], "") for variant in (RAW, QUANTILE)]
    rows.append(("I-defender as in the bundle", own.score(case.evidence), settings))
    return [auc_cell(row, column.title, None, values, case.labels, note) for row, values, note in rows]


def _still_right(natural: Versions, attacked: Versions) -> npt.NDArray[np.bool_]:
    """Return which of the first images are got right under attack; those got wrong without one stay wrong."""
    first = natural.ids <= attacked.ids[-1]
    return np.asarray(np.isin(natural.ids[first], attacked.ids[~attacked.success]))


def _supervised() -> list[Cell]:
    note = "not run here: trained on the first column's attack; published by Lu et al. (2017) and Metzen et al. (2017)"
    return [
        Cell(row, column.title, PAPER[row][i], None, note=note)
        for row in PAPER
        if row not in KEEPS
        for i, column in enumerate(COLUMNS)
    ]
