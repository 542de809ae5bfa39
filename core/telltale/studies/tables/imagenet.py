"""The papers' ImageNet tables on an ImageNet network, as far as one photograph per class lets them go."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
from sklearn.covariance import LedoitWolf

from telltale.base.images import to_floats
from telltale.building.attacking import AttackedImages
from telltale.models.trace import Trace
from telltale.recipes import EPS, AttackPlan
from telltale.scores.metrics import FALSE_POSITIVE_RATES
from telltale.studies.tables import knn, response, trajectory
from telltale.studies.tables.black_box import labels_of
from telltale.studies.tables.figures import mean_cell, tpr_cell
from telltale.studies.tables.lab import Lab
from telltale.studies.tables.protocol import Scores, auc_cell, share_cell
from telltale.studies.tables.response_entropies import Entropies, measure_entropies
from telltale.studies.tables.table import Cell

Ids = npt.NDArray[np.int64]

HELD_OUT = ("fit", "calibration", "test")
ALL = 1000  # more than there are photographs

# --- Amirian et al. (2018), Table 1 ---------------------------------------------------------------------------------

RESPONSE_PLANS = {
    "FGSM": AttackPlan("fgsm", ALL, ALL, {"eps": EPS}),
    "Gradient": AttackPlan("gradient", ALL, ALL),
    "DeepFool": AttackPlan("deepfool", ALL, ALL),
    "PGD": AttackPlan("pgd", ALL, ALL, {"eps": EPS, "step": EPS / 4, "steps": 10}),
}
TOO_LONG = "not run: an image of 224 × 224 takes this attack more than a thousand passes through the network"
HIGH = "high entropy is suspicious, as in the paper; nothing is fitted"
CHEAPEST = "the cheapest detector: how unsure the softmax is"


def response_table_1(lab: Lab) -> list[Cell]:
    """Success, confidences and detection by guided backprop, by the plain gradient and by the softmax alone."""
    ids = np.concatenate([_correct(lab, split) for split in HELD_OUT])
    natural = measure_entropies(lab, "natural", lab.image_set.pixels[ids])
    plans = list(RESPONSE_PLANS.values())
    found = [lab.attacked_images(split, plans, [ALL] * len(plans)) for split in HELD_OUT]
    cells: list[Cell] = []
    for place, row in enumerate(RESPONSE_PLANS):
        images = _joined([split[place] for split in found])
        attacked = measure_entropies(lab, row, images.pixels)
        truth = lab.image_set.labels[images.ids]
        cells += _response_cells(row, natural, attacked, truth, images.success)
    missing = [row for row in response.PAPER_1 if row not in RESPONSE_PLANS]
    return [*cells, *(cell for row in missing for cell in _absent(row, _published(row), TOO_LONG))]


def _response_cells(
    row: str, natural: Entropies, attacked: Entropies, truth: Ids, success: npt.NDArray[np.bool_]
) -> Iterable[Cell]:
    hit = np.flatnonzero(success)
    published = _published(row)
    probabilities, read = attacked.probabilities[hit], attacked.probabilities[hit].argmax(1)
    places = np.arange(len(hit))
    yield share_cell(row, "success", published["success"], success)
    yield mean_cell(row, response.TRUE, published[response.TRUE], probabilities[places, truth[hit]])
    yield mean_cell(row, response.WRONG, published[response.WRONG], probabilities[places, read])
    labels = labels_of(np.arange(len(natural.guided)), hit)
    judged = {
        "guided": (np.concatenate([natural.guided, attacked.guided[hit]]), HIGH),
        "plain gradient": (np.concatenate([natural.plain, attacked.plain[hit]]), HIGH),
        "1 − confidence": (1.0 - np.concatenate([natural.confidence, attacked.confidence[hit]]), CHEAPEST),
    }
    for rate in FALSE_POSITIVE_RATES:
        column = _rate_column(rate)
        yield tpr_cell(row, column, published[column], rate, judged["guided"][0], labels, HIGH)
    for name, (scores, note) in judged.items():
        yield auc_cell(row, f"AUC, {name}", None, scores, labels, note)


def _published(row: str) -> dict[str, float | None]:
    """Return the paper's figures of an attack by column; None where it has none."""
    columns = ("success", response.TRUE, response.WRONG, *map(_rate_column, FALSE_POSITIVE_RATES))
    figures: Sequence[float | None] = response.PAPER_1.get(row, (None,) * len(columns))
    return dict(zip(columns, figures, strict=True))


def _rate_column(rate: float) -> str:
    return f"TPR at FPR {100 * rate:g} %"


# --- Carrara et al. (2017), Table 2, and (2018), Tables 1 and 2 -----------------------------------------------------

ONE_EACH = (
    "there is one photograph of a class here, and no other image of its class could be its neighbour, whatever it shows"
)
NO_PIVOTS = "there is one photograph of a class here: a class's centroid and medoid need several"
ATTACKED, ATTACKED_SLOWLY = 80, 20


