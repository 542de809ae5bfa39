"""Attacks on many images at once: nothing but float rounding may tell it from attacking them one by one."""

from __future__ import annotations

import functools

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from support.attack_cases import (
    QUICK,
    LinearClassifier,
    attack_images,
    boundary_distances,
    linear_problem,
    raw_images,
)
from support.tiny import tiny_classifier, tiny_images
from telltale.attacks import ATTACKS, AttackResult
from telltale.attacks.budget import metered
from telltale.attacks.libraries import import_foolbox
from telltale.attacks.methods.cw import _factors, _moved
from telltale.base.errors import InputError

IMAGES = 8
SETTINGS = {
    "L2CarliniWagnerAttack": {"binary_search_steps": 5, "steps": 100, "stepsize": 0.05, "initial_const": 1},
}
BATCHED = [name for name, spec in ATTACKS.items() if spec.batched]


@functools.cache
def results(name: str) -> tuple[AttackResult, AttackResult]:
    """Attack the same images one by one and together."""
    images = tiny_images(IMAGES)[0]
    alone = attack_images(tiny_classifier(), images, name, QUICK.get(name))
    return alone, attack_images(tiny_classifier(), images, name, QUICK.get(name), batch_size=IMAGES)


def test_attacks_that_treat_each_image_as_if_it_were_alone_say_so() -> None:
    expected = "fgsm bim pgd pgd_l2 mifgsm deepfool cw gradient ead jsma adaptive cw_opt graybox graybox_l2 "
    expected += "apgd_ce apgd_dlr square ddn adaptive_square"
    assert set(BATCHED) == set(expected.split())


@pytest.mark.parametrize("name", BATCHED)
def test_a_batch_gives_each_image_what_it_gets_alone(name: str) -> None:
    alone, together = results(name)
    assert np.array_equal(together.success, alone.success)
    assert np.array_equal(together.targets, alone.targets)
    same = (together.images == alone.images).reshape(IMAGES, -1).mean(1)
    assert np.median(same) > 0.99
    assert together.l2 == pytest.approx(alone.l2, rel=0.02)


@pytest.mark.parametrize("name", BATCHED)
def test_a_batch_does_not_depend_on_the_order_of_its_images(name: str) -> None:
    together = results(name)[1]
    turned = attack_images(tiny_classifier(), tiny_images(IMAGES)[0][::-1].copy(), name, QUICK.get(name), batch_size=5)
    assert np.array_equal(turned.success[::-1], together.success)
    assert turned.l2[::-1] == pytest.approx(together.l2, rel=0.02)


@pytest.mark.parametrize("name", BATCHED)
def test_each_image_pays_for_itself_alone(name: str) -> None:
    """Images that are done early leave the batch; what the others go on to need is not on their account."""
    alone, together = results(name)
    same = (together.queries == alone.queries) & (together.gradients == alone.gradients)
    assert same.sum() >= IMAGES - 1
    if name in ("deepfool", "cw", "gradient", "jsma", "ead", "square"):
        assert len(np.unique(together.queries)) > 1, "otherwise no image left early"


@pytest.mark.parametrize("name", ["cw", "pgd"])
def test_a_batch_can_be_aimed_at_different_targets(name: str) -> None:
    images, labels = tiny_images(IMAGES)
    targets = (labels + 1 + np.arange(IMAGES) % 9) % 10
    result = attack_images(tiny_classifier(), images, name, targets=targets, batch_size=IMAGES)
    assert result.success.sum() >= IMAGES - 1
    assert np.array_equal(tiny_classifier().predict(result.images)[result.success], targets[result.success])


@pytest.mark.parametrize("name", ["deepfool", "cw", "gradient", "jsma", "ead", "square"])
def test_images_that_are_done_are_not_passed_on_any_more(name: str) -> None:
    """What the classifier is really given is counted here by a hook, apart from the meter."""
    rows: list[int] = []
    handle = tiny_classifier().register_forward_hook(lambda _module, inputs, _output: rows.append(len(inputs[0])))
    result = attack_images(tiny_classifier(), tiny_images(IMAGES)[0], name, QUICK.get(name), batch_size=IMAGES)
    handle.remove()
    assert result.queries.sum() == sum(rows)
    assert rows[0] == IMAGES and min(rows) < IMAGES


