"""I-defender's tables: models E and F, hidden states, the black-box experiment, networks unknown to an attacker."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.special import logsumexp
from scipy.stats import multivariate_normal, percentileofscore
from sklearn.decomposition import PCA
from sklearn.metrics import balanced_accuracy_score, roc_auc_score
from sklearn.mixture import GaussianMixture
from torch import nn

from support.tiny import tiny_classifier, tiny_digits, tiny_images
from telltale.base.errors import InputError
from telltale.base.images import to_bytes
from telltale.base.processes import Processes
from telltale.building.attacking import AttackedImages
from telltale.data.splits import SplitSizes
from telltale.evidence.density import RIDGE, class_thresholds
from telltale.models.trace import Trace
from telltale.studies.tables import graybox, idefender, semi_white_box
from telltale.studies.tables.black_box import EPSILONS, BlackBox
from telltale.studies.tables.hidden_states import RAW, Judge, StateForm, StateModel, class_quantiles, fit_states, shapes
from telltale.studies.tables.lab import Lab
from telltale.studies.tables.mnist_models import LINEAR_STATE, STATE, paper_classifier
from telltale.studies.tables.protocol import balanced_cell
from telltale.studies.tables.results import load_results, stored_results
from telltale.studies.tables.second_network import SecondNetwork

PAPERS = Path(__file__).resolve().parents[3] / "shared" / "papers"
MNIST = ((1, 28, 28), 10)


def silent(fraction: float, message: str) -> None:
    del fraction, message


# ---------------------------------------------------------------- models E and F


@pytest.mark.parametrize(
    ("model", "parameters", "widths"),
    [
        # 784·200 + 200, 200·200 + 200, 200·10 + 10
        ("E", 157_000 + 40_200 + 2_010, (200, 200)),
        # 28 -> (28 - 8)/2 + 1 = 11 -> (11 - 6)/2 + 1 = 3: 128·3·3 = 1152 inputs of the head
        ("F", (64 * 64 + 64) + (128 * 64 * 36 + 128) + (1152 * 10 + 10), (64, 1152, 1152)),
    ],
)
def test_models_have_the_papers_shapes(model: str, parameters: int, widths: tuple[int, ...]) -> None:
    classifier = paper_classifier(model, *MNIST)  # type: ignore[arg-type]
    assert sum(p.numel() for p in classifier.parameters()) == parameters
    trace = classifier.trace(np.zeros((2, 1, 28, 28), np.float32))
    assert tuple(a.shape[1] for a in trace.activations) == widths
    assert trace.logits.shape == (2, 10)


def test_model_e_is_three_matrix_products() -> None:
    classifier, images = (
        paper_classifier("E", *MNIST),
        np.random.default_rng(0).random((5, 1, 28, 28), dtype=np.float32),
    )
    weights = {name: value.numpy() for name, value in classifier.state_dict().items()}
    x = images.reshape(5, -1)
    for layer in ("fc1", "fc2"):
        x = np.maximum(x @ weights[f"network.{layer}.weight"].T + weights[f"network.{layer}.bias"], 0.0)
    expected = x @ weights["network.head.weight"].T + weights["network.head.bias"]
    np.testing.assert_allclose(classifier.trace(images).logits, expected, atol=1e-5)


def test_model_f_is_two_convolutions_with_stride_2_and_its_states_lie_around_the_last_relu() -> None:
    classifier, images = (
        paper_classifier("F", *MNIST),
        np.random.default_rng(0).random((3, 1, 28, 28), dtype=np.float32),
    )
    weights = dict(classifier.state_dict())

    def convolved(x: torch.Tensor, layer: str, side: int) -> torch.Tensor:
        kernel, bias = weights[f"network.{layer}.weight"], weights[f"network.{layer}.bias"]
        patches = x.unfold(2, side, 2).unfold(3, side, 2)
        return torch.einsum("nchwij,dcij->ndhw", patches, kernel) + bias[:, None, None]

    before = convolved(convolved(torch.from_numpy(images), "conv1", 8).clamp(min=0.0), "conv2", 6).flatten(1)
    trace = classifier.trace(images)
    np.testing.assert_allclose(trace.activations[trace.layers.index(LINEAR_STATE)], before, atol=1e-5)
    np.testing.assert_allclose(trace.activations[trace.layers.index(STATE)], before.clamp(min=0.0), atol=1e-5)
    expected = before.clamp(min=0.0) @ weights["network.head.weight"].T + weights["network.head.bias"]
    np.testing.assert_allclose(trace.logits, expected, atol=1e-4)


# ---------------------------------------------------------------- hidden states


def cloud(n: int = 240, classes: int = 3, width: int = 6, seed: int = 0) -> tuple[Trace, np.ndarray]:
    """States of two Gaussians per class, and logits that name the true class."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % classes
    centres = np.random.default_rng(7).normal(0.0, 4.0, (classes, 2, width))
    states = centres[labels, rng.integers(0, 2, n)] + rng.normal(0.0, 1.0, (n, width)) * np.linspace(0.3, 2.0, width)
    return Trace(("state",), (states.astype(np.float32),), np.eye(classes, dtype=np.float32)[labels]), labels


