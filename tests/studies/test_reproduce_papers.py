"""The tables of three papers: figures against hand computations, published figures against each other, every cell."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier

from support import clouds
from support.cloud_lab import ERRORS, CloudLab, cloud_lab, versions_of
from telltale.building.versions import Versions
from telltale.detectors import sequence_networks
from telltale.detectors.base import Labels
from telltale.recipes import AttackPlan
from telltale.scores.metrics import auc_interval
from telltale.studies.tables import figures, knn, protocol, response, trajectory
from telltale.studies.tables.protocol import NOTHING_TO_DETECT
from telltale.studies.tables.registry import get_table
from telltale.studies.tables.table import Cell, check_complete


@pytest.fixture
def few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep whole tables fast: their intervals are not what is tested."""
    monkeypatch.setattr(figures, "RESAMPLES", 10)
    monkeypatch.setattr(protocol, "auc_interval", partial(auc_interval, n_resamples=10))


def _labels(natural: int, *attacks: tuple[str, int]) -> Labels:
    names = np.repeat(["", *(name for name, _ in attacks)], [natural, *(count for _, count in attacks)])
    return Labels(names != "", names, np.concatenate([np.arange(n) for n in (natural, *(c for _, c in attacks))]))


def _by_place(cells: Sequence[Cell]) -> dict[tuple[str, str], Cell]:
    return {(cell.row, cell.column): cell for cell in cells}


def test_the_accuracy_at_the_equal_error_rate_is_the_hand_computed_one() -> None:
    # Above 0.55 lie one of four natural and three of four attacked images: both errors are a quarter.
    scores = np.array([0.1, 0.2, 0.5, 0.7, 0.3, 0.6, 0.8, 0.9])
    cell = figures.eer_cell("r", "c", 70.0, scores, _labels(4, ("fgsm", 4)))
    assert cell.ours == pytest.approx(75.0)
    assert cell.low is not None and cell.high is not None and cell.low <= 75.0 <= cell.high
    assert cell.n == 4 and cell.difference == pytest.approx(5.0)
    assert (cell.fpr[0], cell.tpr[0], cell.fpr[-1], cell.tpr[-1]) == (0.0, 0.0, 1.0, 1.0)


def test_tied_scores_share_the_error() -> None:
    cell = figures.eer_cell("r", "c", None, np.zeros(10), _labels(5, ("fgsm", 5)))
    assert cell.ours == pytest.approx(50.0)


def test_intervals_resample_whole_images() -> None:
    # Two equal versions of 200 images say no more than one: the interval is that of 200 figures, not of 400.
    values = np.random.default_rng(3).uniform(size=200)
    scores = np.concatenate([np.zeros(200), values, values])
    low, high = figures.resampled_interval(
        lambda drawn, part: float(drawn[part.adversarial].mean()), scores, _labels(200, ("fgsm", 200), ("pgd", 200))
    )
    assert high - low == pytest.approx(2 * 1.96 * values.std() / np.sqrt(200), rel=0.15)


def test_the_interval_of_a_mean_is_about_two_standard_errors_wide() -> None:
    shares = np.random.default_rng(0).uniform(size=400)
    cell = figures.mean_cell("r", "c", None, shares)
    assert cell.ours == pytest.approx(100 * shares.mean())
    assert cell.low is not None and cell.high is not None
    assert cell.high - cell.low == pytest.approx(2 * 196.0 * shares.std() / 20, rel=0.15)


def test_where_nothing_succeeded_the_cell_says_so() -> None:
    for cell in (
        figures.eer_cell("r", "c", 1.0, np.zeros(3), _labels(3)),
        figures.mean_cell("r", "c", 1.0, np.zeros(0)),
    ):
        assert cell.ours is None and cell.note


def test_recall_and_precision_are_the_hand_computed_ones() -> None:
    # The threshold that one of ten natural images passes is 9: of "a" two of two reach it, of "b" one of four.
    scores = np.array([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 9, 1, 2, 3], dtype=float)
    recall, precision = response._recall_and_precision(scores, _labels(10, ("a", 2), ("b", 4)))
    assert recall == pytest.approx((1.0 + 0.25) / 2)
    assert precision == pytest.approx(0.625 / (0.625 + 0.1))