@pytest.mark.parametrize("size", [0, -1, 1.5, True, None])
def test_bad_batch_size_is_refused(size: object) -> None:
    for name in ("fgsm", "lbfgs"):
        with pytest.raises(InputError, match="batch size must be a positive integer"):
            attack_images(tiny_classifier(), tiny_images(1)[0], name, batch_size=size)


def test_attacks_with_global_generators_are_given_one_image_at_a_time() -> None:
    images = tiny_images(2)[0]
    alone = attack_images(tiny_classifier(), images, "onepixel", QUICK["onepixel"])
    together = attack_images(tiny_classifier(), images, "onepixel", QUICK["onepixel"], batch_size=2)
    assert np.array_equal(together.images, alone.images)


def test_meter_counts_for_the_images_that_are_named() -> None:
    images = torch.rand(2, 1, 32, 32)
    with metered(tiny_classifier(), 5) as meter:
        meter.begin(2, 3)
        inputs = images.clone().requires_grad_()
        logits = meter(inputs, torch.tensor([0, 2]))
        combinations = torch.eye(10)[:4, None].expand(4, 2, 10)
        found = meter.class_gradients(logits, inputs, combinations)
        assert meter.queries.tolist() == [0, 0, 1, 0, 1]
        assert meter.gradients.tolist() == [0, 0, 4, 0, 4]
        meter(torch.rand(3, 1, 32, 32))
        assert meter.queries.tolist() == [0, 0, 2, 1, 2]
        with pytest.raises(ValueError, match="whose they are"):
            meter(images)
    for k in range(4):
        inputs = images.clone().requires_grad_()
        expected = torch.autograd.grad(tiny_classifier()(inputs)[:, k].sum(), inputs)[0]
        torch.testing.assert_close(found[k], expected, rtol=1e-4, atol=1e-6)


def test_deepfool_crosses_boundaries_by_more_than_another_batch_may_round_away() -> None:
    images, labels = tiny_images(60)
    moved = raw_images("deepfool", tiny_classifier(), images, {"overshoot": 0.0})
    logits = np.concatenate([tiny_classifier().trace(image[None]).logits for image in moved])
    own = logits[np.arange(len(labels)), labels].copy()
    logits[np.arange(len(labels)), labels] = -np.inf
    assert (logits.max(1) - own > 2e-5).all()


def test_deepfool_goes_to_the_nearest_of_all_classes_and_not_to_the_likeliest() -> None:
    """Class 1 is likelier, but its logit hardly changes with the pixels; with two candidates it is the only one."""
    weight = np.random.default_rng(1).normal(size=(3, 64)) * np.array([[0.0], [0.04], [0.25]])
    weight -= weight.mean(1, keepdims=True)
    classifier, images = LinearClassifier(weight, np.array([1.0, 0.8, 0.4])), linear_problem()[1]
    distances = np.array([boundary_distances(classifier, image) for image in images])
    assert (distances[:, 1] > 1.5 * distances[:, 2]).all()
    for candidates, goal in ((3, 2), (2, 1)):
        moved = raw_images("deepfool", classifier, images, {"candidates": candidates})
        assert (classifier.predict(moved) == goal).all()
        found = np.linalg.norm((moved - images).reshape(len(images), -1), axis=1)
        assert found == pytest.approx(1.02 * distances[:, goal], rel=2e-3)


