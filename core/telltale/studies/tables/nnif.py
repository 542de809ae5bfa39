"""The tables of Cohen, Sapiro & Giryes (2020): NNIF and its baselines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import product

import numpy as np

from telltale.building.versions import Versions
from telltale.detectors.base import Labels
from telltale.detectors.fusion import FUSED
from telltale.detectors.logistic import LogisticScore
from telltale.detectors.nnif import NnifDetector
from telltale.recipes import AttackPlan
from telltale.studies.tables.lab import Lab
from telltale.studies.tables.nnif_published import PAPER_1, PAPER_2, PAPER_3, PAPER_4
from telltale.studies.tables.protocol import Scores, auc_cell, balanced_cell, share_cell
from telltale.studies.tables.retrained_lab import RetrainedLab
from telltale.studies.tables.table import Cell
from telltale.studies.tables.trials import Trial
from telltale.studies.tables.unrounded import unrounded_attack

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
        "cw", *SLOW, {"confidence": 0.8, "c0": 0.1, "binary_search_steps": 5, "steps": 300}, random_target=True
    ),
    "PGD": AttackPlan(
        "pgd", *FAST, {"eps": 0.02, "step": 0.002, "steps": 10, "random_start": False}, random_target=True
    ),
    "EAD": AttackPlan("ead", *SLOW, {"beta": 0.01, "binary_search_steps": 9, "steps": 100}, random_target=True),
}
OUR_PLANS = {
    "FGSM": AttackPlan("fgsm", *FAST, {"eps": 8 / 255}),
    "DeepFool": AttackPlan("deepfool", *FAST),
    "C&W": AttackPlan("cw", *SLOW),
    "PGD": AttackPlan("pgd", *FAST, {"eps": 8 / 255, "step": 2 / 255, "steps": 10}),
    "EAD": AttackPlan("ead", *SLOW),
}
# Features: ranks and distances of helpful images, ranks and distances of harmful ones.
SUBSETS = tuple(choice for choice in product((False, True), repeat=4) if any(choice))
SPLITS = ("fit", "test")
EXPLAINED = (200, 300)
SHORTER_TRAINING = {", 1 epoch": 1, ", 4 epochs": 4}
WHITEBOX_IMAGES = (100, 200)
WHITEBOX = {"steps": 200, "binary_search_steps": 5}


def table_1(lab: Lab) -> list[Cell]:
    """Detectors against attacks, at the authors' settings and at ours."""
    trials = _trials(lab, PLANS), _trials(lab, OUR_PLANS)
    found = iter(lab.scored([trial for block in trials for trial in block.values()]))
    cells = []
    for block, paper, suffix in zip(trials, (PAPER_1["CIFAR-10"], {}), ("", OURS), strict=True):
        for attack, trial in block.items():
            cells += _compared(attack, trial, next(found)[0], paper, suffix)
    return [*cells, _accuracy(lab), *_missing_data(PAPER_1)]


def ablation(lab: Lab) -> list[Cell]:
    """AUC and accuracy of NNIF's feature subsets on DeepFool."""
    trial = _trials(lab, {"DeepFool": PLANS["DeepFool"]}, last_layer=True)["DeepFool"]
    fit, (test,) = trial.examples(lab.loaded.reference)
    detector = fit.fitted(NnifDetector)
    assert isinstance(detector, NnifDetector)
    columns = [np.hsplit(detector.features(part.evidence), 4) for part in (fit, test)]
    cells = []
    for chosen, (paper_auc, paper_accuracy) in zip(SUBSETS, PAPER_2, strict=True):
        # The paper lists helpful ranks and distances first; the features hold them in the same order.
        known, shown = (
            np.hstack([part for part, wanted in zip(parts, chosen, strict=True) if wanted]) for parts in columns
        )
        model = LogisticScore.fit(known, fit.labels, detector.settings.c)
        row = " ".join(name for name, wanted in zip(("R↑", "D↑", "R↓", "D↓"), chosen, strict=True) if wanted)
        scores = model.score(shown)
        cells.append(auc_cell(row, "AUC", paper_auc, scores, test.labels))
        threshold = _best_threshold(model.score(known), fit.labels)
        cells.append(_accuracy_cell(row, "accuracy", paper_accuracy, scores, test.labels, threshold))
    return cells


