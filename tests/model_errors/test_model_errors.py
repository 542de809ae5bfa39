"""Natural errors and suspicious labels: closed forms against autograd, votes against scikit-learn, planted errors."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from sklearn.neighbors import NearestNeighbors

from support.miniature import RECIPE
from support.shipped import shipped
from support.tiny import tiny_digits
from telltale.analysis.opened import load_reference
from telltale.base.errors import InputError
from telltale.bundle import load_bundle
from telltale.cli import main
from telltale.data.splits import SplitSizes
from telltale.evidence.influence import SoftmaxHead, fit_head
from telltale.evidence.label_doubt import label_error_score
from telltale.kinds.neighbours import NeighboursView
from telltale.kinds.trajectory import NO_LAYER
from telltale.model_errors import label_votes, suspicious
from telltale.model_errors import self_influence as self_influence_module
from telltale.model_errors.evaluated import evaluated_images
from telltale.model_errors.label_votes import leave_one_out_votes
from telltale.model_errors.reasons import ErrorReasons, explain_errors
from telltale.model_errors.self_influence import BLOCKS, WHOLE, self_influence
from telltale.model_errors.suspicious import rank_labels, suspicious_images
from telltale.studies.planted import Plan, flip_labels, measure

DAMPING, CLASSES = 1e-2, 4
PLANTED = 30


def silent(*_: object) -> None:
    """Take progress and say nothing."""


def problem(count: int = 48, width: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Overlapping clouds, two of their labels wrong."""
    draws = np.random.default_rng(3)
    labels = np.arange(count) % CLASSES
    hidden = 2.0 * draws.normal(size=(CLASSES, width))[labels] + draws.normal(size=(count, width))
    labels[[5, 17]] = (labels[[5, 17]] + 1) % CLASSES
    return hidden.astype(np.float32), labels


def by_autograd(head: SoftmaxHead, hidden: np.ndarray, labels: np.ndarray, blocks: bool) -> np.ndarray:
    """Gradients and Hessian by autograd, the Hessian inverted outright, with or without its blocks between classes."""
    features = torch.from_numpy(np.column_stack([hidden.astype(np.float64), np.ones(len(hidden))]))
    targets, weights = torch.from_numpy(labels), torch.from_numpy(head.weights)

    def loss(at: torch.Tensor) -> torch.Tensor:
        fit = torch.nn.functional.cross_entropy(features @ at.T, targets)
        return fit + head.damping / 2 * at.square().sum()

    def gradient(row: int) -> np.ndarray:
        at = weights.clone().requires_grad_()
        own = torch.nn.functional.cross_entropy((features[row] @ at.T)[None], targets[row][None])
        return torch.autograd.grad(own, at)[0].numpy().ravel()

    hessian = torch.autograd.functional.hessian(loss, weights).reshape(weights.numel(), -1).numpy()
    if blocks:
        hessian = hessian * np.kron(np.eye(CLASSES), np.ones((features.shape[1],) * 2))
    inverse = np.linalg.inv(hessian)
    return np.array([gradient(i) @ inverse @ gradient(i) for i in range(len(hidden))]) / len(hidden)


def test_self_influence_is_autograds() -> None:
    hidden, labels = problem()
    head = fit_head(hidden, labels, CLASSES, DAMPING)
    found, method = self_influence(head, hidden, labels, silent)
    np.testing.assert_allclose(found, by_autograd(head, hidden, labels, blocks=False), rtol=1e-8)
    assert method == WHOLE


def test_self_influence_of_a_large_head_is_that_of_the_class_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    hidden, labels = problem()
    head = fit_head(hidden, labels, CLASSES, DAMPING)
    monkeypatch.setattr(self_influence_module, "FACTORED_WEIGHTS", 0)
    found, method = self_influence(head, hidden, labels, silent)
    np.testing.assert_allclose(found, by_autograd(head, hidden, labels, blocks=True), rtol=1e-2)
    assert method == BLOCKS


def test_self_influence_ranks_as_really_leaving_each_image_out_does() -> None:
    hidden, labels = problem()
    head, count = fit_head(hidden, labels, CLASSES, DAMPING), len(labels)
    before = -np.log(head.probabilities(hidden)[np.arange(count), labels])
    after = np.empty(count)
    for i in range(count):
        rest = np.arange(count) != i
        other = fit_head(hidden[rest], labels[rest], CLASSES, DAMPING * count / (count - 1))
        after[i] = -np.log(other.probabilities(hidden[i : i + 1])[0, labels[i]])
    found, _ = self_influence(head, hidden, labels, silent)
    assert spearmanr(found, after - before).statistic > 0.98
    assert (found > 0).all()


