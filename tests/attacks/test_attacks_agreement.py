"""Attacks against a second library, a formula written out here, or a classifier whose distances are known."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
import torch

from support.attack_cases import boundary_distances, linear_problem
from support.tiny import tiny_classifier, tiny_images
from telltale.attacks import attack_images, get_attack
from telltale.attacks.base import AttackProblem
from telltale.attacks.budget import metered
from telltale.attacks.libraries import import_foolbox
from telltale.attacks.methods.onepixel import one_pixel_class
from telltale.attacks.randomness import isolated_randomness
from telltale.models.classifier import Classifier

EPS, STEP, STEPS = 0.06, 0.01, 8


def run_raw(
    name: str,
    classifier: Classifier,
    image: np.ndarray,
    parameters: Mapping[str, object],
    target: int | None = None,
) -> np.ndarray:
    """Return what an attack makes of one image (C, H, W) before anything is rounded."""
    spec = get_attack(name)
    label = int(classifier.predict(image[None])[0])
    with metered(classifier, 1) as meter, isolated_randomness(0):
        problem = AttackProblem(
            classifier=meter,
            images=torch.from_numpy(image[None].copy()),
            labels=torch.tensor([label]),
            targets=None if target is None else torch.tensor([target]),
            seeds=(0,),
        )
        return spec.run(problem, spec.settings.read(parameters, name))[0].detach().numpy()


def loss_gradient(images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    images = images.clone().requires_grad_()
    loss = torch.nn.functional.cross_entropy(tiny_classifier()(images), labels, reduction="sum")
    return torch.autograd.grad(loss, images)[0]


def signed_steps(images: torch.Tensor, labels: torch.Tensor, steps: int, step: float, decay: float) -> torch.Tensor:
    """FGSM (one step), BIM and PGD without random start (decay 0) and MI-FGSM, written out."""
    moved, momentum = images.clone(), torch.zeros_like(images)
    for _ in range(steps):
        gradient = loss_gradient(moved, labels)
        momentum = decay * momentum + gradient / gradient.abs().mean((1, 2, 3), keepdim=True)
        moved = moved + step * momentum.sign()
        moved = torch.minimum(torch.maximum(moved, images - EPS), images + EPS).clamp(0, 1)
    return moved


@pytest.mark.parametrize(
    ("name", "parameters", "formula"),
    [
        ("fgsm", {}, (1, EPS, 0.0)),
        ("bim", {"step": STEP, "steps": STEPS}, (STEPS, STEP, 0.0)),
        ("pgd", {"step": STEP, "steps": STEPS, "random_start": False}, (STEPS, STEP, 0.0)),
        ("mifgsm", {"step": STEP, "steps": STEPS, "decay": 0.9}, (STEPS, STEP, 0.9)),
    ],
)
def test_linf_attacks_follow_their_formula(
    name: str, parameters: dict[str, object], formula: tuple[int, float, float]
) -> None:
    images, labels = tiny_images(3)
    for image, label in zip(images, labels, strict=True):
        steps, step, decay = formula
        expected = signed_steps(torch.from_numpy(image[None]), torch.tensor([label]), steps, step, decay)[0].numpy()
        attacked = run_raw(name, tiny_classifier(), image, {"eps": EPS} | parameters)
        assert np.mean(np.abs(attacked - expected) > 1e-5) < 0.01


@pytest.mark.parametrize(
    ("name", "foolbox_name", "size", "parameters", "arguments"),
    [
        ("fgsm", "LinfFastGradientAttack", EPS, {}, {}),
        ("bim", "LinfBasicIterativeAttack", EPS, {"step": STEP, "steps": STEPS}, {"random_start": False}),
        (
            "pgd",
            "LinfProjectedGradientDescentAttack",
            EPS,
            {"step": STEP, "steps": STEPS, "random_start": False},
            {"random_start": False},
        ),
        (
            "pgd_l2",
            "L2ProjectedGradientDescentAttack",
            1.0,
            {"step": 0.2, "steps": STEPS, "random_start": False},
            {"random_start": False},
        ),
    ],
)
def test_two_libraries_agree(
    name: str, foolbox_name: str, size: float, parameters: dict[str, Any], arguments: dict[str, Any]
) -> None:
    foolbox = import_foolbox()
    if "step" in parameters:
        arguments = arguments | {"abs_stepsize": parameters["step"], "steps": parameters["steps"]}
    attack = getattr(foolbox.attacks, foolbox_name)(**arguments)
    images, labels = tiny_images(3)
    with metered(tiny_classifier(), 1) as meter:
        model = foolbox.PyTorchModel(meter, bounds=(0, 1), device="cpu")
        _, expected, _ = attack(model, torch.from_numpy(images), torch.from_numpy(labels), epsilons=size)
    for i in range(len(images)):
        attacked = run_raw(name, tiny_classifier(), images[i], {"eps": size} | parameters)
        assert np.mean(np.abs(attacked - expected[i].numpy()) > 1e-4) < 0.01


def test_gradient_attack_stops_at_the_first_length_that_succeeds() -> None:
    """Every length is tried by hand along the gradient, as the old Foolbox did."""
    lengths = np.linspace(0.0, 4.0, 81)[1:]
    for image, label in zip(*tiny_images(3), strict=True):
        natural, label_tensor = torch.from_numpy(image[None]), torch.tensor([label])
        gradient = loss_gradient(natural, label_tensor)
        direction = gradient / gradient.norm()
        tried = [(natural + float(length) * direction).clamp(0, 1) for length in lengths]
        succeeded = [bool(tiny_classifier()(x).argmax() != label) for x in tried]
        expected = tried[succeeded.index(True)][0].numpy()
        attacked = run_raw("gradient", tiny_classifier(), image, {"steps": 80, "max_length": 4.0})
        assert np.abs(attacked - expected).max() < 1e-4


def test_deepfool_finds_the_distance_to_the_nearest_boundary_of_a_linear_classifier() -> None:
    classifier, images = linear_problem()
    for image in images:
        attacked = run_raw("deepfool", classifier, image, {"overshoot": 0.02})
        expected = 1.02 * boundary_distances(classifier, image).min()
        assert np.linalg.norm(attacked - image) == pytest.approx(expected, rel=2e-3)


@pytest.mark.parametrize(
    ("name", "parameters", "slack"),
    [
        ("cw", {"steps": 300, "lr": 0.01, "binary_search_steps": 8}, 1.03),
        ("lbfgs", {"binary_search_steps": 8}, 1.05),
        ("lbfgs", {"c0": 1e-5, "binary_search_steps": 8}, 1.05),
        ("ead", {"steps": 300, "beta": 1e-4, "binary_search_steps": 8}, 1.1),
    ],
)
def test_minimising_attacks_come_near_the_least_distance_to_a_target(
    name: str, parameters: dict[str, object], slack: float
) -> None:
    classifier, images = linear_problem()
    for image in images[:3]:
        distances = boundary_distances(classifier, image)
        target = int(distances.argmin())
        attacked = run_raw(name, classifier, image, parameters, target)
        assert classifier.predict(attacked[None])[0] == target
        assert 0.999 * distances[target] <= np.linalg.norm(attacked - image) <= slack * distances[target]


def test_boundary_attack_approaches_the_least_distance() -> None:
    classifier, images = linear_problem()
    few, many = (
        [np.linalg.norm(run_raw("boundary", classifier, image, {"steps": steps}) - image) for image in images[:3]]
        for steps in (1, 1500)
    )
    least = [boundary_distances(classifier, image).min() for image in images[:3]]
    assert (np.array(many) >= 0.999 * np.array(least)).all()
    assert (np.array(many) <= 1.5 * np.array(least)).all()
    assert np.mean(few) > 1.5 * np.mean(many)


def test_one_pixel_attack_finds_the_one_pixel_that_matters() -> None:
    """Only one of 64 pixels can change the class, and only when it is bright."""
    classifier, images = linear_problem()
    with torch.no_grad():
        classifier.linear.weight.zero_()
        classifier.linear.weight[1, 37] = 1.0
        classifier.linear.bias.copy_(torch.tensor([0.0, -0.8, -1.0, -1.0, -1.0]))
    result = attack_images(classifier, images[:2], "onepixel", {"pixels": 1, "popsize": 200})
    assert result.success.all()
    assert np.array_equal(np.argwhere(result.images != result.natural)[:, 2:], [[4, 5], [4, 5]])


def test_one_pixel_attack_still_sees_differences_at_a_confident_classifier() -> None:
    """In single precision, as the library computes it, every candidate has probability 1."""
    import torchattacks

    classifier, images = linear_problem()
    images = torch.from_numpy(images[:1])
    with torch.no_grad():
        label = classifier(images).argmax(1)
        classifier.linear.bias[label] += 25.0
    candidates = np.random.default_rng(0).random((7, 3))
    distinct = []
    for attack_class in (torchattacks.OnePixel, one_pixel_class()):
        with metered(classifier, 1) as meter:
            distinct.append(len(np.unique(attack_class(meter)._loss(images, label, candidates))))
    assert distinct == [1, 7]


def success_and_distance(name: str, **parameters: object) -> tuple[float, float]:
    result = attack_images(tiny_classifier(), tiny_images(8)[0], name, parameters)
    return result.success_rate, float(result.l2.mean())


@pytest.mark.parametrize("eps", [0.01, 0.02, 0.04])
def test_pgd_succeeds_at_least_as_often_as_fgsm(eps: float) -> None:
    pgd = success_and_distance("pgd", eps=eps, step=eps / 5)[0]
    fgsm = success_and_distance("fgsm", eps=eps)[0]
    assert pgd >= fgsm
    assert eps > 0.01 or pgd < 1.0, "an eps at which the two can differ"


@pytest.mark.parametrize("name", ["bim", "mifgsm", "pgd", "pgd_l2"])
def test_more_steps_succeed_at_least_as_often(name: str) -> None:
    size = {"eps": 0.3, "step": 0.04} if name == "pgd_l2" else {"eps": 0.02, "step": 0.004}
    few, many = (success_and_distance(name, steps=steps, **size)[0] for steps in (1, 20))
    assert many > few


def test_more_steps_come_nearer() -> None:
    images, labels = tiny_images(8)
    few, many = (
        attack_images(tiny_classifier(), images, "cw", {"steps": steps}, targets=(labels + 1) % 10, batch_size=8)
        for steps in (8, 60)
    )
    assert many.success.all()
    assert few.success.sum() >= 4
    assert many.l2[few.success].mean() < 0.97 * few.l2[few.success].mean()


def test_minimising_attacks_need_less_than_the_bounded_ones() -> None:
    fgsm = success_and_distance("fgsm")[1]
    assert success_and_distance("deepfool")[1] < 0.3 * fgsm


def test_confidence_asks_for_a_margin() -> None:
    image = tiny_images(1)[0][0]

    def margin(confidence: float) -> float:
        attacked = run_raw("cw", tiny_classifier(), image, {"confidence": confidence, "steps": 60})
        top = np.sort(tiny_classifier().trace(attacked[None]).logits[0])
        return float(top[-1] - top[-2])

    assert margin(0.0) < 1.0
    assert margin(3.0) >= 3.0 - 1e-4


def test_ead_changes_fewer_pixels_with_a_higher_weight_of_the_l1_norm() -> None:
    images = tiny_images(4)[0]
    dense, sparse = (
        attack_images(tiny_classifier(), images, "ead", {"beta": beta, "steps": 60}).l0.mean() for beta in (0.001, 0.05)
    )
    assert sparse < 0.5 * dense


def record_warnings(action: Callable[[], object]) -> list[str]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        action()
    return [str(warning.message) for warning in caught]


@pytest.mark.parametrize("name", ["fgsm", "deepfool", "boundary"])
def test_no_warning_reaches_the_user(name: str) -> None:
    images = tiny_images(1)[0]
    parameters = {"steps": 20} if name == "boundary" else None
    assert record_warnings(lambda: attack_images(tiny_classifier(), images, name, parameters)) == []
