"""Tables 7 and 8 of Zheng & Hong (2018): the attacker has a network and an I-defender, but not the ones in use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from telltale.base.images import to_floats
from telltale.building.attacking import AttackedImages
from telltale.recipes import AttackPlan
from telltale.studies.tables.black_box import labels_of
from telltale.studies.tables.hidden_states import RAW
from telltale.studies.tables.lab import Lab
from telltale.studies.tables.protocol import auc_cell, share_cell
from telltale.studies.tables.second_network import SecondNetwork, second_network
from telltale.studies.tables.semi_white_box import bundle_judge
from telltale.studies.tables.table import Cell

ALPHAS = (1e-3, 1e-2, 1e-1, 1.0)
SHOWN = 200
TARGET, SOURCE, OTHER = "Target", "Source", "Target of another size"
EPOCHS = 4
SECOND = {"seed": 1, "epochs": EPOCHS}
RESIZED = {"seed": 2, "epochs": EPOCHS, "base_width": 16, "depth": 3}

# Target / Source of Table 7 and WRN-46 of Table 8, by α. The other two attacks' figures are missing in the copy read.
PAPER: Mapping[str, Mapping[str, tuple[float, ...]]] = {
    "L∞ ε 0.013": {
        TARGET: (85.203, 83.261, 83.875, 83.945),
        SOURCE: (76.450, 58.967, 59.459, 59.554),
        OTHER: (87.549, 87.555, 87.637, 87.553),
    },
    "L2 ε 0.47": {
        TARGET: (86.249, 84.740, 85.406, 85.576),
        SOURCE: (75.786, 69.243, 71.179, 72.027),
        OTHER: (86.23, 86.215, 85.844, 85.528),
    },
    "L∞ ε 0.0085": {},
    "FGSM ε 0.075": {},
}
ATTACKS: Mapping[str, tuple[str, float, int]] = {  # name, ε, steps
    "L∞ ε 0.013": ("graybox", 0.013, 10),
    "L2 ε 0.47": ("graybox_l2", 0.47, 10),
    "L∞ ε 0.0085": ("graybox", 0.0085, 10),
    "FGSM ε 0.075": ("graybox", 0.075, 1),
}
UNREAD = "the paper's figures for this attack are missing in the copy that was read"


@dataclass(frozen=True)
class _Seen:
    """A network that attacked images are shown to, and its natural images.

    Attributes
    ----------
    title : str
    network : SecondNetwork
    correct : array of bool, shape (n,)
        Which of the n natural images it gets right.
    natural : array of float64, shape (n,)
        Their scores.
    """

    title: str
    network: SecondNetwork
    correct: npt.NDArray[np.bool_]
    natural: npt.NDArray[np.float64]


def tables_7_and_8(lab: Lab) -> list[Cell]:
    """Attack the bundle's network and I-defender, and let two networks that the attacker has not seen judge too."""
    keys = [(column, alpha) for column in ATTACKS for alpha in ALPHAS]
    plans = [_plan(column, alpha) for column, alpha in keys]
    found = dict(zip(keys, lab.attacked_images("test", plans, [SHOWN] * len(plans)), strict=True))
    ids = next(iter(found.values())).ids
    source = SecondNetwork(lab.loaded.classifier, bundle_judge(lab))
    networks = [
        _seen(lab, TARGET, second_network(lab, **SECOND), ids),
        _seen(lab, SOURCE, source, ids),
        _seen(lab, OTHER, second_network(lab, **RESIZED), ids),
    ]
    cells = [
        cell
        for (column, alpha), images in found.items()
        for network in networks
        for cell in _cells(network, images, lab.image_set.labels[ids], column, alpha)
    ]
    return [*cells, *(_accuracy(network) for network in networks)]


def _plan(column: str, alpha: float) -> AttackPlan:
    name, eps, steps = ATTACKS[column]
    step = eps if steps == 1 else eps / 5
    return AttackPlan(name, 0, SHOWN, {"alpha": alpha, "eps": eps, "step": step, "steps": steps})


def _seen(lab: Lab, title: str, network: SecondNetwork, ids: npt.NDArray[np.int64]) -> _Seen:
    trace = network.classifier.trace(lab.image_set.images(ids))
    correct = trace.predictions == lab.image_set.labels[ids]
    return _Seen(title, network, np.asarray(correct), network.judge.scores(trace)[RAW])


def _cells(seen: _Seen, images: AttackedImages, truth: npt.NDArray[np.int64], column: str, alpha: float) -> list[Cell]:
    """Return detection and success; images that a network gets wrong without an attack count for neither."""
    trace = seen.network.classifier.trace(to_floats(images.pixels))
    fooled = seen.correct & (trace.predictions != truth)
    hit, clean = np.flatnonzero(fooled), np.flatnonzero(seen.correct)
    scores = np.concatenate([seen.natural[clean], seen.network.judge.scores(trace)[RAW][hit]])
    row, place = f"α = {alpha:g}", f"{column}, {seen.title}"
    published = PAPER[column].get(seen.title)
    note = "" if published else UNREAD
    return [
        auc_cell(
            row, place, published[ALPHAS.index(alpha)] if published else None, scores, labels_of(clean, hit), note
        ),
        share_cell(f"{row}, attack success", place, None, fooled[clean]),
    ]


def _accuracy(seen: _Seen) -> Cell:
    note = "on the images that are attacked, which Source gets right"
    return share_cell("natural accuracy", seen.title, None, seen.correct, note)