@pytest.mark.parametrize("k", [1, 5, 20])
def test_votes_are_those_of_scikit_learn_without_the_image_itself(k: int, monkeypatch: pytest.MonkeyPatch) -> None:
    draws = np.random.default_rng(0)
    hidden = draws.normal(size=(300, 6)).astype(np.float32) + 50.0  # far from the origin: rounding would show
    labels = draws.integers(0, CLASSES, 300)
    monkeypatch.setattr(label_votes, "QUERIES_AT_ONCE", 77)
    found = leave_one_out_votes(hidden, labels, CLASSES, k, silent)
    near = NearestNeighbors(n_neighbors=k, algorithm="brute").fit(hidden.astype(np.float64))
    for i, rows in enumerate(near.kneighbors(return_distance=False)):  # without a query, each is left out of its own
        counts = {label: int((labels[rows] == label).sum()) for label in range(CLASSES)}
        assert found.own[i] == pytest.approx(counts.pop(labels[i]) / k)
        rival = max(counts, key=lambda label: (counts[label], -label))
        assert found.rival[i] == rival
        assert found.rival_share[i] == pytest.approx(counts[rival] / k)


def test_no_image_votes_for_itself_among_its_own_copies() -> None:
    hidden, labels = np.ones((12, 3), dtype=np.float32), np.arange(12)
    assert (leave_one_out_votes(hidden, labels, 12, 4, silent).own == 0.0).all()


@pytest.mark.parametrize("k", [0, 48])
def test_too_many_or_too_few_neighbours_are_refused(k: int) -> None:
    with pytest.raises(InputError, match="k must be an integer in \\[1, 47\\]"):
        leave_one_out_votes(*problem(), CLASSES, k, silent)


def test_the_list_weighs_both_signs_equally_and_names_the_wrong_labels_first() -> None:
    hidden, labels = problem(400)
    head = fit_head(hidden, labels, CLASSES, DAMPING)
    ids = np.arange(400) + 1000
    found = rank_labels(ids, hidden, labels, CLASSES, head, silent)
    influence, _ = self_influence(head, hidden, labels, silent)
    disagreement = 1.0 - leave_one_out_votes(hidden, labels, CLASSES, suspicious.NEIGHBOURS, silent).own
    by_hand = []
    for i in range(400):
        below = [float((v < v[i]).sum() + ((v == v[i]).sum() - 1) / 2 + 0.5) / 400 for v in (influence, disagreement)]
        by_hand.append((-round(sum(below) / 2, 12), ids[i]))
    assert [image_id for _, image_id in sorted(by_hand)] == found.ids.tolist()
    np.testing.assert_allclose(found.suspicion, [-score for score, _ in sorted(by_hand)])
    np.testing.assert_array_equal(found.labels, labels[found.ids - 1000])
    assert {1005, 1017} <= set(found.ids[:40].tolist())


def test_ranking_can_be_stopped_in_every_stage() -> None:
    hidden, labels = problem()
    head = fit_head(hidden, labels, CLASSES, DAMPING)
    told: list[tuple[float, str]] = []
    rank_labels(np.arange(48), hidden, labels, CLASSES, head, lambda f, m: told.append((f, m)))
    assert [f for f, _ in told] == sorted(f for f, _ in told)
    for stop in {message for _, message in told}:
        with pytest.raises(KeyboardInterrupt):
            rank_labels(np.arange(48), hidden, labels, CLASSES, head, stopping_at(stop))


def stopping_at(message: str) -> Callable[[float, str], None]:
    def checkpoint(_: float, said: str) -> None:
        if said == message:
            raise KeyboardInterrupt

    return checkpoint


def test_the_label_error_score_is_the_mean_doubt_of_network_and_neighbours() -> None:
    probabilities = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.2, 0.5, 0.3], [0.4, 0.4, 0.2]])
    shares = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.5, 0.5, 0.0], [0.0, 1.0, 0.0]])
    found = label_error_score(probabilities, shares, np.zeros(4, dtype=np.int64))
    np.testing.assert_allclose(found, [0.0, 1.0, (0.65 + 0.5) / 2, (0.5 + 1.0) / 2])


def test_evaluated_images_are_the_natural_rows_once_each() -> None:
    scores = load_bundle("digits").scores
    table, found = scores.to_pylist(), evaluated_images(scores)
    natural = [row for row in table if row["kind"] in ("natural", "natural_error")]
    assert [(r["image_id"], r["split"], r["label"], r["prediction"], r["confidence"]) for r in natural] == list(
        zip(found.ids, found.splits, found.labels, found.predictions, found.confidences, strict=True)
    )
    counts = np.zeros((10, 10), dtype=int)
    for row in natural:
        counts[row["label"], row["prediction"]] += 1
    np.testing.assert_array_equal(found.confusion(10), counts)
    assert len(found.errors()) == counts.sum() - np.trace(counts) == sum(r["kind"] == "natural_error" for r in natural)


@functools.cache
def reasons() -> ErrorReasons:
    return explain_errors(shipped(), silent)


