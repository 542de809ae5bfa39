"""Heads refitted on corrected training images: against scikit-learn, autograd and each other."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from support.shipped import correct_test_ids, images_of, shipped
from telltale.base.errors import CancelledError, InputError
from telltale.bundle import load_bundle
from telltale.evidence import by_size
from telltale.evidence.curvature import ConjugateInfluence
from telltale.evidence.influence import HeadInfluence, fit_head, with_bias
from telltale.evidence.reference import Reference
from telltale.model_errors import changed_answers as changed_module
from telltale.model_errors.changed_answers import changed_answers, compare
from telltale.model_errors.corrections import REMOVED
from telltale.model_errors.evaluated import evaluated_images
from telltale.model_errors.label_votes import leave_one_out_votes
from telltale.model_errors.refitting import PASSES, WHOLE, correct_head, refit
from telltale.model_errors.self_influence import self_influence
from telltale.models.trace import Trace

DAMPING, CLASSES, COUNT, WIDTH = 1e-2, 4, 60, 3
RNG = np.random.default_rng


def silent(*_: object) -> None:
    """Take progress and say nothing."""


def reference(first_id: int = 100) -> Reference:
    """Overlapping clouds, ids that are no rows, and a head at its optimum."""
    draws = RNG(3)
    labels = np.arange(COUNT) % CLASSES
    hidden = (2.0 * draws.normal(size=(CLASSES, WIDTH))[labels] + draws.normal(size=(COUNT, WIDTH))).astype(np.float32)
    head = fit_head(hidden, labels, CLASSES, DAMPING)
    trace = Trace(("hidden",), (hidden,), np.zeros((COUNT, CLASSES), np.float32))
    return Reference(np.arange(COUNT) + first_id, labels, CLASSES, trace, {"influence": head})


MIXED = np.array([101, 104, 110, 117, 130, 131]), np.array([REMOVED, 2, REMOVED, 3, REMOVED, 0])
REMOVALS = np.array([101, 110, 117]), np.full(3, REMOVED)
RELABELS = np.array([104, 117, 131]), np.array([2, 3, 0])
SETS = pytest.mark.parametrize(("ids", "new"), [MIXED, REMOVALS, RELABELS], ids=["mixed", "removals", "relabels"])


def by_hand(known: Reference, ids: np.ndarray, new: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return what is left of the training set, one image after the other."""
    changed = dict(zip(ids.tolist(), new.tolist(), strict=True))
    rows, labels = [], []
    for row, image_id in enumerate(known.ids.tolist()):
        label = changed.get(image_id, int(known.labels[row]))
        if label != REMOVED:
            rows.append(row)
            labels.append(label)
    return known.trace.hidden[rows], np.array(labels)


@SETS
def test_the_refitted_head_is_that_of_scikit_learn_with_the_same_penalty(ids: np.ndarray, new: np.ndarray) -> None:
    known = reference()
    hidden, labels = by_hand(known, ids, new)
    oracle = LogisticRegression(C=1 / (COUNT * DAMPING), fit_intercept=False, tol=1e-10, max_iter=10_000)
    oracle.fit(with_bias(hidden), labels)
    found = correct_head(known, ids, new).after
    np.testing.assert_allclose(found.weights, oracle.coef_, atol=1e-5)
    assert np.abs(found.weights - known.head.weights).max() > 1e-2


def by_autograd(known: Reference, ids: np.ndarray, new: np.ndarray) -> np.ndarray:
    """Return the head to first order: autograd's own gradient and Hessian, the latter inverted outright."""
    hidden, labels = by_hand(known, ids, new)
    every = known.trace.hidden
    start = torch.from_numpy(known.head.weights)

    def total(at: torch.Tensor, features: np.ndarray, targets: np.ndarray) -> torch.Tensor:
        logits = torch.from_numpy(with_bias(features)) @ at.T
        return torch.nn.functional.cross_entropy(logits, torch.from_numpy(targets), reduction="sum")

    def corrected(at: torch.Tensor) -> torch.Tensor:
        return total(at, hidden, labels) / COUNT + DAMPING / 2 * at.square().sum()

    def curved(at: torch.Tensor) -> torch.Tensor:
        some = total(at, every, np.zeros(len(every), np.int64))  # labels do not curve the loss
        return some / COUNT + DAMPING / 2 * at.square().sum()

    at = start.clone().requires_grad_()
    gradient = torch.autograd.grad(corrected(at), at)[0].numpy()
    hessian = torch.autograd.functional.hessian(curved, start).reshape(start.numel(), -1).numpy()
    return known.head.weights - np.linalg.solve(hessian, gradient.ravel()).reshape(gradient.shape)