def fitted(tmp_path: Path, form: StateForm) -> StateModel:
    return fit_states(form, lambda: cloud(), lambda: cloud(seed=1), 3, 0, tmp_path / "states.safetensors")


def test_densities_are_those_of_mixtures_over_principal_components(tmp_path: Path) -> None:
    model = fitted(tmp_path, StateForm("state", False, 4))
    trace, _ = cloud(seed=2)
    states = trace.activations[0].astype(np.float64)
    projected = model.densities.project(trace.activations[0])
    axes = PCA(4).fit(cloud()[0].activations[0].astype(np.float64)).transform(states)
    # A rotation of the principal components gives the same mixtures.
    for points in (projected, axes):
        points -= points[0]
    np.testing.assert_allclose(projected @ projected.T, axes @ axes.T, atol=1e-3)
    expected = np.stack(
        [
            logsumexp(
                [
                    np.log(w)
                    + multivariate_normal(m, c if c.ndim == 2 else np.diag(c)).logpdf(
                        model.densities.project(trace.activations[0])
                    )
                    for w, m, c in zip(mixture.weights_, mixture.means_, mixture.covariances_, strict=True)
                ],
                axis=0,
            )
            for mixture in model.densities.mixtures
        ],
        axis=1,
    )
    np.testing.assert_allclose(model.log_density(trace), expected, atol=1e-8)
    own = expected[np.arange(len(trace)), trace.predictions]
    np.testing.assert_allclose(model.surprise(trace), -own, atol=1e-8)


def test_the_mixture_with_the_best_held_out_likelihood_is_taken(tmp_path: Path) -> None:
    model = fitted(tmp_path, StateForm("state", False, 6))
    (trace, labels), (unseen, truth) = cloud(), cloud(seed=1)
    quality = {}
    for shape in shapes(6):
        values = []
        for c in range(3):
            points = trace.activations[0][labels == c].astype(np.float64)
            pca = PCA(6).fit(trace.activations[0].astype(np.float64))
            points, others = pca.transform(points), pca.transform(unseen.activations[0][truth == c].astype(np.float64))
            ridge = RIDGE * points.var(0).mean()
            mixture = GaussianMixture(
                shape.components, covariance_type=shape.covariance, reg_covar=ridge, max_iter=200, random_state=0
            )
            values.append(mixture.fit(points).score_samples(others))
        quality[(shape.components, shape.covariance)] = np.concatenate(values).mean()
    best = max(quality, key=quality.__getitem__)
    assert (model.densities.settings.components, model.densities.settings.covariance) == best
    assert best[0] == 2  # the cloud has two Gaussians per class


def test_unit_states_have_length_one_and_what_was_fitted_is_read_again(tmp_path: Path) -> None:
    form = StateForm("state", True, 3)
    trace, _ = cloud(seed=3)
    np.testing.assert_allclose(np.linalg.norm(form.of(trace), axis=1), 1.0, atol=1e-6)
    model = fitted(tmp_path, form)

    def refuse() -> tuple[Trace, np.ndarray]:
        raise AssertionError("asked for images although everything is fitted")

    again = fit_states(form, refuse, refuse, 3, 0, tmp_path / "states.safetensors")
    np.testing.assert_array_equal(model.log_density(trace), again.log_density(trace))


