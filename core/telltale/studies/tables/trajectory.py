"""The tables of Carrara et al. (2018): trajectories in pivot-distance spaces."""

from __future__ import annotations

from collections.abc import Mapping

from telltale.base.parameters import ParameterValue
from telltale.detectors.trajectory import TrajectoryDetector
from telltale.recipes import AttackPlan
from telltale.studies.tables.figures import against, macro_cell
from telltale.studies.tables.lab import Lab
from telltale.studies.tables.protocol import LabelledEvidence, auc_cell, share_cell
from telltale.studies.tables.table import Cell

FIT, TEST = 400, 200
L_BFGS = AttackPlan("lbfgs", 50, 100, {"steps": 20, "binary_search_steps": 3}, random_target=True)
LEVELS = (20, 40, 60, 80)
STEP, STEPS = 20, 10
# The authors' images were divided by the standard deviation of ImageNet's channels, about 0.225, before the attack.
APPLIED, PRINTED = "ε as applied", "ε as printed"
SCALES = {APPLIED: 0.225 / 255, PRINTED: 1 / 255}
TITLES = {"lbfgs": "L-BFGS", "fgsm": "FGSM", "bim": "BIM", "pgd": "PGD", "mifgsm": "MI-FGSM"}
PAPER_1 = {
    "L-BFGS": 99.8,
    "FGSM 20/255": 94.4,
    "FGSM 40/255": 92.0,
    "FGSM 60/255": 91.1,
    "FGSM 80/255": 91.4,
    **{f"{attack} {level}/255": 100.0 for attack in ("BIM", "PGD", "MI-FGSM") for level in LEVELS},
}
PAPER_2 = {
    "LSTM + M + cos": (85.4, 99.6, 99.7, 99.7, 99.7, 96.8),
    "LSTM + M + L2": (74.3, 99.6, 99.8, 99.8, 100.0, 94.7),
    "MLP + M + cos": (55.1, 99.2, 99.6, 99.5, 99.8, 90.7),
    "MLP + M + L2": (68.1, 97.6, 99.8, 99.9, 100.0, 93.1),
    "LSTM + C + cos": (70.9, 81.1, 78.4, 78.4, 93.0, 80.4),
    "LSTM + C + L2": (48.2, 85.4, 81.9, 81.6, 87.2, 76.9),
    "MLP + C + cos": (38.8, 69.4, 88.1, 87.8, 96.2, 76.1),
    "MLP + C + L2": (62.6, 82.0, 99.0, 98.9, 100.0, 88.5),
}
SHORT = {"lstm": "LSTM", "mlp": "MLP", "medoid": "M", "centroid": "C", "cosine": "cos", "l2": "L2"}


def table_1(lab: Lab) -> list[Cell]:
    """Success of every attack and ε, in the authors' normalised space and in pixels."""
    cells = []
    for column, scale in SCALES.items():
        plans = attack_plans(scale)
        found = lab.attacked("test", list(plans.values()), [plan.test for plan in plans.values()], readings=False)
        for (row, plan), versions in zip(plans.items(), found, strict=True):
            cells.append(share_cell(row, column, PAPER_1[row], versions.success, in_pixels(plan)))
    return cells


def table_2(lab: Lab) -> list[Cell]:
    """AUC of both networks over both pivots and distances, per attack and on average."""
    fit, test = (_examples(lab, split) for split in ("fit", "test"))
    settings = {_row(choice): choice for choice in TrajectoryDetector.candidates(fit.evidence)}
    cells = []
    for i, (row, paper) in enumerate(PAPER_2.items()):
        lab.progress(i / len(PAPER_2), f"Training {row}")
        detector = TrajectoryDetector(**settings[row]).fit(fit.evidence, fit.labels)
        scores = detector.score(test.evidence)
        for (name, title), published in zip(TITLES.items(), paper, strict=False):
            rows = against(test.labels, name)
            cells.append(auc_cell(row, title, published, scores[rows], test.labels.take(rows)))
        cells.append(macro_cell(row, "Macro-AUC", paper[-1], scores, test.labels))
    return cells


def attack_plans(scale: float) -> dict[str, AttackPlan]:
    """Return the attacks of both tables by row.

    Parameters
    ----------
    scale : float
        Size in pixels of one of the paper's 255ths of ε.
    """
    plans = {"L-BFGS": L_BFGS}
    for name in ("fgsm", "bim", "pgd", "mifgsm"):
        steps: dict[str, ParameterValue] = {} if name == "fgsm" else {"step": STEP * scale, "steps": STEPS}
        for level in LEVELS:
            plans[f"{TITLES[name]} {level}/255"] = AttackPlan(name, FIT, TEST, {"eps": level * scale, **steps})
    return plans


def _examples(lab: Lab, split: str) -> LabelledEvidence:
    plans = list(attack_plans(SCALES[APPLIED]).values())
    attacked = lab.attacked(split, plans, [getattr(plan, split) for plan in plans], readings=False)
    return LabelledEvidence.of(lab.loaded.reference, lab.natural(split, FIT, readings=False), attacked)


def _row(settings: Mapping[str, ParameterValue]) -> str:
    return " + ".join(SHORT[str(settings[name])] for name in ("architecture", "pivot", "distance"))


def in_pixels(plan: AttackPlan) -> str:
    """Say how large an attack's ε is in pixels."""
    if "eps" not in plan.parameters:
        return "no ε; the same in both columns"
    return f"ε {255 * float(plan.parameters['eps']):.1f}/255 in pixels"
