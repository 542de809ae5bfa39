"""The table of Carrara et al. (2017): kNN scores of deep features."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import numpy.typing as npt

from telltale.detectors.base import Labels
from telltale.detectors.knn_score import KnnScoreDetector
from telltale.recipes import EPS, AttackPlan
from telltale.studies.tables.figures import against, eer_cell
from telltale.studies.tables.lab import Lab
from telltale.studies.tables.protocol import LabelledEvidence
from telltale.studies.tables.table import Cell

NATURAL, ERRORS = 1100, 1000
# The optimiser takes seconds per image, the single step milliseconds.
PLANS = {
    "L-BFGS": AttackPlan("lbfgs", 0, 100, {"steps": 20, "binary_search_steps": 3}, random_target=True),
    "FGS": AttackPlan("fgsm", 0, 1000, {"eps": EPS}, random_target=True),
}
ERROR = "error"
LAYERS = 3
NEIGHBOURS = 1000
PROCESSED = {"none": "none", "l2": "L2 norm", "pca_whiten": "PCA + whiten"}
WEIGHTED = {"knn": "kNN", "wknn": "W-kNN", "dwknn": "DW-kNN"}
COLUMNS = ("L-BFGS", "FGS", "Aggr.", "Errors")
PAPER_2 = {
    ("none", "knn"): (70.7, 69.9, 70.3, 58.1),
    ("none", "wknn"): (71.2, 70.8, 71.0, 59.6),
    ("none", "dwknn"): (71.0, 69.9, 70.4, 58.6),
    ("l2", "knn"): (79.2, 74.3, 76.7, 60.7),
    ("l2", "wknn"): (81.4, 76.4, 78.9, 62.9),
    ("l2", "dwknn"): (81.7, 76.6, 79.1, 61.6),
    ("pca_whiten", "knn"): (86.4, 83.4, 84.9, 62.9),
    ("pca_whiten", "wknn"): (85.9, 83.8, 84.8, 65.0),
    ("pca_whiten", "dwknn"): (86.5, 83.5, 85.0, 63.6),
}


def table_2(lab: Lab) -> list[Cell]:
    """Accuracy at the equal error rate on the last layers, per processing and weighting."""
    examples = _examples(lab)
    evidence, labels = examples.evidence, examples.labels
    layers = evidence.reference.layers
    cells = []
    # Neighbours are searched once per layer and processing, so the weightings come last.
    for layer, (processing, weighting) in product(reversed(layers[-LAYERS:]), PAPER_2):
        detector = KnnScoreDetector(layer=layers.index(layer), processing=processing, weighting=weighting, k=NEIGHBOURS)
        scores = detector.disagreement(evidence)
        published = PAPER_2[processing, weighting] if layer == layers[-1] else (None,) * len(COLUMNS)
        row = f"{layer}, {PROCESSED[processing]}, {WEIGHTED[weighting]}"
        for column, paper in zip(COLUMNS, published, strict=True):
            rows = _of_column(column, labels)
            cells.append(eer_cell(row, column, paper, scores[rows], labels.take(rows)))
    return cells


def _examples(lab: Lab) -> LabelledEvidence:
    """Join natural images with attacks and, under a name of their own, images that the classifier gets wrong."""
    natural = lab.natural("test", NATURAL, readings=False)
    attacked = lab.attacked("test", list(PLANS.values()), [plan.test for plan in PLANS.values()], readings=False)
    wrong = lab.errors("test", ERRORS, readings=False)
    errors = replace(wrong, attack=ERROR, success=~wrong.success)
    return LabelledEvidence.of(lab.loaded.reference, natural, [*attacked, errors])


def _of_column(column: str, labels: Labels) -> npt.NDArray[np.int64]:
    """Return the natural images and those that a column asks to be found."""
    if column == "Errors":
        return against(labels, ERROR)
    if column != "Aggr.":
        return against(labels, PLANS[column].name)
    names = [plan.name for plan in PLANS.values()]
    rows = against(labels, *names)
    # The attack that can afford more images would outweigh the other: only images that both reached are counted.
    shared = set.intersection(*({int(i) for i in labels.groups[labels.attacks == name]} for name in names))
    return rows[~labels.adversarial[rows] | np.isin(labels.groups[rows], list(shared))]