def test_class_quantiles_are_scipys_percentiles_within_the_predicted_class() -> None:
    rng = np.random.default_rng(0)
    natural, natural_predictions = np.round(rng.normal(size=300), 1), rng.integers(0, 2, 300)
    rows = rng.permutation(300)[:60]
    found = class_quantiles(natural[rows], natural_predictions[rows], natural, natural_predictions)
    expected = [
        percentileofscore(natural[natural_predictions == natural_predictions[i]], natural[i], "mean") / 100
        for i in rows
    ]
    np.testing.assert_allclose(found, expected, atol=1e-12)
    beyond = class_quantiles(np.array([9.0, -9.0]), np.array([2, 2]), natural, natural_predictions)
    assert beyond[0] > 1.0 and beyond[1] < 0.0  # a class without natural images: among all of them


def test_rejection_is_below_the_density_that_keeps_the_share(tmp_path: Path) -> None:
    model = fitted(tmp_path, StateForm("state", False, 6))
    calibration, trace = cloud(seed=4)[0], cloud(n=90, seed=5)[0]
    judge = Judge.of(model, calibration)
    limits = class_thresholds(model.log_density(calibration), calibration.predictions, 0.9)
    own = model.log_density(trace)[np.arange(len(trace)), trace.predictions]
    np.testing.assert_array_equal(judge.rejects(trace, 0.9), own < limits[trace.predictions])
    assert 0 < judge.rejects(trace, 0.9).sum() < len(trace)


# ---------------------------------------------------------------- black box


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> BlackBox:
    """E and F on scikit-learn's digits."""
    torch.set_num_threads(1)
    forms = (StateForm(STATE, False, 12), StateForm(LINEAR_STATE, True, 12))
    return BlackBox(tiny_digits(), tmp_path_factory.mktemp("box"), None, silent, SplitSizes(200, 300, 200), forms)


def fgsm_by_hand(box: BlackBox, ids: np.ndarray, eps: float) -> np.ndarray:
    """One signed step of E's cross-entropy at the true labels, on the 8-bit grid."""
    images = torch.from_numpy(tiny_digits().images(ids)).requires_grad_()
    loss = nn.functional.cross_entropy(box.substitute(images), torch.from_numpy(tiny_digits().labels[ids]))
    (gradient,) = torch.autograd.grad(loss, images)
    moved = (images + eps * gradient.sign()).clamp(0.0, 1.0).detach().numpy()
    return np.rint(moved * 255.0).astype(np.float32) / np.float32(255.0)


def test_attacks_are_made_on_e_and_shown_to_f_whatever_it_says_of_them(box: BlackBox) -> None:
    eps = 0.06
    shown, ids = box.show("test", (eps,)), box.splits.test
    assert len(shown.labels) == len(shown.attacked[eps]) == len(ids)
    by_hand = box.classifier.trace(fgsm_by_hand(box, ids, 15 / 255))  # the largest whole level within ε
    same = (by_hand.predictions == shown.attacked[eps].predictions).mean()
    assert same > 0.97  # levels that round up instead of down
    assert shown.correct.mean() > 0.6
    right = box.classifier.predict(tiny_digits().images(ids)) == tiny_digits().labels[ids]
    fooled = right & (shown.attacked[eps].predictions != tiny_digits().labels[ids])
    np.testing.assert_array_equal(shown.fooled(eps), fooled)
    assert 0 < fooled.sum() < right.sum()


