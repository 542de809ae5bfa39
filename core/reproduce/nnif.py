"""The tables of Cohen, Sapiro & Giryes (2020): NNIF and its baselines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
import numpy.typing as npt

from core.bundle.fitting import held_out_scores
from core.bundle.versions import Versions
from core.detectors.base import Detector, Labels
from core.detectors.fusion import FUSED, Fusion
from core.detectors.logistic import LogisticScore
from core.detectors.registry import get_detector
from core.evidence.readings import PixelReadings
from core.evidence.reference import Reference
from core.recipes import AttackPlan
from core.reproduce.lab import Lab
from core.reproduce.layers import last_layer_of_reference, last_layer_of_versions
from core.reproduce.protocol import Examples, auc_cell, balanced_cell, share_cell
from core.reproduce.table import Cell
from core.reproduce.unrounded import unrounded_attack

Scores = npt.NDArray[np.float64]

DETECTORS = ("dknn", "lid", "mahalanobis", "nnif")
TITLES = {"dknn": "DkNN", "lid": "LID", "mahalanobis": "Mahalanobis", "nnif": "NNIF", FUSED: "Fused"}
ATTACKS = ("FGSM", "JSMA", "DeepFool", "C&W", "PGD", "EAD")
FAST, SLOW = (400, 600), (100, 200)  # images attacked for fitting and for the report
OURS = ", ε 8/255"
PLANS = {
    "FGSM": AttackPlan("fgsm", *FAST, {"eps": 0.1}, random_target=True),
    "JSMA": AttackPlan("jsma", *SLOW, {"theta": 1.0, "gamma": 0.1}),
    "DeepFool": AttackPlan("deepfool", *FAST, {"overshoot": 0.02, "steps": 50}),
    "C&W": AttackPlan(
        "cw", *FAST, {"confidence": 0.8, "c0": 0.1, "binary_search_steps": 5, "steps": 300}, random_target=True
    ),
    "PGD": AttackPlan(
        "pgd", *FAST, {"eps": 0.02, "step": 0.002, "steps": 10, "random_start": False}, random_target=True
    ),
    "EAD": AttackPlan("ead", *SLOW, {"beta": 0.01, "binary_search_steps": 9, "steps": 100}, random_target=True),
}
OUR_PLANS = {
    "FGSM": AttackPlan("fgsm", *FAST, {"eps": 8 / 255}),
    "DeepFool": AttackPlan("deepfool", *FAST),
    "C&W": AttackPlan("cw", *FAST),
    "PGD": AttackPlan("pgd", *FAST, {"eps": 8 / 255, "step": 2 / 255, "steps": 10}),
    "EAD": AttackPlan("ead", *SLOW),
}
PAPER_1 = {
    "CIFAR-10": {
        "DkNN": (87.81, 95.37, 95.82, 96.88, 86.83, 85.20),
        "LID": (98.18, 95.74, 95.80, 97.82, 93.24, 83.46),
        "Mahalanobis": (99.80, 99.56, 97.49, 96.48, 94.74, 89.41),
        "NNIF": (99.96, 99.50, 99.32, 99.5, 98.31, 95.09),
    },
    "CIFAR-100": {
        "DkNN": (93.65, 83.46, 76.71, 93.77, 73.78, 78.42),
        "LID": (92.33, 78.63, 51.61, 67.83, 73.71, 51.11),
        "Mahalanobis": (99.87, 96.44, 62.05, 74.43, 78.53, 62.93),
        "NNIF": (99.96, 97.50, 77.17, 96.51, 96.60, 74.86),
    },
    "SVHN": {
        "DkNN": (85.24, 94.61, 91.13, 95.15, 79.07, 84.77),
        "LID": (99.92, 97.06, 93.90, 95.82, 80.12, 87.86),
        "Mahalanobis": (100.00, 99.91, 97.92, 99.18, 94.47, 95.77),
        "NNIF": (100.00, 99.76, 99.06, 99.59, 96.18, 97.40),
    },
}
# Features: ranks and distances of helpful images, ranks and distances of harmful ones.
SUBSETS = tuple(choice for choice in product((False, True), repeat=4) if any(choice))
PAPER_2 = (
    (82.11, 77.03),
    (66.14, 61.47),
    (83.25, 78.44),
    (99.79, 97.68),
    (99.82, 97.51),
    (99.79, 99.29),
    (99.81, 97.34),
    (98.27, 96.69),
    (97.73, 97.21),
    (98.28, 96.73),
    (97.62, 97.12),
    (99.79, 97.73),
    (99.81, 97.78),
    (99.79, 97.71),
    (99.82, 97.86),
)
PAPER_3 = {
    "CIFAR-10": {
        "DkNN": (87.81, 94.89, 95.21, 96.76, 85.10, 83.28),
        "LID": (90.12, 94.67, 95.43, 97.66, 90.29, 82.52),
        "Mahalanobis": (96.80, 98.95, 95.03, 89.57, 91.39, 68.87),
        "NNIF": (87.75, 94.81, 97.98, 98.98, 93.94, 86.95),
    },
    "CIFAR-100": {
        "DkNN": (93.65, 83.16, 62.41, 92.22, 73.60, 62.67),
        "LID": (80.68, 74.33, 52.25, 67.84, 72.25, 52.10),
        "Mahalanobis": (83.90, 90.20, 59.96, 68.72, 69.42, 59.34),
        "NNIF": (87.23, 80.76, 78.82, 93.16, 81.87, 70.49),
    },
    "SVHN": {
        "DkNN": (85.24, 93.43, 89.84, 92.20, 75.99, 79.81),
        "LID": (88.38, 93.93, 91.32, 94.22, 80.26, 84.24),
        "Mahalanobis": (98.14, 99.00, 91.46, 87.51, 86.26, 80.62),
        "NNIF": (91.06, 97.91, 95.79, 98.16, 89.80, 91.99),
    },
}
PAPER_4 = {"C&W": (93.45, 91.43, 90.70, 91.95), "CW-Opt": (90.99, 89.74, 92.29, 90.81)}
SPLITS = ("fit", "test")
EXPLAINED = (200, 300)
WHITEBOX_IMAGES = (100, 200)
WHITEBOX = {"steps": 200, "binary_search_steps": 5}


@dataclass(frozen=True)
class _Case:
    """One attack: what detectors are fitted on, and what they are judged by."""

    fit: Examples
    test: Examples
    attacked: Versions

    def scores(self, names: tuple[str, ...]) -> dict[str, Scores]:
        """Fit detectors and their fusion to `fit`, and score `test`."""
        fitted = {name: self.fit.fitted(get_detector(name)) for name in names}
        found = {name: detector.score(self.test.evidence) for name, detector in fitted.items()}
        return found | {FUSED: _fuse(fitted, self.fit, found)}


def table_1(lab: Lab) -> list[Cell]:
    """Detectors against attacks, at the authors' settings and at ours."""
    cells = [
        *_compare(lab, PLANS, PAPER_1["CIFAR-10"], ""),
        *_compare(lab, OUR_PLANS, {}, OURS),
        _accuracy(lab),
    ]
    return [*cells, *_missing_data(PAPER_1)]