@SETS
def test_what_influence_foretells_is_autograds_first_order(ids: np.ndarray, new: np.ndarray) -> None:
    known = reference()
    heads = correct_head(known, ids, new)
    assert heads.method == WHOLE
    np.testing.assert_allclose(heads.first_order.weights, by_autograd(known, ids, new), rtol=1e-6, atol=1e-9)


def test_single_influences_add_up_and_are_the_slope_of_the_loss() -> None:
    known, (ids, new) = reference(), MIXED
    whole = correct_head(known, ids, new)
    singles = [correct_head(known, ids[[i]], new[[i]]) for i in range(len(ids))]
    added = sum(single.first_order.weights - known.head.weights for single in singles)
    np.testing.assert_allclose(whole.first_order.weights - known.head.weights, added, atol=1e-12)


@SETS
def test_a_head_too_large_for_its_whole_hessian_gives_the_same(
    monkeypatch: pytest.MonkeyPatch, ids: np.ndarray, new: np.ndarray
) -> None:
    expected = correct_head(reference(), ids, new)
    monkeypatch.setattr(by_size, "FACTORED_WEIGHTS", 0)
    known = reference()
    found = correct_head(known, ids, new)
    assert isinstance(known.influence, ConjugateInfluence) and found.method == PASSES
    for name in ("first_order", "after"):
        np.testing.assert_allclose(getattr(found, name).weights, getattr(expected, name).weights, atol=1e-6)


def test_it_can_be_stopped_between_passes() -> None:
    def stop() -> None:
        raise CancelledError("Stopped.")

    with pytest.raises(CancelledError):
        correct_head(reference(), *MIXED, stop)


@pytest.mark.parametrize(
    ("ids", "new", "said"),
    [
        ([99], [REMOVED], "Image 99 is not among the training images"),
        ([100, 100], [REMOVED, 1], "once only"),
        ([101], [1], "Image 101 can only be given another of the 4 classes"),
        ([101], [4], "Image 101 can only be given another of the 4 classes"),
        (list(range(100, 159)), [REMOVED] * 59, "fewer than two training images are left"),
    ],
)
def test_wrong_corrections_are_refused(ids: list[int], new: list[int], said: str) -> None:
    with pytest.raises(InputError, match=said):
        correct_head(reference(), np.array(ids), np.array(new))


def test_two_heads_are_compared_image_by_image() -> None:
    known = reference()
    before, after = known.head, correct_head(known, *MIXED).after
    natural = evaluated_images(load_bundle("digits").scores)
    test = natural.take(np.arange(40))
    test = replace(test, labels=test.labels % CLASSES)
    hidden = RNG(0).normal(size=(40, WIDTH)).astype(np.float32)
    found = compare(test, 50, hidden, before, after)
    lists: dict[str, list[int]] = {"to_wrong": [], "to_right": [], "to_other": []}
    rights = [0, 0]
    for i, vector in enumerate(with_bias(hidden)):
        first, second = (int(np.argmax(head.weights @ vector)) for head in (before, after))
        label = int(test.labels[i])
        rights[0] += first == label
        rights[1] += second == label
        if first != second:
            lists["to_wrong" if first == label else "to_right" if second == label else "to_other"].append(test.ids[i])
    assert {name: getattr(found, name).tolist() for name in lists} == lists and sum(map(len, lists.values()))
    assert [found.right_before, found.right_after] == rights and (found.images, found.of) == (40, 50)


