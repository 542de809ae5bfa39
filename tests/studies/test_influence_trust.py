"""How far to trust influence: the score on problems whose answer is known, every method against loops, the study."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

import numpy as np
import pyarrow as pa
import pytest
import torch
from captum.influence import TracInCPFast
from scipy.stats import spearmanr
from torch import nn
from torch.utils.data import TensorDataset

from support.tiny import small_classifier, tiny_digits
from support.trust import made_trust
from telltale.base.errors import DamagedBundleError, InputError
from telltale.base.progress import silent
from telltale.cli import main
from telltale.evidence.influence import HeadInfluence, fit_head
from telltale.recipes import DIGITS
from telltale.studies.influence_trust import attributions, measure, methods, results
from telltale.studies.influence_trust.bench import Bench, Checkpoint, averaged_down
from telltale.studies.influence_trust.datamodeling import (
    agreement,
    ceiling,
    draw_halves,
    error_over_subsets,
    foretold,
    intervals_of_means,
    log_odds,
    rank_correlations,
)
from telltale.studies.influence_trust.figures import best_possible, method_trusts
from telltale.studies.influence_trust.gradients import log_odds_gradients
from telltale.studies.influence_trust.plan import Plan
from telltale.studies.influence_trust.trak import project, trak, trak_terms
from telltale.studies.influence_trust.words import sentences, worth

PLAN = Plan(
    subsets=5,
    repeats=2,
    images=8,
    networks=2,
    projection=16,
    checkpoints=2,
    training_images=80,
    base_width=2,
    epochs=2,
    batch_size=40,
)


def score(given: np.ndarray, members: np.ndarray, outputs: np.ndarray) -> float:
    return float(rank_correlations(foretold(given, members), outputs).mean())


def test_exact_attributions_of_ridge_regression_score_near_1_and_broken_ones_near_0() -> None:
    rng = np.random.default_rng(0)
    x, queries = rng.normal(size=(300, 4)), rng.normal(size=(40, 4))
    y = x @ rng.normal(size=4) + rng.normal(size=300)
    members = draw_halves(300, 80, rng)

    def fitted(rows: np.ndarray) -> np.ndarray:
        return np.linalg.solve(x[rows].T @ x[rows] + np.eye(4), x[rows].T @ y[rows])

    outputs = np.array([queries @ fitted(rows) for rows in members])
    inverse = np.linalg.inv(x.T @ x + np.eye(4))
    residuals = y - x @ fitted(np.ones(300, dtype=bool))
    exact = queries @ inverse @ x.T * residuals
    assert score(exact, members, outputs) > 0.95
    assert score(-exact, members, outputs) < -0.95
    assert abs(score(rng.normal(size=exact.shape), members, outputs)) < 0.1
    assert abs(score(exact[:, rng.permutation(300)], members, outputs)) < 0.25
    assert abs(np.mean([score(exact[:, rng.permutation(300)], members, outputs) for _ in range(20)])) < 0.06


def test_the_closed_form_foretells_its_own_head_and_a_gradient_dot_product_less() -> None:
    rng = np.random.default_rng(1)
    labels = rng.integers(3, size=240)
    hidden = (rng.normal(size=(3, 5))[labels] * 0.7 + rng.normal(size=(240, 5))).astype(np.float32)
    hidden[:, 0] *= 6.0  # curvature differs by direction, which gradients alone do not know
    queries = rng.normal(size=(30, 5)).astype(np.float32) * np.array([6, 1, 1, 1, 1], dtype=np.float32)
    head = fit_head(hidden, labels, 3, 1e-2)
    classes = head.probabilities(queries).argmax(1)
    members = draw_halves(240, 60, rng)
    halves = [fit_head(hidden[rows], labels[rows], 3, 1e-2) for rows in members]
    outputs = np.array([log_odds(np.log(half.probabilities(queries)), classes) for half in halves])
    exact = HeadInfluence(head, hidden, labels).values(queries, classes)
    residuals = head.probabilities(hidden) - np.eye(3)[labels]
    asked = head.probabilities(queries) - np.eye(3)[classes]
    gradient = (asked @ residuals.T) * (queries.astype(float) @ hidden.T + 1.0)
    assert score(exact, members, outputs) > 0.9
    assert score(gradient, members, outputs) < score(exact, members, outputs) - 0.15


def test_correlations_are_scipys_and_constants_tell_nothing() -> None:
    rng = np.random.default_rng(2)
    one, other = rng.integers(4, size=(12, 6)).astype(float), rng.normal(size=(12, 6))
    one[:, 2] = 1.0
    expected = [0.0 if t == 2 else spearmanr(one[:, t], other[:, t]).statistic for t in range(6)]
    np.testing.assert_allclose(rank_correlations(one, other), expected, atol=1e-12)


def test_sums_halves_and_log_odds_are_those_of_loops() -> None:
    rng = np.random.default_rng(3)
    members = draw_halves(7, 50, rng)
    assert (members.sum(1) == 3).all() and members.sum(0).min() > 10
    given = rng.normal(size=(2, 7))
    for s, row in enumerate(members):
        for t in range(2):
            assert foretold(given, members)[s, t] == pytest.approx(sum(given[t, i] for i in range(7) if row[i]))
    logits = rng.normal(size=(3, 2, 4)) * 4
    found = log_odds(logits, np.array([1, 3]))
    for r in range(3):
        for t, c in enumerate((1, 3)):
            p = np.exp(logits[r, t, c]) / np.exp(logits[r, t]).sum()
            assert found[r, t] == pytest.approx(np.log(p / (1 - p)))
    assert np.isfinite(log_odds(np.array([[[900.0, -900.0]]]), np.array([0]))).all()


def test_noise_of_subsets_and_images_and_the_ceiling_are_seen_in_simulations() -> None:
    rng = np.random.default_rng(4)

    def draw(subsets: int) -> tuple[np.ndarray, np.ndarray]:
        shared = rng.normal(size=(subsets, 1))  # what one draw of subsets does to all images alike
        return shared + rng.normal(size=(subsets, 10)), 0.5 * shared + rng.normal(size=(subsets, 10))

    means = [rank_correlations(*draw(40)).mean() for _ in range(300)]
    errors = [error_over_subsets(*draw(40)) for _ in range(20)]
    assert np.mean(errors) == pytest.approx(np.std(means), rel=0.25)

    values = rng.normal(size=(2, 400)) + np.array([[0.0], [1.0]])
    for row, (low, high) in zip(values, intervals_of_means(values, 0), strict=True):
        half = 1.96 * row.std() / 20
        assert (low, high) == pytest.approx((row.mean() - half, row.mean() + half), abs=0.02)

    truth = rng.normal(size=(2000, 3))
    margins = truth + 1.5 * rng.normal(size=(3, 2000, 3))
    best = rank_correlations(truth, margins.mean(0)).mean()
    assert ceiling(agreement(margins), 3) == pytest.approx(best, abs=0.03)
    assert ceiling(-0.2, 3) == 0.0


@pytest.fixture(scope="module")
def small() -> tuple:
    """Return an untrained network of 3 classes, images of 6×6 pixels and labels."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        classifier = small_classifier(1, 6, 6, 3, 2, 1)
    rng = np.random.default_rng(5)
    return classifier, rng.random((9, 1, 6, 6), dtype=np.float32), rng.integers(3, size=9)


