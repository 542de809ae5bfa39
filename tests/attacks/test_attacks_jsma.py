"""JSMA against the paper's algorithm written out for one image, with a table of all pairs."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import telltale.attacks.pairs
from support.attack_cases import LinearClassifier
from support.tiny import tiny_classifier, tiny_images
from telltale.attacks import attack_images, draw_targets
from telltale.attacks.pairs import best_pairs


def table_of_all_pairs(a: np.ndarray, b: np.ndarray, free: np.ndarray) -> np.ndarray:
    """Products of sums for every pair of one image; 0 where the pair is not admissible."""
    a_sums, b_sums = np.add.outer(a, a), np.add.outer(b, b)
    admissible = (a_sums > 0) & (b_sums > 0) & np.logical_and.outer(free, free) & ~np.eye(len(a), dtype=bool)
    return np.where(admissible, a_sums * b_sums, 0.0)


def clouds(kind: str, features: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(features)
    a, b = rng.normal(size=(2, 5, features)).astype(np.float32)
    if kind == "along each other":
        b = a + 0.05 * b
    if kind == "against each other":  # every feature is a candidate
        b = np.float32(1.0) - a
    if kind == "ties":
        a, b = np.rint(a), np.rint(b)
    if kind == "negative":
        a, b = -np.abs(a), -np.abs(b)
    return a, b


@pytest.mark.parametrize("kind", ["independent", "along each other", "against each other", "ties", "negative"])
@pytest.mark.parametrize("features", [2, 3, 60, 301])
@pytest.mark.parametrize("table", [2**22, 50])
def test_best_pair_is_that_of_the_whole_table(
    kind: str, features: int, table: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(telltale.attacks.pairs, "LARGEST_TABLE", table)
    a, b = clouds(kind, features)
    free = np.random.default_rng(0).random(a.shape) < 0.8
    free[0] = False
    pairs, found = best_pairs(*(torch.from_numpy(array) for array in (a, b, free)))
    for i, (p, q) in enumerate(pairs.tolist()):
        whole = table_of_all_pairs(a[i], b[i], free[i])
        assert bool(found[i]) == bool(whole.max() > 0)
        assert not found[i] or whole[p, q] == whole.max()
    assert not found[0]
    assert features <= 3 or found[1:].all() == (kind != "negative")


def papers_algorithm(image: np.ndarray, target: int, theta: float, gamma: float) -> np.ndarray:
    """Algorithms 2 and 3 of the paper, one derivative and one pair at a time."""
    classifier = tiny_classifier()
    moved = image.copy()
    for _ in range(int(moved.size * gamma / 2)):
        inputs = torch.from_numpy(moved[None]).requires_grad_()
        logits = classifier(inputs)[0]
        if int(logits.argmax()) == target:
            break
        rows = [torch.autograd.grad(logit, inputs, retain_graph=True)[0].numpy().ravel() for logit in logits]
        jacobian = np.array(rows, dtype=np.float64)
        alpha, beta = jacobian[target], np.delete(jacobian, target, 0).sum(0)
        values = moved.ravel()
        free = values < 1.0 if theta > 0 else values > 0.0
        whole = table_of_all_pairs(np.sign(theta) * alpha, -np.sign(theta) * beta, free)
        if whole.max() == 0.0:
            break
        p, q = np.unravel_index(whole.argmax(), whole.shape)
        for feature in (p, q):
            values[feature] = np.clip(values[feature] + np.float32(theta), 0, 1)
    return moved


@pytest.mark.parametrize(("theta", "gamma"), [(1.0, 0.05), (-1.0, 0.05), (0.2, 0.03)])
def test_attack_follows_the_papers_algorithm(theta: float, gamma: float) -> None:
    images, labels = tiny_images(5)
    targets = (labels + 3) % 10
    result = attack_images(
        tiny_classifier(), images, "jsma", {"theta": theta, "gamma": gamma}, targets=targets, batch_size=5
    )
    expected = np.stack([papers_algorithm(*case, theta, gamma) for case in zip(images, targets, strict=True)])
    reached = tiny_classifier().predict(expected) == targets
    assert result.success[reached].all()
    assert theta == 0.2 or (reached.any() and np.array_equal(result.success, reached))
    same = (np.abs(result.images - expected) < 0.51 / 255).all((1, 2, 3))
    assert same.sum() >= 4, "a tie between pairs may be broken otherwise once"


@pytest.mark.parametrize("gamma", [0.004, 0.02, 0.1])
def test_no_more_features_change_than_their_share_allows(gamma: float) -> None:
    images = tiny_images(6)[0]
    result = attack_images(tiny_classifier(), images, "jsma", {"gamma": gamma}, batch_size=6)
    changed = (result.images != images).reshape(6, -1).sum(1)
    assert (changed <= gamma * images[0].size).all()
    assert changed.max() > 0
    assert (changed[~result.success] >= gamma * images[0].size - 2).all(), "a failure has used what it was given"


def test_target_is_random_where_none_is_given() -> None:
    images, labels = tiny_images(6)
    result = attack_images(tiny_classifier(), images, "jsma", seed=4, batch_size=6)
    assert np.array_equal(result.targets, draw_targets(images, labels, 10, 4))
    assert np.array_equal(result.success, result.predictions == result.targets)


@pytest.mark.parametrize(("theta", "level"), [(1.0, 1.0), (-1.0, 0.0), (0.0, 0.5)])
def test_features_that_cannot_move_end_the_search(theta: float, level: float) -> None:
    weight = np.random.default_rng(0).normal(size=(5, 64))
    classifier = LinearClassifier(weight, np.array([50.0, 0, 0, 0, 0]))
    image = np.full((1, 1, 8, 8), np.rint(level * 255) / 255, np.float32)
    image[0, 0, 0, 0] = 0.2
    result = attack_images(classifier, image, "jsma", {"theta": theta, "gamma": 1.0}, targets=np.array([1]))
    assert result.l0[0] <= 1
    assert result.queries[0] < 30