def test_cells_are_scikit_learns_aucs(box: BlackBox) -> None:
    shown = box.show("test", (0.3,))
    cells = {cell.row: cell for cell in idefender.cells(box.chosen, box.after_relu, shown, {0.3: "ε = 0.3"}, (99.3,))}
    model, fooled = box.chosen.judge.model, shown.fooled(0.3)
    natural, attacked = model.surprise(shown.natural), model.surprise(shown.attacked[0.3])

    def by_hand(clean: np.ndarray, hit: np.ndarray) -> float:
        return 100.0 * float(roc_auc_score(np.repeat([0, 1], [len(clean), len(hit)]), np.concatenate([clean, hit])))

    assert cells["I-defender, −log p"].ours == pytest.approx(by_hand(natural[shown.correct], attacked[fooled]))
    main = cells["I-defender"]
    assert main.paper == 99.3 and main.n == fooled.sum() and box.chosen.variant in main.note
    assert main.ours in (cells["I-defender, −log p"].ours, cells["I-defender, class quantile"].ours)
    assert cells[idefender.AFTER_RELU].note.split(" of ")[1].startswith(f"{STATE}, not normalised")
    everything = cells[idefender.ALL_ATTACKED]
    assert everything.n == len(shown.labels)
    assert cells[idefender.SUCCESS].ours == pytest.approx(100.0 * fooled.sum() / shown.correct.sum())
    assert {cell.paper for row, cell in cells.items() if row != "I-defender"} == {None}


def test_the_choice_is_made_on_validation_images(box: BlackBox) -> None:
    shown, labels = box.validation, tiny_digits().labels[box.splits.fit]
    np.testing.assert_array_equal(shown.labels, labels)
    qualities = []
    for judge in box.judges:
        clean = judge.model.surprise(shown.natural)[shown.correct]
        per_eps = []
        for eps in EPSILONS:
            hit = judge.model.surprise(shown.attacked[eps])[shown.fooled(eps)]
            if len(hit):
                per_eps.append(roc_auc_score(np.repeat([0, 1], [len(clean), len(hit)]), np.concatenate([clean, hit])))
        qualities.append(np.mean(per_eps))
    assert box.chosen.quality >= max(qualities) - 1e-12
    if box.chosen.variant == RAW:
        assert box.chosen.quality == pytest.approx(max(qualities))


def test_a_second_run_trains_and_fits_nothing(box: BlackBox) -> None:
    said = []
    _ = box.judges
    again = replace(box, progress=lambda _, message: said.append(message), _known={})
    assert [judge.model.form for judge in again.judges] == list(box.forms)
    np.testing.assert_array_equal(again.judges[0].natural, box.judges[0].natural)
    assert not [message for message in said if message.startswith("Training")]