def looped(classifier, images: np.ndarray, classes: np.ndarray, loss: bool) -> np.ndarray:
    rows = []
    for image, chosen in zip(images, classes, strict=True):
        logits = classifier(torch.from_numpy(image[None]))
        probability = logits.softmax(1)[0, int(chosen)]
        value = -probability.log() if loss else probability.log() - (1.0 - probability).log()
        gradients = torch.autograd.grad(value, [w for w in classifier.parameters() if w.requires_grad])
        rows.append(torch.cat([gradient.flatten() for gradient in gradients]).numpy())
    return np.array(rows)


def test_gradients_are_those_of_one_backward_pass_per_image(small) -> None:
    classifier, images, labels = small
    found = log_odds_gradients(classifier, images, labels)
    np.testing.assert_allclose(found.gradients, looped(classifier, images, labels, loss=False), atol=2e-5)
    np.testing.assert_allclose(found.of_loss, looped(classifier, images, labels, loss=True), atol=2e-5)
    own = classifier.probabilities(images)[np.arange(9), labels]
    np.testing.assert_allclose(found.doubts, 1.0 - own, atol=1e-6)


def test_trak_is_its_formula_written_out(small) -> None:
    classifier, images, labels = small
    classes, terms, expected = np.array([0, 2, 1]), [], []
    for seed in (0, 1):
        own = log_odds_gradients(classifier, images, labels)
        asked = log_odds_gradients(classifier, images[:3] / 2, classes)
        terms.append(trak_terms(own, asked, 4, seed))
        gradients = looped(classifier, images, labels, loss=False).astype(np.float64)
        matrix = np.random.default_rng(seed).standard_normal((gradients.shape[1], 4), dtype=np.float32)
        phi = np.array(
            [[sum(g * m for g, m in zip(row, matrix[:, k], strict=True)) for k in range(4)] for row in gradients]
        )
        queries = looped(classifier, images[:3] / 2, classes, loss=False).astype(np.float64) @ matrix
        inverse = np.linalg.inv(sum(np.outer(row, row) for row in phi))
        expected.append([[q @ inverse @ row for row in phi] for q in queries])
    doubts = 1.0 - classifier.probabilities(images)[np.arange(9), labels]
    np.testing.assert_allclose(trak(terms), np.mean(expected, axis=0) * doubts, rtol=2e-3, atol=2e-5)