@pytest.mark.parametrize("name", ["digits", "cifar10"])
def test_nothing_corrected_changes_nothing_in_the_shipped_models(name: str) -> None:
    known = shipped(name).reference
    nothing = np.empty(0, np.int64)
    heads = correct_head(known, nothing, nothing)
    assert isinstance(known.influence, HeadInfluence)
    np.testing.assert_allclose(heads.after.weights, known.head.weights, atol=1e-5)


def test_foretold_and_real_go_together_on_the_digits() -> None:
    """A dozen images each: those that the page names, helpful and harmful, and some at random."""
    loaded, draws = shipped(), RNG(0)
    known, moved = loaded.reference, []
    for image_id in correct_test_ids(4):
        trace = loaded.classifier.trace(images_of([image_id]))
        read, top = trace.predictions[0], known.influence.top(trace.hidden, trace.predictions, 12)
        for rows in (top.helpful[0], top.harmful[0], draws.choice(len(known.labels), 12, replace=False)):
            ids = np.sort(known.ids[rows])
            heads = correct_head(known, ids, np.full(12, REMOVED))
            said = [heads.before, heads.first_order, heads.after]
            losses = [-np.log(head.probabilities(trace.hidden)[0, read]) for head in said]
            moved.append(np.array(losses[1:]) - losses[0])
    first, real = np.array(moved).T
    assert np.corrcoef(first, real)[0, 1] > 0.9
    assert np.ptp(real) > 0.003, "otherwise nothing was foretold"


def test_a_refit_says_what_its_parts_say() -> None:
    loaded = shipped()
    known, image = loaded.reference, images_of(correct_test_ids(1))[0]
    ids = np.sort(known.ids[[3, 50, 200]])
    rows = np.searchsorted(known.ids, ids)
    new = np.array([REMOVED, (known.labels[rows[1]] + 1) % 10, REMOVED])
    found = refit(loaded, ids, new, image, silent)
    heads, trace = correct_head(known, ids, new), loaded.classifier.trace(image[None])
    assert found.answers is not None and found.removed == 2
    for name in ("before", "first_order", "after"):
        expected = getattr(heads, name).probabilities(trace.hidden)[0]
        np.testing.assert_allclose(getattr(found.answers, name), expected, atol=1e-12)
    np.testing.assert_allclose(found.answers.network, trace.probabilities[0])
    # Removing alone is what the influence of the Neighbours page measures.
    values = known.influence.values(trace.hidden, trace.predictions)[0]  # type: ignore[attr-defined]
    np.testing.assert_allclose(found.answers.influences[[0, 2]], values[rows[[0, 2]]], rtol=1e-3, atol=1e-12)
    own, _ = self_influence(known.head, known.trace.hidden, known.labels, silent)
    np.testing.assert_allclose(found.self_influence, own[rows], rtol=1e-6)
    votes = leave_one_out_votes(known.trace.hidden, known.labels, 10, found.votes.k, silent)
    np.testing.assert_array_equal(found.votes.own, votes.own[rows])
    np.testing.assert_array_equal(found.votes.rival, votes.rival[rows])
    assert refit(loaded, ids, new, None, silent).answers is None


def test_changed_answers_read_each_test_image_once(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = shipped()
    ids = np.sort(loaded.reference.ids[loaded.reference.labels == 3])
    new = np.full(len(ids), REMOVED)
    monkeypatch.setattr(changed_module, "MOST_IMAGES", 60)
    changed_module._kept.clear()
    found = changed_answers(loaded, ids, new, silent)
    assert found.images == 60 and found.of == 350
    assert found.right_after < found.right_before and len(found.to_wrong)
    assert found.right_after == found.right_before - len(found.to_wrong) + len(found.to_right)
    labels = loaded.bundle.require_images().labels
    assert (labels[found.to_wrong] == 3).sum() >= len(found.to_wrong) / 2, "a class without examples is lost"
    monkeypatch.setattr(loaded, "classifier", None)  # nothing is traced a second time
    again = changed_answers(loaded, ids[:1], new[:1], silent)
    assert again.right_before == found.right_before
    changed_module._kept.clear()