def ablation(lab: Lab) -> list[Cell]:
    """AUC and accuracy of NNIF's feature subsets on DeepFool."""
    case = _cases(lab, {"DeepFool": PLANS["DeepFool"]}, last_layer=True)["DeepFool"]
    detector = case.fit.fitted(get_detector("nnif"))
    columns = [np.hsplit(detector.features(part.evidence), 4) for part in (case.fit, case.test)]  # type: ignore[attr-defined]
    cells = []
    for chosen, (paper_auc, paper_accuracy) in zip(SUBSETS, PAPER_2, strict=True):
        # The paper lists helpful ranks and distances first; the features hold them in the same order.
        fit, test = (
            np.hstack([part for part, wanted in zip(parts, chosen, strict=True) if wanted]) for parts in columns
        )
        model = LogisticScore.fit(fit, case.fit.labels, float(detector.settings["c"]))
        row = " ".join(name for name, wanted in zip(("R↑", "D↑", "R↓", "D↓"), chosen, strict=True) if wanted)
        cells.append(auc_cell(row, "AUC", paper_auc, model.score(test), case.test.labels))
        cells.append(_accuracy_cell(row, "accuracy", paper_accuracy, model.score(fit), model.score(test), case))
    return cells


def explained(lab: Lab) -> list[Cell]:
    """Switch rounding to 8 bits and the leaving out of failed attacks, each by itself."""
    plans = {
        attack: replace(PLANS[attack], fit=EXPLAINED[0], test=EXPLAINED[1])
        for attack in ("FGSM", "DeepFool", "C&W", "PGD")
    }
    natural, rounded = _versions(lab, plans)
    floats = {split: {a: _unrounded(lab, rounded[split][a], plan) for a, plan in plans.items()} for split in SPLITS}
    cells = []
    for rounding, attacked in (("8 bits", rounded), ("floats", floats)):
        for failures, keep in (("failures left out", False), ("failures count as attacks", True)):
            chosen = {split: {a: _all_of(v) if keep else v for a, v in attacked[split].items()} for split in SPLITS}
            for attack, case in _join(lab.loaded.reference, plans, natural, chosen).items():
                for name in ("nnif", "mahalanobis"):
                    scores = case.fit.fitted(get_detector(name)).score(case.test.evidence)
                    row = f"{TITLES[name]}, {rounding}, {failures}"
                    cells.append(auc_cell(row, attack, None, scores, case.test.labels))
    return cells


