"""Attacks made for one network and judged on another, and on data-set images with random targets."""

from __future__ import annotations

import functools
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import torch

from support.attack_cases import QUICK, LinearClassifier
from support.in_order import InOrder
from support.tiny import TRAINING_IMAGES, tiny_classifier, tiny_digits, tiny_images
from telltale.attacks import attack_images, draw_targets, transfer_images
from telltale.attacks.attack import reached
from telltale.base.errors import InputError
from telltale.base.images import to_floats
from telltale.building.attacking import attack_splits
from telltale.models.weights import save_weights
from telltale.recipes import AttackPlan

IMAGES = 8


class Centroids(LinearClassifier):
    """A substitute with other weights than the classifier's: nearest class mean, a linear function of the pixels."""

    def __init__(self) -> None:
        data = tiny_digits()
        images, labels = data.images(np.arange(TRAINING_IMAGES)), data.labels[:TRAINING_IMAGES]
        means = np.stack([images[labels == k].mean(0).ravel() for k in range(10)])
        super().__init__(means, -0.5 * (means**2).sum(1), side=32)


@functools.cache
def substitute() -> Centroids:
    return Centroids()


@pytest.mark.parametrize("name", ["pgd", "deepfool", "jsma", "onepixel"])
def test_transfer_is_judged_on_the_classifier(name: str) -> None:
    images, labels = tiny_images(IMAGES)
    result = transfer_images(substitute(), tiny_classifier(), images, name, QUICK.get(name), batch_size=IMAGES)
    made = attack_images(substitute(), images, name, QUICK.get(name), labels=labels, batch_size=IMAGES)
    assert np.array_equal(result.images, made.images)
    assert np.array_equal(result.labels, labels)
    assert np.array_equal(result.queries, made.queries)
    predictions = tiny_classifier().predict(result.images)
    assert np.array_equal(result.predictions, predictions)
    changed = (result.images != images).any((1, 2, 3))
    wanted = predictions == result.targets if name == "jsma" else predictions != labels
    assert np.array_equal(result.success, wanted & changed)


def test_a_perturbation_large_enough_for_a_substitute_fools_the_classifier_too() -> None:
    images = tiny_images(IMAGES)[0]
    far, near = (
        transfer_images(substitute(), tiny_classifier(), images, "pgd", {"eps": eps, "step": eps / 5}).success_rate
        for eps in (0.4, 1 / 255)
    )
    assert far > 0.5 > near


@pytest.mark.parametrize("name", ["pgd", "cw"])
def test_the_classifier_as_its_own_substitute_is_the_white_box_attack(name: str) -> None:
    images = tiny_images(IMAGES)[0]
    white_box = attack_images(tiny_classifier(), images, name, QUICK.get(name), targets="random", seed=2)
    transferred = transfer_images(
        tiny_classifier(), tiny_classifier(), images, name, QUICK.get(name), targets="random", seed=2
    )
    for field in fields(white_box):
        ours, theirs = getattr(transferred, field.name), getattr(white_box, field.name)
        assert field.name == "seconds" or np.array_equal(ours, theirs), field.name


def test_what_the_substitute_gets_wrong_is_led_away_from_the_classifiers_label() -> None:
    data = tiny_digits()
    images = data.images(np.arange(TRAINING_IMAGES, TRAINING_IMAGES + 400))
    labels = tiny_classifier().predict(images)
    wrong = images[substitute().predict(images) != labels][:6]
    label = tiny_classifier().predict(wrong)
    stopped = transfer_images(substitute(), tiny_classifier(), wrong, "deepfool")
    assert np.array_equal(stopped.images, wrong) and not stopped.success.any()
    led = transfer_images(substitute(), tiny_classifier(), wrong, "bim", {"eps": 0.1})

    def margin(of: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            logits = substitute()(torch.from_numpy(of)).numpy()
        own = logits[np.arange(len(of)), label]
        logits[np.arange(len(of)), label] = -np.inf
        return own - logits.max(1)

    assert (margin(led.images) < margin(wrong)).all()


def test_networks_that_do_not_fit_are_refused() -> None:
    small = LinearClassifier(np.zeros((10, 64)), np.zeros(10))
    with pytest.raises(InputError, match="substitute must take images of the classifier's shape"):
        transfer_images(small, tiny_classifier(), tiny_images(1)[0], "fgsm")


def test_a_bundles_images_are_aimed_at_random_and_judged_by_their_label(tmp_path: Path) -> None:
    data, weights = tiny_digits(), tmp_path / "support.tiny.safetensors"
    save_weights(tiny_classifier(), weights)
    ids = np.arange(TRAINING_IMAGES, TRAINING_IMAGES + 40)
    ids = ids[tiny_classifier().predict(data.images(ids)) == data.labels[ids]][:30]
    settings = {"eps": 0.08}
    plans = [AttackPlan("fgsm", 30, 0, settings), AttackPlan("fgsm", 30, 0, settings, random_target=True)]
    wanted = [(plan, ids) for plan in plans]
    free, aimed = attack_splits(
        tiny_classifier(), weights, data, wanted, 5, tmp_path / "chunks", InOrder(), lambda *_: None
    )
    targets = draw_targets(data.images(ids), data.labels[ids], 10, 5)
    expected = attack_images(
        tiny_classifier(), data.images(ids), "fgsm", settings, data.labels[ids], targets, seed=5, batch_size=30
    )
    np.testing.assert_array_equal(to_floats(aimed.pixels), expected.images)
    predictions = tiny_classifier().predict(to_floats(aimed.pixels))
    assert np.array_equal(aimed.success, predictions != data.labels[ids])
    assert aimed.success.sum() > reached(predictions, data.labels[ids], targets).sum(), "some miss their target"
    assert not np.array_equal(free.pixels, aimed.pixels)
