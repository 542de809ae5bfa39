"""HopSkipJump: the normal and the distance of a linear classifier, the boundary, foolbox."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from support.attack_cases import LinearClassifier, boundary_distances, linear_problem, raw_images
from support.tiny import tiny_classifier, tiny_images
from telltale.attacks import attack_images
from telltale.attacks.base import AttackProblem
from telltale.attacks.budget import MeteredClassifier
from telltale.attacks.libraries import import_foolbox, run_foolbox
from telltale.attacks.methods.hopskipjump import boundary_normal
from telltale.attacks.randomness import isolated_randomness


def two_classes() -> tuple[LinearClassifier, np.ndarray]:
    """Return a linear classifier with one boundary, so that there is one nearest point, and images on one side."""
    weight = np.random.default_rng(5).normal(size=(2, 64))
    weight -= weight.mean(1, keepdims=True)
    return LinearClassifier(weight, np.array([1.5, 0.0])), linear_problem()[1][:3]


def problem_of(classifier: LinearClassifier, images: np.ndarray) -> AttackProblem:
    labels = torch.from_numpy(classifier.predict(images))
    return AttackProblem(MeteredClassifier(classifier, 1), torch.from_numpy(images), labels, None, (0,))


def test_estimated_normal_is_that_of_the_boundary() -> None:
    classifier, images = two_classes()
    difference = classifier.linear.weight.detach().numpy()
    normal = difference[1] - difference[0]
    gap = float(classifier(torch.from_numpy(images[:1])).diff().detach())
    on_it = images[:1] - (gap / (normal @ normal) * normal).reshape(1, 1, 8, 8).astype(np.float32)
    cosines = []
    for probes in (30, 3000):
        with isolated_randomness(0):
            found = boundary_normal(problem_of(classifier, images[:1]), torch.from_numpy(on_it), 0.01, probes)
        assert float(found.norm()) == pytest.approx(1.0, rel=1e-5)
        cosines.append(float(found.numpy().ravel() @ normal / np.linalg.norm(normal)))
    # Signs of n random directions in d dimensions: cosine about 1 / sqrt(1 + (π / 2) d / n).
    for cosine, probes in zip(cosines, (30, 3000), strict=True):
        assert cosine == pytest.approx(1 / np.sqrt(1 + np.pi / 2 * 64 / probes), abs=0.15)


def test_distance_tends_to_that_of_a_linear_classifier() -> None:
    classifier, images = two_classes()
    least = np.array([boundary_distances(classifier, image).min() for image in images])

    def ratios(steps: int) -> np.ndarray:
        moved = [raw_images("hopskipjump", classifier, image[None], {"steps": steps})[0] for image in images]
        assert (classifier.predict(np.stack(moved)) != classifier.predict(images)).all()
        return np.array([np.linalg.norm(x - image) for x, image in zip(moved, images, strict=True)]) / least

    few, many = ratios(1), ratios(15)
    assert (many >= 0.9999).all()
    assert (many <= 1.02).all()
    assert few.mean() > 1.05 * many.mean()


def test_ends_on_the_boundary() -> None:
    """Bisection ends at 64 ** -1.5 of the way, and no jump goes farther than that way again."""
    classifier, images = linear_problem()
    for image in images[:3]:
        moved = raw_images("hopskipjump", classifier, image[None], {"steps": 3})
        nearer = image + (1 - 2.0 * 64**-1.5) * (moved - image)
        assert classifier.predict(moved)[0] != classifier.predict(image[None])[0]
        assert classifier.predict(nearer.astype(np.float32))[0] == classifier.predict(image[None])[0]


def test_a_target_is_reached_and_not_before_its_boundary() -> None:
    classifier, images = linear_problem()
    for image in images[:2]:
        distances = boundary_distances(classifier, image)
        target = int(np.argsort(distances)[1])
        result = attack_images(classifier, image[None], "hopskipjump", {"steps": 8}, targets=np.array([target]))
        assert result.success.all()
        assert 0.999 * distances[target] <= result.l2[0] <= 1.6 * distances[target]


def test_fails_without_a_starting_point_and_returns_the_natural_image() -> None:
    images = linear_problem()[1][:2]
    constant = LinearClassifier(np.zeros((5, 64)), np.array([1.0, 0, 0, 0, 0]))
    result = attack_images(constant, images, "hopskipjump", {"steps": 2})
    assert np.array_equal(result.images, images)
    assert not result.success.any()


def test_an_image_that_is_not_its_label_already_stays_finite() -> None:
    classifier, images = linear_problem()
    labels = (classifier.predict(images[:1]) + 1) % 5
    result = attack_images(classifier, images[:1], "hopskipjump", {"steps": 2}, labels=labels)
    assert np.isfinite(result.images).all()


def test_probes_are_passed_on_together() -> None:
    calls: list[int] = []
    classifier, images = two_classes()
    handle = classifier.register_forward_hook(lambda _module, inputs, _output: calls.append(len(inputs[0])))
    result = attack_images(classifier, images[:1], "hopskipjump", {"steps": 1, "probes": 1000})
    handle.remove()
    assert max(calls) == 128
    assert result.queries[0] > 1000 and len(calls) < 200


def test_comes_as_near_as_the_library() -> None:
    """Foolbox starts from our starting point too."""
    from telltale.attacks.starting import starting_point

    foolbox = import_foolbox()
    images, labels = tiny_images(2)
    settings = {"steps": 4, "probes": 60}
    ours, theirs = [], []
    for image, label in zip(images, labels, strict=True):
        moved = raw_images("hopskipjump", tiny_classifier(), image[None], settings)
        ours.append(float(np.linalg.norm(moved - image)))
        meter = MeteredClassifier(tiny_classifier(), 1)
        problem = AttackProblem(meter, torch.from_numpy(image[None]), torch.tensor([label]), None, (0,))
        with isolated_randomness(0):
            start = starting_point(problem)
            attack = foolbox.attacks.HopSkipJumpAttack(steps=4, initial_gradient_eval_steps=60)
            theirs.append(float((run_foolbox(attack, problem, starting_points=start) - problem.images).norm()))
    assert np.mean(ours) <= 1.15 * np.mean(theirs)


def test_the_librarys_direction_shrinks_with_the_batch() -> None:
    """It is divided by the norm over all images: each step of two is shorter than that of one. Here each is alone."""
    import eagerpy

    foolbox = import_foolbox()
    attack = foolbox.attacks.HopSkipJumpAttack()
    torch.manual_seed(0)
    points = eagerpy.astensor(torch.full((2, 1, 8, 8), 0.5))

    def brighter(images: Any) -> Any:
        return eagerpy.astensor(images.raw.flatten(1).sum(1) > 32.0)

    found = attack.approximate_gradients(brighter, points, 20, points[:, 0, 0, 0] * 0.01)
    assert (found.raw.flatten(1).norm(dim=1) < 0.9).all()
