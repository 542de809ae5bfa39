"""The tables of Amirian, Schwenker & Stadelmann (2018): entropy of feature responses."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from telltale.building.versions import Versions
from telltale.detectors.base import Detector, Labels
from telltale.detectors.feature_response import FeatureResponseDetector
from telltale.detectors.feature_squeezing import FeatureSqueezingDetector
from telltale.detectors.tails import BOTH, UPPER
from telltale.recipes import EPS, AttackPlan
from telltale.scores.metrics import FALSE_POSITIVE_RATES, roc_curve
from telltale.studies.tables.figures import against, figure_cell, macro_cell, mean_cell, tpr_cell
from telltale.studies.tables.lab import Lab
from telltale.studies.tables.protocol import LabelledEvidence, Scores, auc_cell, share_cell
from telltale.studies.tables.table import Cell

NATURAL = {"fit": 400, "test": 1200}
PLANS = {
    "FGSM": AttackPlan("fgsm", 400, 500, {"eps": EPS}),
    "Gradient": AttackPlan("gradient", 200, 300),
    "One pixel": AttackPlan("onepixel", 50, 100, {"steps": 30, "popsize": 50}),
    "DeepFool": AttackPlan("deepfool", 400, 500),
    "Boundary": AttackPlan("boundary", 50, 100, {"steps": 300}),
}
TRUE, WRONG = "true class confidence", "wrong class confidence"
# Success, confidences of the true and of the wrong class, TPR at FPR 1, 5 and 10 %.
PAPER_1 = {
    "FGSM": (92.5, 2.2, 58.8, 95.4, 97.3, 98.2),
    "Gradient": (49.8, 5.2, 37.3, 92.1, 95.3, 96.8),
    "One pixel": (61.8, 3.8, 46.7, 91.8, 95.0, 96.5),
    "DeepFool": (60.2, 4.2, 45.5, 93.5, 96.1, 97.1),
    "Boundary": (93.9, 2.3, 58.6, 95.3, 97.2, 98.5),
}
RATE = max(FALSE_POSITIVE_RATES)
RECALL, PRECISION, AUC = "recall", "precision", "AUC"
PAPER_2 = {
    "Feature response": (97.0, 92.0, 99.0),
    "Feature squeezing": (85.9, 91.7, 94.2),
}
AVERAGED = "the mean of all attacks; the paper does not name its threshold, ours lets 10 % of natural images through"
# Published by others on other data; where the paper prints a dash there is none.
OTHERS = {
    "Uncertainty and density": (None, None, 89.0, "needs SVHN and a LeNet with dropout; FGSM"),
    "Adaptive noise reduction": (95.6, 91.1, None, "needs ImageNet (4 classes) and CaffeNet; DeepFool"),
    "Statistical analysis": (99.9, 94.0, None, "retrains the classifier with one class more; MNIST, FGSM, ε 0.3"),
}


@dataclass(frozen=True)
class _Case:
    """What detectors are fitted on, what they are judged by, and every attack on the test images."""

    fit: LabelledEvidence
    test: LabelledEvidence
    attacked: dict[str, Versions]


def table_1(lab: Lab) -> list[Cell]:
    """Success, confidences and detection of every attack, with high entropies suspicious and with both ends."""
    case = _case(lab)
    cells = []
    for attack, versions in case.attacked.items():
        cells += _achieved(attack, versions)
    for tails, suffix in ((UPPER, ""), (BOTH, ", both tails")):
        detector = _fitted(case, tails)
        scores = detector.score(case.test.evidence)
        for attack, plan in PLANS.items():
            rows = against(case.test.labels, plan.name)
            published = (None,) * 3 if suffix else PAPER_1[attack][3:]
            for rate, paper in zip(FALSE_POSITIVE_RATES, published, strict=True):
                column = f"TPR at FPR {100 * rate:g} %"
                judged = (scores[rows], case.test.labels.take(rows))
                cells.append(tpr_cell(attack + suffix, column, paper, rate, *judged, _suspicious(detector)))
    return cells


def table_2(lab: Lab) -> list[Cell]:
    """Feature response and feature squeezing on the same images, others' published figures beside them."""
    case = _case(lab)
    detectors: dict[str, Detector] = {
        "Feature response": _fitted(case, UPPER),
        "Feature response, both tails": _fitted(case, BOTH),
        "Feature squeezing": case.fit.fitted(FeatureSqueezingDetector),
    }
    cells = []
    for method, detector in detectors.items():
        cells += _compared(method, detector.score(case.test.evidence), case.test.labels)
    return [*cells, *_others()]