def explained(lab: Lab) -> list[Cell]:
    """Switch rounding to 8 bits and the leaving out of failed attacks, each by itself."""
    plans = _explained_plans()
    natural, rounded = _versions(lab, plans)
    floats = {split: {a: _unrounded(lab, rounded[split][a], plan) for a, plan in plans.items()} for split in SPLITS}
    trials = {}
    for rounding, attacked in (("8 bits", rounded), ("floats", floats)):
        for failures, keep in (("failures left out", False), ("failures count as attacks", True)):
            chosen = {split: {a: _all_of(v) if keep else v for a, v in attacked[split].items()} for split in SPLITS}
            for attack in plans:
                trial = _trial(("nnif", "mahalanobis"), natural, chosen, attack)
                trials[f"{rounding}, {failures}", attack] = replace(trial, fused=False)
    return [
        auc_cell(f"{TITLES[name]}, {setting}", attack, None, scores, trial.labels(0))
        for ((setting, attack), trial), (found,) in zip(trials.items(), lab.scored(list(trials.values())), strict=True)
        for name, scores in found.items()
    ]


def by_classifier(lab: Lab) -> list[Cell]:
    """Repeat a part of Table 1 with networks trained for fewer epochs, all else alike."""
    labs = {suffix: RetrainedLab.of(lab, epochs) for suffix, epochs in SHORTER_TRAINING.items()}
    cells = []
    for suffix, chosen in {**labs, ", the bundle's": lab}.items():
        trials = _trials(chosen, _explained_plans())
        for (attack, trial), (found,) in zip(trials.items(), chosen.scored(list(trials.values())), strict=True):
            cells += _compared(attack, trial, found, PAPER_1["CIFAR-10"], suffix)
        cells.append(_accuracy(chosen, suffix))
    return cells


def transfer(lab: Lab) -> list[Cell]:
    """Detectors fitted on FGSM against attacks that they have not seen."""
    trials = _trials(lab, PLANS, last_layer=True)
    trial = replace(trials["FGSM"], tests=tuple(trials[attack].tests[0] for attack in PLANS))
    paper = PAPER_3["CIFAR-10"]
    cells = []
    for i, (attack, scores) in enumerate(zip(PLANS, lab.scored([trial])[0], strict=True)):
        for name, values in scores.items():
            title = TITLES[name]
            cells.append(auc_cell(title, attack, paper[title][i] if title in paper else None, values, trial.labels(i)))
    return [*cells, *_missing_data(PAPER_3)]


def whitebox(lab: Lab) -> list[Cell]:
    """Accuracy of detectors fitted on C&W, against C&W and against CW-Opt."""
    plans = {
        "C&W": AttackPlan("cw_opt", *WHITEBOX_IMAGES, {**WHITEBOX, "weight": 0.0}),
        "CW-Opt": AttackPlan("cw_opt", *WHITEBOX_IMAGES, {**WHITEBOX, "weight": 1.0}),
    }
    trials = _trials(lab, plans, last_layer=True)
    plain = trials["C&W"]
    trial = replace(plain, tests=(plain.fit, *(trials[attack].tests[0] for attack in plans)), fused=False)
    known, *found = lab.scored([trial])[0]
    thresholds = {name: _best_threshold(scores, trial.labels(0)) for name, scores in known.items()}
    cells = []
    for i, (attack, scores) in enumerate(zip(plans, found, strict=True), start=1):
        for paper, (name, values) in zip(PAPER_4[attack], scores.items(), strict=True):
            cells.append(_accuracy_cell(attack, TITLES[name], paper, values, trial.labels(i), thresholds[name]))
        cells.append(share_cell(attack, "attack success", None, trial.tests[i][1].success))
    return cells


def _compared(
    attack: str, trial: Trial, found: Mapping[str, Scores], paper: Mapping[str, tuple[float, ...]], suffix: str
) -> list[Cell]:
    """Return one attack's column: every detector's AUC, and how often the attack succeeded."""
    cells = []
    for name, scores in found.items():
        title = TITLES[name]
        published = paper[title][ATTACKS.index(attack)] if title in paper else None
        cells.append(auc_cell(title + suffix, attack, published, scores, trial.labels(0)))
    note = "share of attacked test images whose 8-bit version gets another label"
    return [*cells, share_cell("Attack success" + suffix, attack, None, trial.tests[0][1].success, note)]