def test_a_table_whose_data_are_absent_says_which_command_fetches_them(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(source: str, download: bool) -> None:
        raise InputError(f"'{source}' is not here; download: {download}.")

    monkeypatch.setattr(idefender, "load_image_set", absent)
    with Processes() as processes:
        lab = Lab("fashion_mnist", None, None, processes, silent)
        cells = idefender.table_5(lab)
        with pytest.raises(InputError, match="download: True"):
            idefender.table_5(replace(lab, data="somewhere"))
    assert len(cells) == 10 and all(cell.ours is None for cell in cells)
    assert "download: False" in cells[0].note
    assert "reproduce idefender-table5 --data zalando-datasets/fashion_mnist" in cells[0].note


# ---------------------------------------------------------------- semi-white and gray box


def test_a_balanced_accuracy_is_scikit_learns() -> None:
    rng = np.random.default_rng(0)
    truth, said = rng.random(90) < 0.3, rng.random(90) < 0.5
    cell = balanced_cell("a", "b", None, said, truth)
    assert cell.ours == pytest.approx(100.0 * balanced_accuracy_score(truth, said))
    assert cell.low < cell.ours < cell.high and cell.n == truth.sum()  # type: ignore[operator]


def test_a_network_is_judged_by_the_images_that_fool_it_alone(tmp_path: Path) -> None:
    classifier, (images, truth) = tiny_classifier(), tiny_images(60)
    natural = classifier.trace(images)
    model = fit_states(
        StateForm(classifier.layers[-1], False, 8),
        lambda: (natural, truth),
        lambda: (natural, truth),
        10,
        0,
        tmp_path / "states.safetensors",
    )
    noisy = np.clip(images + np.random.default_rng(0).normal(0.0, 0.5, images.shape), 0.0, 1.0).astype(np.float32)
    zeros = np.zeros(60)
    attacked = AttackedImages("noise", np.arange(60), to_bytes(noisy), zeros > 0, zeros, zeros, zeros)
    wrong = truth.copy()
    wrong[:5] = (truth[:5] + 1) % 10  # as if these were natural errors
    correct = natural.predictions == wrong
    judge = Judge.of(model, natural)
    seen = graybox._Seen("Target", SecondNetwork(classifier, judge), correct, model.surprise(natural))
    detection, success = graybox._cells(seen, attacked, wrong, "L2 ε 0.47", 1e-2)
    trace = classifier.trace(np.rint(noisy * 255).astype(np.float32) / np.float32(255))
    fooled = correct & (trace.predictions != wrong)
    scores = np.concatenate([model.surprise(natural)[correct], model.surprise(trace)[fooled]])
    expected = roc_auc_score(np.repeat([0, 1], [correct.sum(), fooled.sum()]), scores)
    assert fooled.sum() > 5
    assert detection.ours == pytest.approx(100.0 * expected) and detection.n == fooled.sum()
    assert detection.paper == 84.740
    assert success.ours == pytest.approx(100.0 * fooled.sum() / 55)


# ---------------------------------------------------------------- the paper's figures


def paper_text() -> str:
    found = sorted(PAPERS.glob("002_*.txt"))
    if not found:
        pytest.skip("the paper's text is not beside the repository")
    return found[0].read_text()


@pytest.mark.parametrize(("number", "paper"), [(3, idefender.PAPER_3), (5, idefender.PAPER_5)])
def test_strength_tables_are_the_papers(number: int, paper: idefender.Strengths) -> None:
    part = paper_text().split(f"\nTable {number}:")[1]
    rows = re.findall(r"^(0\.\d+)\t(0\.\d+)\t(0\.\d+)$", part, re.MULTILINE)[:5]
    assert tuple(float(row[0]) for row in rows) == EPSILONS
    assert paper["Defense-GAN"] == pytest.approx([100 * float(row[1]) for row in rows])
    assert paper["I-defender"] == pytest.approx([100 * float(row[2]) for row in rows])


@pytest.mark.parametrize(("number", "paper"), [(2, idefender.PAPER_2), (4, idefender.PAPER_4)])
def test_settings_tables_are_the_papers(number: int, paper: tuple[float, idefender.Settings]) -> None:
    part = paper_text().split(f"\nTable {number}:")[1].split("\nTable")[0]
    rows = re.findall(r"^Defense-GAN\t([\d.]+)\t(\d+)\t(\d+)$", part, re.MULTILINE)
    assert paper[1] == {(int(runs), int(each)): pytest.approx(100 * float(auc)) for auc, runs, each in rows}
    own = re.findall(r"^I-defender\t([\d.]+)", part, re.MULTILINE)
    assert paper[0] == pytest.approx(100 * float(own[0]))


def test_semi_white_box_figures_are_the_papers() -> None:
    part = paper_text().split("\nTable 6:")[1].split("\n#")[0]
    for row, values in semi_white_box.PAPER.items():
        (line,) = re.findall(rf"^{row}\t(.+)$", part, re.MULTILINE)
        assert values == tuple(float(value) for value in line.split("\t"))
    header = re.findall(r"(\d+\.\d+)%", part.split("Method Adv Acc")[1].splitlines()[0])
    assert [column.accuracy for column in semi_white_box.COLUMNS] == [float(value) for value in header]


def test_gray_box_figures_are_the_papers() -> None:
    text = paper_text()
    for table, last in ((7, graybox.SOURCE), (8, graybox.OTHER)):
        line = next(line for line in text.split(f"\nTable {table}:")[1].splitlines() if line.startswith("1e-3"))
        blocks = [re.findall(r"([\d.]+) / ([\d.]+)", block) for block in line.split("\t")[1:]]
        for attack, pairs in zip(("L∞ ε 0.013", "L2 ε 0.47"), blocks, strict=True):
            figures = graybox.PAPER[attack]
            assert list(zip(figures[graybox.TARGET], figures[last], strict=True)) == [
                (float(a), float(b)) for a, b in pairs
            ]


def test_the_stored_run_reaches_the_papers_figures_on_mnist() -> None:
    if "idefender-table3" not in stored_results():
        pytest.skip("no full run of Table 3 is stored")
    own = [cell for cell in load_results("idefender-table3") if cell.row == "I-defender"]
    assert len(own) == len(EPSILONS)
    for cell in own:
        assert cell.difference is not None and cell.difference >= 0.0
