"""NNIF's tables on clouds: figures against detectors fitted by hand, published figures against each other."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from support.cloud_lab import CloudLab, cloud_lab
from telltale.building.versions import Versions
from telltale.detectors.lid import LidDetector
from telltale.detectors.mahalanobis import MahalanobisDetector
from telltale.detectors.nnif import NnifDetector
from telltale.scores.metrics import auc_interval
from telltale.studies.tables import nnif, nnif_published, protocol
from telltale.studies.tables.layers import last_layer_of_reference, last_layer_of_versions
from telltale.studies.tables.protocol import LabelledEvidence
from telltale.studies.tables.registry import get_table
from telltale.studies.tables.table import Cell, check_complete

pytestmark = pytest.mark.usefixtures("few_resamples")


@pytest.fixture
def few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep whole tables fast: their intervals are not what is tested."""
    monkeypatch.setattr(protocol, "auc_interval", partial(auc_interval, n_resamples=10))


def figure(cells: list[Cell], row: str, column: str) -> float:
    (found,) = (cell for cell in cells if (cell.row, cell.column) == (row, column))
    assert found.ours is not None
    return found.ours


def examples(split: str, attack: int, last_layer: bool = False) -> LabelledEvidence:
    """Natural images and one attack of a split, joined without the tables' own code."""
    lab = cloud_lab()
    plan = list(nnif.PLANS.values())
    natural, attacked = lab.natural(split, 0), lab.attacked(split, plan, [0] * len(plan))[attack]
    if last_layer:
        return LabelledEvidence.of(
            last_layer_of_reference(lab.loaded.reference),
            last_layer_of_versions(natural),
            [last_layer_of_versions(attacked)],
        )
    return LabelledEvidence.of(lab.loaded.reference, natural, [attacked])


def test_table_1_fits_every_detector_to_the_attack_it_is_judged_by(monkeypatch: pytest.MonkeyPatch) -> None:
    first = nnif.ATTACKS[:1]
    monkeypatch.setattr(nnif, "PLANS", {attack: nnif.PLANS[attack] for attack in first})
    monkeypatch.setattr(nnif, "OUR_PLANS", {"FGSM": nnif.OUR_PLANS["FGSM"]})
    cells = nnif.table_1(cloud_lab())
    check_complete(get_table("nnif-table1"), cells)
    for i, attack in enumerate(first):
        fit, test = examples("fit", i), examples("test", i)
        scores = fit.fitted(LidDetector).score(test.evidence)
        assert figure(cells, "LID", attack) == pytest.approx(100 * roc_auc_score(test.labels.adversarial, scores))
        assert figure(cells, "Attack success", attack) == pytest.approx(90.0)


def test_transfer_judges_every_attack_by_detectors_that_saw_fgsm_alone() -> None:
    cells = nnif.transfer(cloud_lab())
    check_complete(get_table("nnif-transfer"), cells)
    seen = examples("fit", nnif.ATTACKS.index("FGSM"), last_layer=True).fitted(MahalanobisDetector)
    for i, attack in enumerate(nnif.ATTACKS):
        test = examples("test", i, last_layer=True)
        expected = roc_auc_score(test.labels.adversarial, seen.score(test.evidence))
        assert figure(cells, "Mahalanobis", attack) == pytest.approx(100 * expected)


def test_the_ablations_last_row_holds_all_four_features() -> None:
    cells = nnif.ablation(cloud_lab())
    check_complete(get_table("nnif-ablation"), cells)
    rows = {cell.row for cell in cells}
    assert len(rows) == 15 and "R↑" in rows and "R↓ D↓" in rows
    # The clouds' attacks differ by their place in the list, and the ablation asks for DeepFool alone.
    fit, test = examples("fit", 0, last_layer=True), examples("test", 0, last_layer=True)
    scores = fit.fitted(NnifDetector).score(test.evidence)
    expected = 100 * roc_auc_score(test.labels.adversarial, scores)
    assert figure(cells, "R↑ D↑ R↓ D↓", "AUC") == pytest.approx(expected, abs=0.2)


class HalfRight(CloudLab):
    """Stands for a lab with a weak network."""

    def natural(self, split: str, count: int, readings: bool = True) -> Versions:
        found = super().natural(split, count, readings)
        return replace(found, success=np.arange(len(found)) % 2 == 0)


def test_every_classifier_has_its_own_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nnif, "DETECTORS", ("mahalanobis",))
    monkeypatch.setattr(nnif, "_explained_plans", lambda: {"DeepFool": nnif.PLANS["DeepFool"]})
    asked = []

    def retrained(lab: CloudLab, epochs: int) -> CloudLab:
        asked.append(epochs)
        return HalfRight() if epochs == 1 else CloudLab()

    monkeypatch.setattr(nnif, "RetrainedLab", SimpleNamespace(of=retrained))
    cells = nnif.by_classifier(cloud_lab())
    check_complete(get_table("nnif-classifier"), cells)
    assert asked == [1, 4]
    accuracies = {of: figure(cells, f"Classifier accuracy, {of}", "natural") for of in ("1 epoch", "4 epochs")}
    assert accuracies["1 epoch"] == 50.0 < accuracies["4 epochs"]
    own = [cell for cell in cells if cell.row.endswith(", the bundle's")]
    scores = "Mahalanobis, the bundle's", "Mahalanobis, 4 epochs"
    assert figure(own, scores[0], "DeepFool") == figure(cells, scores[1], "DeepFool")
    assert {cell.paper for cell in own if cell.row == scores[0]} == {97.49}


def test_the_white_box_table_is_complete() -> None:
    check_complete(get_table("nnif-whitebox"), nnif.whitebox(cloud_lab()))


def test_the_threshold_is_the_one_with_the_best_balanced_accuracy() -> None:
    labels = examples("fit", 0).labels
    scores = np.random.default_rng(0).normal(0.7 * labels.adversarial).round(1)  # with ties
    limit = nnif._best_threshold(scores, labels)
    every = [balanced_accuracy_score(labels.adversarial, scores >= value) for value in np.unique(scores)]
    assert balanced_accuracy_score(labels.adversarial, scores >= limit) == pytest.approx(max(every))


def test_published_figures_agree_where_the_paper_prints_them_twice() -> None:
    for data, rows in nnif_published.PAPER_1.items():
        # Detectors fitted on FGSM and judged by FGSM are in both tables; DkNN's do not depend on the layers read.
        assert rows["DkNN"][0] == nnif_published.PAPER_3[data]["DkNN"][0]
        assert all(len(figures) == len(nnif.ATTACKS) for figures in rows.values())