@pytest.mark.usefixtures("few_resamples")
@pytest.mark.parametrize(("weighting", "weights"), [("knn", "uniform"), ("dwknn", lambda d: 1.0 / d**2)])
def test_knn_cells_are_those_of_scikit_learns_classifier(
    weighting: str, weights: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(knn, "NEIGHBOURS", 7)
    lab = cloud_lab()
    cell = _by_place(knn.table_2(lab))[f"last, none, {knn.WEIGHTED[weighting]}", "Errors"]
    known = lab.loaded.reference
    voter = KNeighborsClassifier(7, weights=weights, algorithm="brute").fit(known.trace.hidden, known.labels)

    def scores(versions: Versions) -> np.ndarray:
        votes = voter.predict_proba(versions.trace.hidden)
        return np.asarray(1.0 - votes[np.arange(len(votes)), versions.trace.predictions])

    natural, wrong = scores(lab.natural("test", 0).succeeded()), scores(lab.errors("test", 0))
    labels = _labels(len(natural), ("error", len(wrong)))
    expected = figures.eer_cell("r", "c", None, np.concatenate([natural, wrong]), labels)
    assert cell.ours == pytest.approx(expected.ours)
    assert cell.n == ERRORS


def test_the_aggregate_counts_images_that_both_attacks_reached() -> None:
    labels = _labels(4, ("lbfgs", 2), ("fgsm", 3))
    rows = knn._of_column("Aggr.", labels)
    assert rows.tolist() == [0, 1, 2, 3, 4, 5, 6, 7]
    assert knn._of_column("FGS", labels).tolist() == [0, 1, 2, 3, 6, 7, 8]


@pytest.mark.usefixtures("few_resamples")
def test_both_attacks_of_the_knn_table_aim_at_a_random_class() -> None:
    lab = cloud_lab()
    knn.table_2(lab)
    assert [(plan.name, plan.random_target) for plan in lab.plans] == [("lbfgs", True), ("fgsm", True)]


@pytest.mark.usefixtures("few_resamples")
def test_the_knn_table_is_complete() -> None:
    cells = knn.table_2(cloud_lab())
    check_complete(get_table("knn-table2"), cells)
    layers = {cell.row.split(", ")[0] for cell in cells}
    assert layers == set(clouds.LAYERS)
    assert len(cells) == len(layers) * 9 * 4
    with_paper = [cell for cell in cells if cell.paper is not None]
    assert len(with_paper) == 36 and all(cell.row.startswith("last, ") for cell in with_paper)
    assert _by_place(cells)["last, PCA + whiten, W-kNN", "Errors"].paper == 65.0


@pytest.fixture(scope="module")
def trajectory_cells() -> list[Cell]:
    """Train the eight networks once, for a few epochs each."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(figures, "RESAMPLES", 10)
        monkeypatch.setattr(sequence_networks, "PATIENCE", 2)
        return trajectory.table_2(cloud_lab())


def test_the_trajectory_tables_are_complete(trajectory_cells: list[Cell]) -> None:
    first, second = trajectory.table_1(cloud_lab()), trajectory_cells
    check_complete(get_table("trajectory-table1"), first)
    check_complete(get_table("trajectory-table2"), second)
    assert len(first) == 17 * 2 and all(cell.paper is not None and cell.ours == pytest.approx(90.0) for cell in first)
    assert len(second) == 8 * 6 and all(cell.ours is not None and cell.paper is not None for cell in second)
    assert _by_place(second)["MLP + C + L2", "MI-FGSM"].paper == 100.0


def test_the_macro_auc_is_the_mean_of_its_row(trajectory_cells: list[Cell]) -> None:
    cells = _by_place(trajectory_cells)
    for row in trajectory.PAPER_2:
        values = np.array([cells[row, title].ours for title in trajectory.TITLES.values()], dtype=float)
        assert cells[row, "Macro-AUC"].ours == pytest.approx(values.mean())


def test_epsilon_is_that_of_normalised_images_or_that_printed() -> None:
    applied, printed = (
        trajectory.attack_plans(trajectory.SCALES[key]) for key in (trajectory.APPLIED, trajectory.PRINTED)
    )
    assert applied["FGSM 20/255"].parameters["eps"] == pytest.approx(4.5 / 255)
    assert applied["PGD 80/255"].parameters["eps"] == pytest.approx(18 / 255)
    assert applied["PGD 80/255"].parameters["step"] == pytest.approx(4.5 / 255)
    assert printed["BIM 60/255"].parameters["eps"] == pytest.approx(60 / 255)
    assert applied["L-BFGS"] == printed["L-BFGS"]


@pytest.mark.usefixtures("few_resamples")
def test_the_response_tables_are_complete() -> None:
    first, second = response.table_1(cloud_lab()), response.table_2(cloud_lab())
    check_complete(get_table("response-table1"), first)
    check_complete(get_table("response-table2"), second)
    places = _by_place(first)
    for attack, published in response.PAPER_1.items():
        found = [cell for cell in first if cell.row == attack]
        assert tuple(cell.paper for cell in found) == published
        assert all(cell.ours is not None for cell in found)
    assert places["FGSM", "success"].ours == pytest.approx(90.0)
    assert places["DeepFool", "TPR at FPR 5 %"].paper == 96.1
    others = [cell for cell in second if cell.row in response.OTHERS]
    assert len(others) == 9 and all(cell.ours is None and cell.note for cell in others)
    assert all(cell.ours is not None for cell in second if cell.row not in response.OTHERS)


@pytest.mark.usefixtures("few_resamples")
def test_an_attack_that_never_succeeded_leaves_cells_that_say_so() -> None:
    first, second = response.table_1(cloud_lab("onepixel")), response.table_2(cloud_lab("onepixel"))
    hopeless = [cell for cell in first if cell.row.startswith("One pixel") and cell.column != "success"]
    assert {cell.column for cell in hopeless} == {cell.column for cell in first} - {"success"}
    judged = [cell for cell in second if cell.column == "AUC, One pixel"]
    assert judged
    for cell in (*hopeless, *judged):
        assert cell.ours is None and cell.note == NOTHING_TO_DETECT
    cells = _by_place(knn.table_2(cloud_lab("lbfgs")))
    for column in ("L-BFGS", "Aggr."):
        assert cells["last, none, kNN", column].note == NOTHING_TO_DETECT


@pytest.mark.usefixtures("few_resamples")
def test_confidences_are_those_of_successful_attacks() -> None:
    cells = _by_place(response.table_1(cloud_lab()))
    (versions, *_) = cloud_lab().attacked("test", [AttackPlan("fgsm", 0, 0)], [0])
    hit = versions.success
    logits = versions.trace.logits[hit].astype(float)
    shares = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    assert cells["FGSM", response.WRONG].ours == pytest.approx(100 * shares.max(1).mean(), rel=1e-6)
    true = shares[np.arange(hit.sum()), versions.labels[hit]]
    assert cells["FGSM", response.TRUE].ours == pytest.approx(100 * true.mean(), rel=1e-6)


@pytest.mark.usefixtures("few_resamples")
@pytest.mark.parametrize(("shift", "word"), [(0.5, "high entropy"), (-0.5, "low entropy")])
def test_the_response_table_says_which_end_is_suspicious(
    shift: float, word: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def shifted(split: str, attack: str, *rest: object) -> Versions:
        found = versions_of(split, attack, *rest)  # type: ignore[arg-type]
        entropy = np.random.default_rng(1).normal(2.0 + (shift if attack else 0.0), 0.1, len(found))
        return Versions(**{**vars(found), "readings": clouds.readings(entropy)})

    original = CloudLab.attacked
    monkeypatch.setattr(
        CloudLab,
        "attacked",
        lambda *a: [shifted(v.split, v.attack, v.labels, v.trace, v.success) for v in original(*a)],
    )
    cells = _by_place(response.table_1(cloud_lab()))
    assert word in cells["Boundary", "TPR at FPR 1 %"].note
    assert cells["Boundary", "TPR at FPR 10 %"].ours == pytest.approx(100.0, abs=10.0)


def test_published_averages_are_the_means_of_their_rows() -> None:
    """Checks the copied figures against each other: a wrong digit would break a mean that the papers print too."""
    for row in trajectory.PAPER_2.values():
        assert np.mean(row[:5]) == pytest.approx(row[5], abs=0.1)
    for lbfgs, fgs, aggregate, _ in knn.PAPER_2.values():
        assert (lbfgs + fgs) / 2 == pytest.approx(aggregate, abs=0.1)


def test_published_figures_of_the_responses_are_in_order() -> None:
    assert response.PAPER_1["Boundary"] == (93.9, 2.3, 58.6, 95.3, 97.2, 98.5)
    assert response.PAPER_2["Feature squeezing"] == (85.9, 91.7, 94.2)
    for _, true, wrong, *rates in response.PAPER_1.values():
        assert true < wrong and rates == sorted(rates)
