"""EAD on batches against foolbox's, one image at a time as it stops for a whole batch."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest
import torch

from support.tiny import tiny_classifier, tiny_images
from telltale.attacks import ATTACKS, attack_images
from telltale.attacks.base import AttackProblem
from telltale.attacks.budget import metered
from telltale.attacks.libraries import import_foolbox, run_foolbox

IMAGES = 12
BETA = 0.01
STEPS = 30
CASES = [("EN", False, 0.0), ("L1", False, 0.0), ("EN", True, 0.0), ("EN", False, 1.0)]
every_case = pytest.mark.parametrize(("decision", "aimed", "confidence"), CASES)


def problem_of(meter, images: np.ndarray, labels: np.ndarray, aimed: bool) -> AttackProblem:
    meter.begin(0, len(images))
    meter.check_range = False
    targets = torch.from_numpy((labels + 1) % 10) if aimed else None
    return AttackProblem(meter, torch.from_numpy(images), torch.from_numpy(labels), targets, tuple(range(len(images))))


@functools.cache
def ours(decision: str, aimed: bool, confidence: float) -> np.ndarray:
    given = {"decision": decision, "confidence": confidence, "steps": STEPS, "beta": BETA}
    settings = ATTACKS["ead"].settings.read(given, "ead")
    with metered(tiny_classifier(), IMAGES) as meter:
        return ATTACKS["ead"].run(problem_of(meter, *tiny_images(IMAGES), aimed), settings).numpy()


def foolbox_attack(decision: str, confidence: float) -> Any:
    return import_foolbox().attacks.EADAttack(
        binary_search_steps=5,
        steps=STEPS,
        initial_stepsize=0.05,
        confidence=confidence,
        initial_const=1.0,
        regularization=BETA,
        decision_rule=decision,
    )


@functools.cache
def theirs(decision: str, aimed: bool, confidence: float) -> np.ndarray:
    attack, found = foolbox_attack(decision, confidence), []
    with metered(tiny_classifier(), 1) as meter:
        for image, label in zip(*tiny_images(IMAGES), strict=True):
            found.append(run_foolbox(attack, problem_of(meter, image[None], np.array([label]), aimed)).numpy())
    return np.concatenate(found)


def distances(attacked: np.ndarray, decision: str) -> np.ndarray:
    change = (attacked.astype(np.float64) - tiny_images(IMAGES)[0]).reshape(IMAGES, -1)
    absolute = np.abs(change).sum(1)
    return absolute if decision == "L1" else BETA * absolute + (change**2).sum(1)


def won(attacked: np.ndarray, aimed: bool, confidence: float) -> np.ndarray:
    labels = tiny_images(IMAGES)[1]
    logits = tiny_classifier().trace(attacked).logits
    goal = (labels + 1) % 10 if aimed else labels
    own = logits[np.arange(IMAGES), goal]
    logits[np.arange(IMAGES), goal] = -np.inf
    lead = own - logits.max(1) if aimed else logits.max(1) - own
    return (lead >= confidence - 1e-4) & (np.ptp(attacked.reshape(IMAGES, -1), axis=1) > 0.1)


@pytest.mark.slow
@every_case
def test_as_successful_and_as_near_as_foolbox(decision: str, aimed: bool, confidence: float) -> None:
    first, second = ours(decision, aimed, confidence), theirs(decision, aimed, confidence)
    first_won, second_won = (won(attacked, aimed, confidence) for attacked in (first, second))
    assert first_won.sum() >= max(second_won.sum(), IMAGES - 2)
    both = first_won & second_won
    ratios = distances(first, decision)[both] / distances(second, decision)[both]
    assert ratios.mean() < 1.02
    assert np.mean(np.abs(ratios - 1) < 0.02) > 0.8, "it is the same algorithm"


@pytest.mark.slow
def test_images_are_asked_about_less_often_than_by_foolbox() -> None:
    """A step that is no nearer than the nearest success so far need not be judged."""
    images = tiny_images(IMAGES)[0]
    found = attack_images(tiny_classifier(), images, "ead", {"steps": STEPS}, batch_size=IMAGES)
    with metered(tiny_classifier(), IMAGES) as meter:
        for row, (image, label) in enumerate(zip(images, found.labels, strict=True)):
            problem = problem_of(meter, image[None], np.array([label]), aimed=False)
            meter.begin(row)
            meter.check_range = False
            run_foolbox(foolbox_attack("EN", 0.0), problem)
        assert (found.queries < meter.queries).all()
        assert found.queries.sum() < 0.92 * meter.queries.sum()


@pytest.mark.parametrize("beta", [0.0, 0.03])
def test_every_changed_pixel_is_shrunk_by_beta(beta: float) -> None:
    """One step by hand: gradient step, soft threshold of the change, projection."""
    images, labels = tiny_images(IMAGES)
    parameters = {"steps": 1, "binary_search_steps": 1, "c0": 50.0, "lr": 1.0, "beta": beta}
    result = attack_images(tiny_classifier(), images, "ead", parameters, batch_size=IMAGES)
    assert result.success.any()
    for image, label, attacked in zip(
        images[result.success], labels[result.success], result.images[result.success], strict=True
    ):
        inputs = torch.from_numpy(image[None]).requires_grad_()
        logits = tiny_classifier()(inputs)[0]
        margin = logits[label] - torch.cat([logits[:label], logits[label + 1 :]]).max()
        change = -50.0 * torch.autograd.grad(margin, inputs)[0][0].numpy()
        change = np.sign(change) * np.maximum(np.abs(change) - beta, 0.0)
        np.testing.assert_allclose(attacked, np.clip(image + change, 0, 1), atol=0.5 / 255 + 1e-5)