def _case(lab: Lab) -> _Case:
    plans = list(PLANS.values())
    attacked = {split: lab.attacked(split, plans, [getattr(plan, split) for plan in plans]) for split in NATURAL}
    reference = lab.loaded.reference
    fit, test = (
        LabelledEvidence.of(reference, lab.natural(split, NATURAL[split]), attacked[split]) for split in NATURAL
    )
    return _Case(fit, test, dict(zip(PLANS, attacked["test"], strict=True)))


def _fitted(case: _Case, tails: str) -> FeatureResponseDetector:
    detector = FeatureResponseDetector(tails=tails)
    detector.fit(case.fit.evidence, case.fit.labels)
    return detector


def _suspicious(detector: FeatureResponseDetector) -> str:
    if detector.settings.tails == BOTH:
        return "unusually high and unusually low entropy are suspicious"
    if detector.direction_ > 0:
        return "high entropy is suspicious, as in the paper"
    return "low entropy is suspicious: on the fit split, attacks lower it, unlike in the paper"


def _achieved(attack: str, versions: Versions) -> list[Cell]:
    """Return the attack's success and the mean confidences that it leaves where it succeeds."""
    success, true, wrong = PAPER_1[attack][:3]
    hit = versions.succeeded()
    probabilities, rows = hit.trace.probabilities, np.arange(len(hit))
    return [
        share_cell(attack, "success", success, versions.success),
        mean_cell(attack, TRUE, true, probabilities[rows, hit.labels]),
        mean_cell(attack, WRONG, wrong, probabilities[rows, hit.trace.predictions]),
    ]


def _compared(method: str, scores: Scores, labels: Labels) -> list[Cell]:
    recall, precision, published = PAPER_2.get(method, (None,) * 3)
    cells = [
        figure_cell(method, RECALL, recall, lambda s, t: _recall_and_precision(s, t)[0], scores, labels, AVERAGED),
        figure_cell(
            method, PRECISION, precision, lambda s, t: _recall_and_precision(s, t)[1], scores, labels, AVERAGED
        ),
        macro_cell(method, AUC, published, scores, labels, AVERAGED),
    ]
    for attack, plan in PLANS.items():
        rows = against(labels, plan.name)
        cells.append(auc_cell(method, f"AUC, {attack}", None, scores[rows], labels.take(rows)))
    return cells


def _recall_and_precision(scores: Scores, labels: Labels) -> tuple[float, float]:
    """Return both at the largest false-positive rate not above `RATE`, every attack counting the same.

    Precision is that of as many natural as adversarial images; 0 where the threshold raises no alarm.
    """
    natural = scores[~labels.adversarial]
    curve = roc_curve(natural, scores[labels.adversarial])
    last = int(np.flatnonzero(curve.fpr <= RATE)[-1])
    caught = [(scores[labels.attacks == name] >= curve.thresholds[last]).mean() for name in labels.known_attacks]
    recall = float(np.mean(caught))
    alarms = recall + float(curve.fpr[last])
    return recall, recall / alarms if alarms else 0.0


def _others() -> list[Cell]:
    return [
        Cell(method, column, paper, None, note=why if paper is not None else f"not published; {why}")
        for method, (*figures, why) in OTHERS.items()
        for column, paper in zip((RECALL, PRECISION, AUC), figures, strict=True)
    ]