def _explained_plans() -> dict[str, AttackPlan]:
    """Return the fast attacks at the authors' settings, on fewer images than in Table 1."""
    plans = {name: PLANS[name] for name in ("FGSM", "DeepFool", "C&W", "PGD")}
    return {name: _at_most(plan, *EXPLAINED) for name, plan in plans.items()}


def _at_most(plan: AttackPlan, fit: int, test: int) -> AttackPlan:
    return replace(plan, fit=min(plan.fit, fit), test=min(plan.test, test))


def _trials(lab: Lab, plans: Mapping[str, AttackPlan], last_layer: bool = False) -> dict[str, Trial]:
    """Return the table's detectors and their fusion fitted on every attack and judged by it."""
    natural, attacked = _versions(lab, plans)
    return {
        attack: replace(_trial(DETECTORS, natural, attacked, attack), last_layer=last_layer, fused=True)
        for attack in plans
    }


def _trial(
    detectors: tuple[str, ...],
    natural: Mapping[str, Versions],
    attacked: Mapping[str, Mapping[str, Versions]],
    attack: str,
) -> Trial:
    fit, test = ((_of_the_same(natural[split], attacked[split][attack]), attacked[split][attack]) for split in SPLITS)
    return Trial(detectors, fit, (test,))


def _versions(lab: Lab, plans: Mapping[str, AttackPlan]) -> tuple[dict[str, Versions], dict[str, dict[str, Versions]]]:
    """Return natural images by split, and attacked ones by split and attack."""
    natural = {
        # Some images are misclassified, so the attacks reach beyond as many natural ones.
        split: lab.natural(split, max(2 * getattr(plan, split) for plan in plans.values()), readings=False)
        for split in SPLITS
    }
    attacked = {
        split: dict(
            zip(
                plans,
                lab.attacked(split, list(plans.values()), [getattr(p, split) for p in plans.values()], readings=False),
                strict=True,
            )
        )
        for split in SPLITS
    }
    return natural, attacked


def _unrounded(lab: Lab, rounded: Versions, plan: AttackPlan) -> Versions:
    """Return the same attack's images before rounding."""
    classifier, seed = lab.loaded.classifier, lab.loaded.bundle.manifest.seed
    images = lab.image_set.images(rounded.ids)
    attacked = unrounded_attack(classifier, images, rounded.labels, plan, seed)
    trace = classifier.trace(attacked)
    changed = (trace.predictions != rounded.labels) & (attacked != images).any((1, 2, 3))
    return replace(rounded, trace=trace, success=changed)


def _all_of(attacked: Versions) -> Versions:
    """Call every attempt adversarial."""
    return replace(attacked, success=np.ones(len(attacked), dtype=np.bool_))


def _of_the_same(natural: Versions, attacked: Versions) -> Versions:
    """Return natural images only as far as the attack got, so that both kinds show the same images."""
    return natural.take(np.flatnonzero(np.isin(natural.ids, attacked.ids)))


def _accuracy_cell(row: str, column: str, paper: float, scores: Scores, labels: Labels, threshold: float) -> Cell:
    """Return the balanced accuracy at a threshold that was found on the fit split."""
    return balanced_cell(row, column, paper, scores >= threshold, labels.adversarial)


def _best_threshold(scores: Scores, labels: Labels) -> float:
    """Return the score at which the balanced accuracy is best."""
    candidates = np.unique(scores)
    hit = np.sort(scores[labels.adversarial])
    clean = np.sort(scores[~labels.adversarial])
    found = 1.0 - np.searchsorted(hit, candidates) / len(hit) + np.searchsorted(clean, candidates) / len(clean)
    return float(candidates[int(found.argmax())])


def _accuracy(lab: Lab, suffix: str = "") -> Cell:
    natural = lab.natural("test", 10_000, readings=False)
    note = "the paper's networks: 93 to 95 %"
    return share_cell("Classifier accuracy" + suffix, "natural", None, natural.success, note)


def _missing_data(paper: Mapping[str, Mapping[str, tuple[float, ...]]]) -> list[Cell]:
    """Return the published figures of data that no bundle here was built on."""
    return [
        Cell(f"{data}: {title}", attack, value, None, note=f"needs {data} and a network trained on it")
        for data, rows in paper.items()
        if data != "CIFAR-10"
        for title, values in rows.items()
        for attack, value in zip(ATTACKS, values, strict=True)
    ]