def test_projections_keep_dot_products_and_do_not_depend_on_the_company() -> None:
    gradients = np.random.default_rng(6).normal(size=(4, 5000)).astype(np.float32)
    found = project(gradients, 20_000 // 5, 7)
    np.testing.assert_allclose(found @ found.T / 4000, gradients @ gradients.T, atol=6 * 5000 / np.sqrt(4000))
    np.testing.assert_allclose(project(gradients[1:2], 4000, 7), found[1:2], atol=1e-2)


def test_last_layer_products_are_captums_and_tracin_adds_them_up(small) -> None:
    classifier, images, labels = small
    classes = classifier.predict(images[:3])
    found = attributions.last_layer_products(classifier, (images, labels), (images[:3], classes))

    class Whole(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network, self.fc = classifier.network, classifier.network.head

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.network(classifier.normalised(x))

    captum = TracInCPFast(
        Whole(),
        final_fc_layer="fc",
        train_dataset=TensorDataset(torch.from_numpy(images), torch.from_numpy(labels)),
        checkpoints=["as it is"],
        checkpoints_load_func=lambda *_: 1.0,
        loss_fn=nn.CrossEntropyLoss(reduction="sum"),
        batch_size=4,
    )
    theirs = captum.influence((torch.from_numpy(images[:3]), torch.from_numpy(classes)))
    residuals = classifier.probabilities(images) - np.eye(3)[labels]
    of_biases = (classifier.probabilities(images[:3]) - np.eye(3)[classes]) @ residuals.T  # Captum leaves them out
    np.testing.assert_allclose(found - of_biases, theirs.numpy(), rtol=1e-3, atol=1e-5)

    bench = Bench.of(DIGITS, "digits", PLAN)
    bench = replace(
        bench,
        image_set=replace(bench.image_set, pixels=(images * 255).astype(np.uint8), labels=labels),
        training=np.arange(9),
        test=np.arange(3),
    )
    read = bench.image_set.images(np.arange(9))
    sums = attributions.tracin(bench, [Checkpoint(0.5, classifier), Checkpoint(0.25, classifier)], classes)
    own, asked = looped(classifier, read, labels, loss=True), looped(classifier, read[:3], classes, loss=True)
    np.testing.assert_allclose(sums.all_weights, 0.75 * asked @ own.T, rtol=1e-3, atol=1e-4)
    last = attributions.last_layer_products(classifier, (read, labels), (read[:3], classes))
    np.testing.assert_allclose(sums.last_layer, 0.75 * last, rtol=1e-6)


def test_cosines_are_those_of_hidden_states(small) -> None:
    classifier, images, _ = small
    hidden = classifier.trace(images).hidden.astype(float)
    found = attributions.cosines(classifier, images, images[:2])
    for t in range(2):
        for i in range(9):
            expected = hidden[t] @ hidden[i] / np.sqrt((hidden[t] @ hidden[t]) * (hidden[i] @ hidden[i]))
            assert found[t, i] == pytest.approx(expected)


def test_images_are_averaged_block_by_block() -> None:
    pixels = np.random.default_rng(8).integers(256, size=(2, 3, 8, 4), dtype=np.uint8)
    found = averaged_down(pixels, 2)
    assert found.shape == (2, 3, 2, 2) and found.dtype == np.uint8
    assert found[1, 2, 1, 0] == round(float(pixels[1, 2, 4:8, 0:2].mean()))
    with pytest.raises(InputError, match="8×4 pixels cannot be averaged down to 3×3"):
        averaged_down(pixels, 3)


@pytest.fixture
def one_process(monkeypatch, tmp_path):
    monkeypatch.setattr(measure.Processes, "run", lambda _, *works: [w.do(job) for w in works for job in w.jobs])
    monkeypatch.setattr(results, "RESULTS", tmp_path / "stored")
    torch.set_num_threads(1)


def test_the_study_is_what_its_parts_give_and_nothing_is_done_twice(one_process, monkeypatch, tmp_path) -> None:
    file = tmp_path / "digits.parquet"
    with monkeypatch.context() as stopped:
        stopped.setattr(measure, "save_trust", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            measure.measure_influence_trust("digits", PLAN, file, silent)
    assert not file.exists()
    (folder,) = tmp_path.glob("*.partial")
    left = {part.name: part.read_bytes() for part in folder.iterdir()}
    assert len(left) == PLAN.networks + PLAN.subsets
    monkeypatch.setattr(measure.Processes, "run", lambda _, *works: [1 / 0 for w in works for _ in w.jobs])
    found = measure.measure_influence_trust("digits", PLAN, file, silent)
    assert not folder.exists()
    loaded = results.load_trust(file)
    assert loaded.table.equals(found.table) and asdict(loaded.origin) == asdict(found.origin)
    assert asdict(loaded.retraining) == asdict(found.retraining)

    bench = Bench.of(DIGITS, "digits", PLAN)
    assert set(bench.training).isdisjoint(bench.test) and found.origin.data_fingerprint == tiny_digits().fingerprint
    images = bench.image_set.images(bench.test)
    network = bench.train_all(0)[-1].classifier
    classes = network.predict(images)
    outputs = np.zeros((PLAN.subsets, PLAN.images))
    for s in range(PLAN.subsets):
        for r in range(PLAN.repeats):
            p = bench.retrain(s, r).probabilities(images)[np.arange(PLAN.images), classes]
            outputs[s] += np.log(p / (1.0 - p)) / PLAN.repeats
    cosines = attributions.cosines(network, bench.image_set.images(bench.training), images)
    sums = np.array([[row[members].sum() for row in cosines] for members in bench.members])
    expected = [spearmanr(sums[:, t], outputs[:, t]).statistic for t in range(PLAN.images)]
    rows = [row for row in found.table.to_pylist() if row["method"] == methods.COSINE]
    assert [row["image_id"] for row in rows] == bench.test.tolist()
    assert [row["correlation"] for row in rows] == pytest.approx(expected, abs=1e-9)
    assert {row["method"] for row in found.table.to_pylist()} == set(methods.TITLES)
    assert found.retraining.accuracy == pytest.approx((classes == tiny_digits().labels[bench.test]).mean())
    assert not np.allclose(bench.retrain(0, 0).logits_of(images), bench.retrain(0, 1).logits_of(images)), (
        "repeats start alike"
    )


def test_scores_are_means_and_words_follow_them() -> None:
    found = made_trust({methods.HEAD: 0.2, methods.TRAK: 0.5, methods.RANDOM: 0.0})
    trusts = method_trusts(found)
    assert [trust.method for trust in trusts] == [methods.HEAD, methods.TRAK, methods.RANDOM]
    for trust in trusts:
        rows = [row["correlation"] for row in found.table.to_pylist() if row["method"] == trust.method]
        assert trust.score == pytest.approx(np.mean(rows)) and trust.low < trust.score < trust.high
    said = " ".join(sentences(found, trusts))
    assert "score **0.20**" in said and "a weak hint" in said and "do better: TRAK, all networks, 0.50" in said
    assert f"about {best_possible(found):.2f} here" in said
    words = [worth(replace(trusts[0], score=s, low=s - 0.01, subset_error=0.0)) for s in (0.7, 0.4, 0.2, 0.05)]
    assert words == ["a good forecast", "a rough guide", "a weak hint", "hardly more than chance"]
    assert worth(replace(trusts[0], score=0.2, low=0.15, subset_error=0.1)) == "no more than chance"
    worse = made_trust({methods.HEAD: 0.5, methods.TRAK: 0.2})
    assert "do worse" in " ".join(sentences(worse, method_trusts(worse)))


def test_the_command_prints_what_is_stored(one_process, capsys) -> None:
    assert main(["influence-lds", "--stored"]) == 2
    arguments = ["influence-lds", "--subsets", "4", "--repeats", "1", "--images", "4", "--networks", "1"]
    arguments += ["--projection", "8", "--epochs", "1", "--width", "2", "--training-images", "60"]
    assert main([*arguments, "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert [one["method"] for one in record["methods"]] == list(methods.TITLES)
    assert record["best_possible"] is None and record["origin"]["training_images"] == 60
    assert main(["influence-lds", "--stored", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == record
    assert main(["influence-lds", "--stored"]) == 0
    printed = capsys.readouterr().out
    assert "Linear datamodeling score" in printed and f"{record['methods'][0]['score']:.3f}" in printed


def test_defaults_of_the_command_are_those_of_the_plan() -> None:
    import typer

    from telltale.cli.program import program

    command = typer.main.get_command(program).commands["influence-lds"]
    given = command.make_context("influence-lds", []).params
    plan = asdict(Plan())
    for option, field in {"width": "base_width"}.items():
        given[field] = given.pop(option)
    shared = given.keys() & plan.keys()
    assert len(shared) == 10 and {name: given[name] for name in shared} == {name: plan[name] for name in shared}


def test_what_cannot_be_is_refused(tmp_path) -> None:
    for options, said in (
        ({"subsets": 3}, "'subsets' must be at least 4"),
        ({"images": 0}, "'images'"),
        ({"epochs": 2, "checkpoints": 3}, "checkpoints"),
        ({"repeats": 1001}, "At most 1000"),
    ):
        with pytest.raises(InputError, match=said):
            Plan(**options)
    with pytest.raises(InputError, match="averaged down"):
        Bench.of(DIGITS, "digits", replace(PLAN, side=7))
    file = tmp_path / "x.parquet"
    found = made_trust({methods.HEAD: 0.2})
    results.save_trust(file, replace(found, retraining=replace(found.retraining, subset_errors={"head": "much"})))
    with pytest.raises(DamagedBundleError, match="does not say what"):
        results.load_trust(file)
    results.save_noted(file, pa.table({"a": [1]}), {}, pa.schema({"a": pa.int64()}))
    with pytest.raises(DamagedBundleError, match="does not hold a study of influence"):
        results.load_trust(file)


def test_what_ships_opens_and_says_something_of_every_method() -> None:
    for file in results.RESULTS.glob("*.parquet"):
        found = results.load_trust(file)
        trusts = method_trusts(found)
        assert [trust.method for trust in trusts] == list(methods.TITLES)
        (control,) = (trust for trust in trusts if trust.method == methods.RANDOM)
        assert abs(control.score) < 0.1
        said = " ".join(sentences(found, trusts))
        assert f"score **{trusts[0].score:.2f}**" in said and worth(trusts[0]) in said