def distances_where_both_succeed(ours: np.ndarray, theirs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    images, labels = tiny_images(30)
    ours_won, theirs_won = (tiny_classifier().predict(attacked) != labels for attacked in (ours, theirs))
    assert ours_won.mean() >= theirs_won.mean()
    both = ours_won & theirs_won
    assert both.sum() >= 12
    changes = ((attacked - images).reshape(len(images), -1) for attacked in (ours, theirs))
    first, second = (np.linalg.norm(change, axis=1)[both] for change in changes)
    return first, second


@functools.cache
def by_library(library: str, name: str) -> np.ndarray:
    images, labels = (torch.from_numpy(array) for array in tiny_images(30))
    settings = SETTINGS.get(name, {})
    with metered(tiny_classifier(), 30) as meter:  # leaves no gradients on the shared classifier
        if library == "torchattacks":
            import torchattacks

            return getattr(torchattacks, name)(meter, **settings)(images, labels).detach().clamp(0, 1).numpy()
        foolbox = import_foolbox()
        model = foolbox.PyTorchModel(meter, bounds=(0, 1), device="cpu")
        return getattr(foolbox.attacks, name)(**settings)(model, images, labels, epsilons=None)[0].numpy()


@pytest.mark.slow
@pytest.mark.parametrize(("library", "name"), [("torchattacks", "DeepFool"), ("foolbox", "L2DeepFoolAttack")])
def test_deepfool_is_as_near_as_the_libraries(library: str, name: str) -> None:
    ours = raw_images("deepfool", tiny_classifier(), tiny_images(30)[0], {"candidates": 10})
    first, second = distances_where_both_succeed(ours, by_library(library, name))
    assert first.mean() <= 1.01 * second.mean()
    assert np.median(first) <= 1.01 * np.median(second)
    # Torchattacks applies the overshoot to each step alone, and gives up on half of these images beside the boundary.
    assert np.mean(np.abs(first / second - 1) < 0.02) >= 0.75, "it is the same algorithm"


@pytest.mark.slow
@pytest.mark.parametrize(("library", "name"), [("torchattacks", "CW"), ("foolbox", "L2CarliniWagnerAttack")])
@pytest.mark.parametrize("parameters", [{}, {"patience": 0}])
def test_cw_is_nearer_than_the_libraries(library: str, name: str, parameters: dict[str, object]) -> None:
    ours = raw_images("cw", tiny_classifier(), tiny_images(30)[0], parameters)
    first, second = distances_where_both_succeed(ours, by_library(library, name))
    assert first.mean() <= second.mean()
    assert np.median(first) <= np.median(second)


@pytest.mark.parametrize("c0", [1e-4, 1.0, 1e4])
def test_cw_finds_the_least_distance_whatever_the_first_weight(c0: float) -> None:
    classifier, images = linear_problem()
    moved = raw_images("cw", classifier, images, {"c0": c0, "binary_search_steps": 12})
    least = np.array([boundary_distances(classifier, image).min() for image in images])
    found = np.linalg.norm((moved - images).reshape(len(images), -1), axis=1)
    assert (found >= 0.999 * least).all()
    assert np.median(found / least) < 1.02


def test_cw_fails_where_the_weight_cannot_suffice_and_returns_the_image() -> None:
    classifier, images = linear_problem()
    assert np.array_equal(raw_images("cw", classifier, images, {"c0": 1e-6, "binary_search_steps": 1}), images)


def test_cw_patience_buys_distance() -> None:
    quick, slow = (
        raw_images("cw", tiny_classifier(), tiny_images(IMAGES)[0], {"patience": patience}) - tiny_images(IMAGES)[0]
        for patience in (0, 4)
    )
    assert np.linalg.norm(slow) < 0.95 * np.linalg.norm(quick)


@pytest.mark.parametrize("seed", range(4))
def test_closed_form_step_is_the_nearest_point_of_box_and_half_space(seed: int) -> None:
    """Minimise ‖y - x‖² under a linear constraint in [0, 1] with SciPy; many pixels start at a bound."""
    rng = np.random.default_rng(seed)
    image = np.clip(rng.uniform(-0.5, 1.5, 24), 0, 1)
    gradient = rng.normal(size=24)
    furthest = gradient @ (image - np.where(gradient > 0, 0.0, 1.0))
    excess = 0.6 * furthest
    solution = minimize(
        lambda y: ((y - image) ** 2).sum(),
        image,
        jac=lambda y: 2 * (y - image),
        bounds=[(0, 1)] * 24,
        constraints={"type": "ineq", "fun": lambda y: gradient @ (image - y) - excess, "jac": lambda _: -gradient},
        method="SLSQP",
        options={"ftol": 1e-12, "maxiter": 500},
    )
    shape = (1, 1, 4, 6)
    images, gradients = (torch.tensor(a, dtype=torch.float32).reshape(shape) for a in (image, gradient))
    factors = _factors(images, gradients, torch.tensor([excess], dtype=torch.float32))
    found = _moved(images, gradients, factors).numpy().ravel()
    assert solution.success
    np.testing.assert_allclose(found, solution.x, atol=2e-3)