def transfer(lab: Lab) -> list[Cell]:
    """Detectors fitted on FGSM against attacks that they have not seen."""
    cases = _cases(lab, PLANS, last_layer=True)
    seen = cases["FGSM"].fit
    fitted = {name: seen.fitted(get_detector(name)) for name in DETECTORS}
    paper = PAPER_3["CIFAR-10"]
    cells = []
    for i, (attack, case) in enumerate(cases.items()):
        scores = {name: detector.score(case.test.evidence) for name, detector in fitted.items()}
        for name, values in (scores | {FUSED: _fuse(fitted, seen, scores)}).items():
            title = TITLES[name]
            cells.append(auc_cell(title, attack, paper[title][i] if title in paper else None, values, case.test.labels))
    return [*cells, *_missing_data(PAPER_3)]


def whitebox(lab: Lab) -> list[Cell]:
    """Accuracy of detectors fitted on C&W, against C&W and against CW-Opt."""
    plans = {
        "C&W": AttackPlan("cw_opt", *WHITEBOX_IMAGES, {**WHITEBOX, "weight": 0.0}),
        "CW-Opt": AttackPlan("cw_opt", *WHITEBOX_IMAGES, {**WHITEBOX, "weight": 1.0}),
    }
    cases = _cases(lab, plans, last_layer=True)
    plain = cases["C&W"].fit
    fitted = {name: plain.fitted(get_detector(name)) for name in DETECTORS}
    cells = []
    for attack, case in cases.items():
        for i, (name, detector) in enumerate(fitted.items()):
            known, scores = detector.score(plain.evidence), detector.score(case.test.evidence)
            judged = _Case(plain, case.test, case.attacked)
            cells.append(_accuracy_cell(attack, TITLES[name], PAPER_4[attack][i], known, scores, judged))
        cells.append(share_cell(attack, "attack success", None, case.attacked.success))
    return cells


def _compare(
    lab: Lab, plans: Mapping[str, AttackPlan], paper: Mapping[str, tuple[float, ...]], suffix: str
) -> list[Cell]:
    cells = []
    for attack, case in _cases(lab, plans).items():
        for name, scores in case.scores(DETECTORS).items():
            title = TITLES[name]
            published = paper[title][ATTACKS.index(attack)] if title in paper else None
            cells.append(auc_cell(title + suffix, attack, published, scores, case.test.labels))
        note = "share of attacked test images whose 8-bit version gets another label"
        cells.append(share_cell("Attack success" + suffix, attack, None, case.attacked.success, note))
    return cells


def _cases(lab: Lab, plans: Mapping[str, AttackPlan], last_layer: bool = False) -> dict[str, _Case]:
    natural, attacked = _versions(lab, plans)
    return _join(lab.loaded.reference, plans, natural, attacked, last_layer)