def test_reasons_are_those_of_brute_force() -> None:
    loaded, found = shipped(), reasons()
    errors = evaluated_images(loaded.bundle.scores).errors()
    reference = loaded.reference
    trace = loaded.classifier.trace(loaded.bundle.image_set.images(errors.ids))
    np.testing.assert_array_equal(found.ids, errors.ids)
    near = NearestNeighbors(n_neighbors=found["k"], algorithm="brute").fit(reference.trace.hidden.astype(np.float64))
    rows = near.kneighbors(trace.hidden.astype(np.float64), return_distance=False)
    np.testing.assert_allclose(found["true_share"], (reference.labels[rows] == errors.labels[:, None]).mean(1))
    np.testing.assert_allclose(
        found["predicted_share"], (reference.labels[rows] == errors.predictions[:, None]).mean(1)
    )
    logits = trace.logits.astype(np.float64)
    expected = [np.exp(row[label]) / np.exp(row).sum() for row, label in zip(logits, errors.labels, strict=True)]
    np.testing.assert_allclose(found["label_confidence"], expected, rtol=1e-4)
    influence = reference.influence.values(trace.hidden, errors.labels)
    for i, values in enumerate(influence):
        expected = np.argsort(values, kind="stable")[: found["harmful_ids"].shape[1]]
        np.testing.assert_array_equal(found["harmful_ids"][i], reference.ids[expected])
        np.testing.assert_allclose(found["harmful_values"][i], values[expected], rtol=1e-4)
    assert (found["harmful_values"] < 0).all()
    for i, layer in enumerate(found["departures"]):
        assert layer == first_lasting(found, i, trace, errors)


def first_lasting(found: ErrorReasons, i: int, trace: object, errors: object) -> int:
    """Walk back from the last layer while the predicted class's pivot is nearer, or more similar."""
    pivots = shipped().reference.pivots.of(found["pivot"])
    layer = len(pivots)
    while layer > 0:
        own = trace.activations[layer - 1][i].astype(np.float64)
        right, wrong = (pivots[layer - 1][c].astype(np.float64) for c in (errors.labels[i], errors.predictions[i]))
        if found["distance"] == "l2":
            nearer = np.linalg.norm(own - wrong) < np.linalg.norm(own - right)
        else:
            nearer = own @ wrong / np.linalg.norm(wrong) > own @ right / np.linalg.norm(right)
        if not nearer:
            break
        layer -= 1
    return NO_LAYER if layer == len(pivots) else layer


def test_errors_lie_on_the_maps_where_the_neighbours_page_puts_them() -> None:
    from telltale.analysis.analyse import analyse_image

    loaded, found = shipped(), reasons()
    view = analyse_image(loaded, loaded.bundle.image_set.images(found.ids[:1])[0]).view(NeighboursView)
    for name, places in view.positions.items():
        np.testing.assert_allclose(found["positions"][name][0], places, atol=1e-5)


def test_a_model_without_errors_has_empty_reasons(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = shipped()
    from telltale.model_errors import reasons as module

    everything = evaluated_images(loaded.bundle.scores)
    monkeypatch.setattr(module, "evaluated_images", lambda _: everything.take(~everything.wrong))
    found = explain_errors(loaded, silent)
    assert len(found) == 0 and "harmful_ids" not in found
    with pytest.raises(InputError, match="says anything of 'harmful_ids'"):
        found["harmful_ids"]


def test_flipped_labels_are_all_wrong_and_the_others_untouched() -> None:
    labels, ids = tiny_digits().labels, np.arange(100, 500)
    flipped, chosen = flip_labels(labels, ids, PLANTED, 10, seed=1)
    assert (np.flatnonzero(flipped != labels) == chosen).all() and len(chosen) == PLANTED
    assert np.isin(chosen, ids).all() and (flipped >= 0).all() and (flipped < 10).all()
    with pytest.raises(InputError, match="must be an integer in \\[1, 400\\]"):
        flip_labels(labels, ids, 401, 10, seed=1)


def test_planted_errors_are_found_by_a_network_that_learned_from_them() -> None:
    torch.set_num_threads(1)
    recipe = replace(RECIPE, sizes=SplitSizes(fit=60, calibration=600, test=400), epochs=4, batch_size=16)
    found = measure(Plan(recipe, count=PLANTED), tiny_digits(), silent)
    assert found.accuracy > 0.7, "a network that learned nothing would make the figure meaningless"
    assert sum(rank <= 3 * PLANTED for rank in found.ranks) >= 0.9 * PLANTED, found.ranks
    assert len(found.ranks) == PLANTED and found.training_images > 500


def test_the_command_line_prints_the_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["label-errors", "digits", "--count", "3", "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    expected = suspicious_images(load_reference(load_bundle("digits")), silent)
    assert [row["image_id"] for row in record["images"]] == expected.ids[:3].tolist()
    assert record["ranked"] == len(expected) == len(load_bundle("digits").splits.train)
    assert main(["label-errors", "digits", "--count", "2"]) == 0
    printed = capsys.readouterr().out
    assert str(expected.ids[0]) in printed and "strongest" in printed


def test_a_network_that_is_not_trained_has_no_other_epochs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["planted-errors", "digits", "--head-only", "--epochs", "2"]) == 2
    assert "Only a network that is trained" in capsys.readouterr().err