def knn_table_2(_: Lab) -> list[Cell]:
    """Return the published figures, and why they cannot be had from these photographs."""
    return [
        cell
        for (processing, weighting), figures in knn.PAPER_2.items()
        for cell in _absent(
            f"{knn.PROCESSED[processing]}, {knn.WEIGHTED[weighting]}",
            dict(zip(knn.COLUMNS, figures, strict=True)),
            ONE_EACH,
        )
    ]


def trajectory_table_1(lab: Lab) -> list[Cell]:
    """Success of every attack and ε in the authors' normalised space."""
    plans = trajectory.attack_plans(trajectory.SCALES[trajectory.APPLIED])
    counts = [ATTACKED_SLOWLY if plan.name == "lbfgs" else ATTACKED for plan in plans.values()]
    found = lab.attacked_images("test", list(plans.values()), counts)
    return [
        share_cell(row, trajectory.APPLIED, trajectory.PAPER_1[row], images.success, trajectory.in_pixels(plan))
        for (row, plan), images in zip(plans.items(), found, strict=True)
    ]


def trajectory_table_2(_: Lab) -> list[Cell]:
    """Return the published figures, and why they cannot be had from these photographs."""
    columns = (*trajectory.TITLES.values(), "Macro-AUC")
    rows = trajectory.PAPER_2.items()
    return [cell for row, paper in rows for cell in _absent(row, dict(zip(columns, paper, strict=True)), NO_PIVOTS)]


# --- Zheng & Hong (2018), Table 9 -----------------------------------------------------------------------------------

GRAYBOX_PLANS = {
    "FGSM, ε 0.3": AttackPlan("fgsm", 0, ALL, {"eps": 0.3}),
    "Iterative L∞, ε 0.019": AttackPlan("bim", 0, ALL, {"eps": 0.019, "step": 0.0038, "steps": 10}),
    "Iterative L2, ε 12.5": AttackPlan("pgd_l2", 0, ALL, {"eps": 12.5, "step": 2.5, "steps": 10}),
}
# Adversarial accuracy and AUC by α.
PAPER_9 = {
    "α = 0.01": ((70.892, 62.685), (62.636, 97.201), (59.032, 93.832)),
    "α = 0.1": ((70.892, 62.801), (62.646, 97.211), (59.016, 93.837)),
    "α = 1": ((70.892, 62.612), (62.648, 97.215), (59.010, 93.834)),
}
NO_TARGET = (
    "Target is a second ImageNet network that was trained independently, which is not here, and α weighs a density of "
    "every class, which one photograph of a class does not give"
)
WITHOUT_TARGET = "Source attacked by itself, without a term for the density"
ONE_GAUSSIAN = "one Gaussian, covariance shrunk after Ledoit and Wolf, over the reference photographs of all classes"


def idefender_table_9(lab: Lab) -> list[Cell]:
    """Return what Source alone gives: its accuracy under attack, and one density for all classes together."""
    cells = []
    for row, paper in PAPER_9.items():
        for column, (accuracy, area) in zip(GRAYBOX_PLANS, paper, strict=True):
            figures: Mapping[str, float | None] = {f"{column}, Adv Acc": accuracy, f"{column}, AUC": area}
            cells += _absent(row, figures, NO_TARGET)
    return [*cells, *_source_cells(lab)]


def _source_cells(lab: Lab) -> Iterable[Cell]:
    row, plans = "Source alone", list(GRAYBOX_PLANS.values())
    ids = _correct(lab, "test")
    reference = lab.loaded.reference.trace.activations[-1]
    density = LedoitWolf().fit(reference.astype(np.float64))
    natural = _surprise(density, lab.classifier.trace(lab.image_set.images(ids)))
    for column, images in zip(GRAYBOX_PLANS, lab.attacked_images("test", plans, [ALL] * len(plans)), strict=True):
        hit = np.flatnonzero(images.success)
        attacked = _surprise(density, lab.classifier.trace(to_floats(images.pixels[hit])))
        yield share_cell(row, f"{column}, Adv Acc", None, ~images.success, WITHOUT_TARGET)
        labels = labels_of(np.arange(len(ids)), hit)
        yield auc_cell(row, f"{column}, AUC", None, np.concatenate([natural, attacked]), labels, ONE_GAUSSIAN)


def _surprise(density: LedoitWolf, trace: Trace) -> Scores:
    return np.asarray(density.mahalanobis(trace.activations[-1].astype(np.float64)))


# --- what they share ------------------------------------------------------------------------------------------------


def _correct(lab: Lab, split: str) -> Ids:
    """Return the images of a split that the network reads correctly, those that are attacked."""
    return lab.correct_ids(split)[: lab.capped(ALL)]


def _joined(parts: Sequence[AttackedImages]) -> AttackedImages:
    names = ("ids", "pixels", "success", "linf", "l2", "l0")
    arrays = {name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
    return AttackedImages(parts[0].attack, **arrays)


def _absent(row: str, figures: Mapping[str, float | None], why: str) -> list[Cell]:
    return [Cell(row, column, paper, None, note=why) for column, paper in figures.items()]