def _versions(lab: Lab, plans: Mapping[str, AttackPlan]) -> tuple[dict[str, Versions], dict[str, dict[str, Versions]]]:
    """Return natural images by split, and attacked ones by split and attack."""
    natural = {
        # Some images are misclassified, so the attacks reach beyond as many natural ones.
        split: lab.natural(split, max(2 * getattr(plan, split) for plan in plans.values()))
        for split in SPLITS
    }
    attacked = {
        split: dict(
            zip(
                plans,
                lab.attacked(split, list(plans.values()), [getattr(p, split) for p in plans.values()]),
                strict=True,
            )
        )
        for split in SPLITS
    }
    return natural, attacked


def _join(
    reference: Reference,
    plans: Mapping[str, AttackPlan],
    natural: Mapping[str, Versions],
    attacked: Mapping[str, Mapping[str, Versions]],
    last_layer: bool = False,
) -> dict[str, _Case]:
    cases = {}
    for attack in plans:
        parts = {
            split: (_of_the_same(natural[split], attacked[split][attack]), attacked[split][attack]) for split in SPLITS
        }
        if last_layer:
            parts = {split: tuple(map(last_layer_of_versions, pair)) for split, pair in parts.items()}  # type: ignore[misc]
        known = last_layer_of_reference(reference) if last_layer else reference
        fit, test = (Examples.of(known, pair[0], [pair[1]]) for pair in parts.values())
        cases[attack] = _Case(fit, test, attacked["test"][attack])
    return cases


def _unrounded(lab: Lab, rounded: Versions, plan: AttackPlan) -> Versions:
    """Return the same attack's images before rounding; what was measured on pixels is not measured again."""
    classifier, seed = lab.loaded.classifier, lab.loaded.bundle.manifest.seed
    images = lab.image_set.images(rounded.ids)
    attacked = unrounded_attack(classifier, images, rounded.labels, plan, seed)
    trace = classifier.trace(attacked)
    changed = (trace.predictions != rounded.labels) & (attacked != images).any((1, 2, 3))
    return replace(rounded, trace=trace, readings=PixelReadings.unknown(len(rounded)), success=changed)


def _all_of(attacked: Versions) -> Versions:
    """Call every attempt adversarial."""
    return replace(attacked, success=np.ones(len(attacked), dtype=np.bool_))


def _of_the_same(natural: Versions, attacked: Versions) -> Versions:
    """Return natural images only as far as the attack got, so that both kinds show the same images."""
    return natural.take(np.flatnonzero(np.isin(natural.ids, attacked.ids)))


def _fuse(fitted: Mapping[str, Detector], fit: Examples, scores: Mapping[str, Scores]) -> Scores:
    held_out = {name: held_out_scores(detector, fit.evidence, fit.labels) for name, detector in fitted.items()}
    none = {name: np.empty(0) for name in fitted}
    attacks = tuple(str(name) for name in np.unique(fit.labels.attacks[fit.labels.adversarial]))
    return Fusion.fit(held_out, fit.labels, none, attacks)[0].combine(scores).attack


def _accuracy_cell(row: str, column: str, paper: float, fit: Scores, test: Scores, case: _Case) -> Cell:
    """Return the balanced accuracy on test images at the threshold that is best on the fit split."""
    limit = _best_threshold(fit, case.fit.labels)
    return balanced_cell(row, column, paper, test >= limit, case.test.labels.adversarial)


def _best_threshold(scores: Scores, labels: Labels) -> float:
    candidates = np.unique(scores)
    hit = np.sort(scores[labels.adversarial])
    clean = np.sort(scores[~labels.adversarial])
    found = 1.0 - np.searchsorted(hit, candidates) / len(hit) + np.searchsorted(clean, candidates) / len(clean)
    return float(candidates[int(found.argmax())])


def _accuracy(lab: Lab) -> Cell:
    natural = lab.natural("test", 10_000)
    return share_cell("Classifier accuracy", "natural", None, natural.success, "the paper's networks: 93 to 95 %")


def _missing_data(paper: Mapping[str, Mapping[str, tuple[float, ...]]]) -> list[Cell]:
    """Return the published figures of data that no bundle here was built on."""
    return [
        Cell(f"{data}: {title}", attack, value, None, note=f"needs {data} and a network trained on it")
        for data, rows in paper.items()
        if data != "CIFAR-10"
        for title, values in rows.items()
        for attack, value in zip(ATTACKS, values, strict=True)
    ]
