"""Tables 2 to 5 of Zheng & Hong (2018): I-defender under black-box attacks on grey images."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from telltale.base.errors import InputError
from telltale.data.sources import KNOWN_SOURCES, load_image_set
from telltale.studies.tables.black_box import EPSILONS, BlackBox, Chosen, Shown, labels_of
from telltale.studies.tables.hidden_states import QUANTILE, RAW, VARIANTS
from telltale.studies.tables.lab import Lab
from telltale.studies.tables.protocol import auc_cell, share_cell
from telltale.studies.tables.table import Cell

IDEFENDER, DEFENSE_GAN = "I-defender", "Defense-GAN"
AFTER_RELU, ALL_ATTACKED = "I-defender, state after the ReLU", "I-defender, failed attacks included"
SUCCESS, KEPT = "attack success", "natural images kept at TH 95 %"
STRONGEST = 0.3
KEEP = 0.95
NO_GAN = "Defense-GAN is not run here; published by Samangouei et al. (2018)"
Settings = Mapping[tuple[int, int], float]
Strengths = Mapping[str, tuple[float, ...]]

# AUC in percent. Defense-GAN's settings: gradient descent runs, and iterations in each.
PAPER_2: tuple[float, Settings] = (
    99.3,
    {(10, 800): 100.0, (10, 400): 100.0, (10, 50): 98.5, (5, 100): 98.2, (2, 100): 92.2, (1, 100): 83.6},
)
PAPER_3: Strengths = {DEFENSE_GAN: (91.4, 97.5, 98.9, 99.8, 99.9), IDEFENDER: (96.4, 97.9, 98.8, 99.1, 99.3)}
PAPER_4: tuple[float, Settings] = (
    98.5,
    {
        (10, 800): 98.7,
        (10, 400): 98.3,
        (10, 100): 96.5,
        (5, 100): 94.5,
        (10, 25): 93.5,
        (2, 100): 87.6,
        (1, 100): 79.4,
    },
)
PAPER_5: Strengths = {DEFENSE_GAN: (77.5, 88.4, 94.0, 96.9, 98.5), IDEFENDER: (93.02, 95.87, 97.22, 98.07, 98.50)}


def table_2(lab: Lab) -> list[Cell]:
    """MNIST, ε = 0.3, beside Defense-GAN's settings."""
    return _beside_settings(lab, "idefender-table2", *PAPER_2)


def table_3(lab: Lab) -> list[Cell]:
    """MNIST, every ε."""
    return _by_strength(lab, "idefender-table3", PAPER_3)


def table_4(lab: Lab) -> list[Cell]:
    """Fashion-MNIST, ε = 0.3, beside Defense-GAN's settings."""
    return _beside_settings(lab, "idefender-table4", *PAPER_4)


def table_5(lab: Lab) -> list[Cell]:
    """Fashion-MNIST, every ε."""
    return _by_strength(lab, "idefender-table5", PAPER_5)


def _beside_settings(lab: Lab, name: str, paper: float, settings: Settings) -> list[Cell]:
    column = f"ε = {STRONGEST:g}"
    others = [
        Cell(f"{DEFENSE_GAN}, {runs} × {iterations} iterations", column, value, None, note=NO_GAN)
        for (runs, iterations), value in settings.items()
    ]
    return [*_judged(lab, name, {STRONGEST: column}, (paper,)), *others]


def _by_strength(lab: Lab, name: str, paper: Strengths) -> list[Cell]:
    columns = {eps: f"ε = {eps:g}" for eps in EPSILONS}
    others = [
        Cell(DEFENSE_GAN, column, value, None, note=NO_GAN)
        for column, value in zip(columns.values(), paper[DEFENSE_GAN], strict=True)
    ]
    return [*_judged(lab, name, columns, paper[IDEFENDER]), *others]


def _judged(lab: Lab, name: str, columns: Mapping[float, str], paper: tuple[float, ...]) -> list[Cell]:
    """Return I-defender's cells, one column per ε, or empty ones where the data are not on this machine."""
    try:
        # Nothing is fetched unasked; a source that was named may be.
        image_set = load_image_set(lab.data or lab.recipe, download=lab.data is not None)
    except InputError as error:
        if lab.data is not None:
            raise
        source = KNOWN_SOURCES[lab.recipe].hub_id
        note = f"{error} 'telltale reproduce {name} --data {source}' fetches it and computes this table."
        return [
            Cell(IDEFENDER, column, value, None, note=note)
            for column, value in zip(columns.values(), paper, strict=True)
        ]
    box = BlackBox.on(image_set, lab.images, lab.progress)
    chosen, after_relu = box.chosen, box.after_relu
    return cells(chosen, after_relu, box.show("test", tuple(columns)), columns, paper)


def cells(
    chosen: Chosen, after_relu: Chosen, shown: Shown, columns: Mapping[float, str], paper: tuple[float, ...]
) -> list[Cell]:
    """Return the cells of an attacked test split.

    Parameters
    ----------
    chosen, after_relu : Chosen
        The best I-defender, and the best that takes the input of the last linear layer as it is.
    shown : Shown
    columns : mapping of float to str
        Names by ε.
    paper : tuple of float
        Published figures in percent, in the same order.
    """
    clean = np.flatnonzero(shown.correct)
    natural, plain = chosen.judge.scores(shown.natural), after_relu.judge.scores(shown.natural)
    everything = np.arange(len(shown.labels))
    found = []
    for (eps, column), value in zip(columns.items(), paper, strict=True):
        hit = np.flatnonzero(shown.fooled(eps))
        labels = labels_of(clean, hit)
        attacked, plain_attacked = (one.judge.scores(shown.attacked[eps]) for one in (chosen, after_relu))
        joined = {v: np.concatenate([natural[v][clean], attacked[v][hit]]) for v in VARIANTS}
        found += [
            auc_cell(IDEFENDER, column, value, joined[chosen.variant], labels, _how(chosen)),
            *(auc_cell(f"{IDEFENDER}, {v}", column, None, joined[v], labels) for v in (RAW, QUANTILE)),
            auc_cell(
                AFTER_RELU,
                column,
                None,
                np.concatenate([plain[after_relu.variant][clean], plain_attacked[after_relu.variant][hit]]),
                labels,
                _how(after_relu),
            ),
            auc_cell(
                ALL_ATTACKED,
                column,
                None,
                np.concatenate([natural[chosen.variant], attacked[chosen.variant]]),
                labels_of(everything, everything),
                "all natural against all attacked images, whatever F says: probably the paper's protocol",
            ),
            share_cell(SUCCESS, column, None, shown.fooled(eps)[clean], "share of the images that F gets right"),
        ]
    return [*found, _kept(chosen, shown, next(iter(columns.values()))), _accuracy(shown, next(iter(columns.values())))]


def _how(chosen: Chosen) -> str:
    return (
        f"{chosen.variant} of {chosen.judge.model.describe()}; chosen on validation images (mean AUC there "
        f"{100.0 * chosen.quality:.2f} %)"
    )


def _kept(chosen: Chosen, shown: Shown, column: str) -> Cell:
    kept = ~chosen.judge.rejects(shown.natural, KEEP)
    return share_cell(
        KEPT, column, None, kept, "nominal 95 %, thresholds from calibration images; does not depend on ε"
    )


def _accuracy(shown: Shown, column: str) -> Cell:
    return share_cell("accuracy of model F", column, None, shown.correct, "natural test images; does not depend on ε")
