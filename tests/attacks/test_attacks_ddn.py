"""DDN: the least distance of a linear classifier, the norms that it is at, foolbox."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from support.attack_cases import LinearClassifier, boundary_distances, linear_problem, raw_images
from support.tiny import tiny_classifier, tiny_images
from telltale.attacks import ATTACKS, attack_images
from telltale.attacks.base import AttackProblem
from telltale.attacks.budget import metered
from telltale.attacks.libraries import import_foolbox, run_foolbox


def l2(change: np.ndarray) -> np.ndarray:
    return np.linalg.norm(change.reshape(len(change), -1), axis=1)


@pytest.mark.parametrize("scale", [1.0, 8.0])
def test_comes_near_the_least_distance_of_a_linear_classifier(scale: float) -> None:
    classifier, images = linear_problem(scale)
    least = np.array([boundary_distances(classifier, image).min() for image in images])
    found = l2(raw_images("ddn", classifier, images, {"steps": 200, "gamma": 0.02}) - images)
    assert (found >= 0.999 * least).all()
    assert (found <= 1.04 * least).all()
    hasty = l2(raw_images("ddn", classifier, images, {"steps": 8}) - images)
    assert hasty.mean() > 1.2 * found.mean()


def test_comes_near_the_least_distance_to_a_target() -> None:
    classifier, images = linear_problem()
    distances = np.array([boundary_distances(classifier, image) for image in images])
    targets = np.argsort(distances, axis=1)[:, 1].astype(np.int64)
    moved = raw_images("ddn", classifier, images, {"steps": 200, "gamma": 0.02}, targets)
    assert (classifier.predict(moved) == targets).all()
    assert (l2(moved - images) >= 0.999 * distances[np.arange(6), targets]).all()


def visited(classifier: LinearClassifier, image: np.ndarray, label: int, settings: dict[str, object]) -> np.ndarray:
    """Return how far from the natural image each version was that the classifier was shown, the natural one first.

    All of them must be on the 8-bit grid.
    """
    seen: list[np.ndarray] = []
    handle = classifier.network.register_forward_hook(
        lambda _module, inputs, _out: seen.append(inputs[0].detach().numpy().copy())
    )
    attack_images(classifier, image[None], "ddn", settings, labels=np.array([label]))
    handle.remove()
    shown = np.concatenate(seen[: int(settings["steps"]) + 1])
    assert np.abs(255 * shown - np.rint(255 * shown)).max() < 1e-4
    return l2(shown - image)


@pytest.mark.parametrize(("label", "factor"), [(0, 1.1), (1, 0.9)])
def test_norm_grows_by_gamma_after_a_failure_and_shrinks_after_a_success(label: int, factor: float) -> None:
    """Whatever the pixels, the answer is class 0: never a success for label 0, always one for label 1."""
    weight = np.random.default_rng(0).normal(size=(5, 64))
    classifier = LinearClassifier(weight, np.array([500.0, 0, 0, 0, 0]))
    image = linear_problem()[1][0]
    norms = visited(classifier, image, label, {"steps": 6, "radius": 0.4, "gamma": 0.1})
    assert norms[0] == 0.0
    assert norms[1:] == pytest.approx(0.4 * factor ** np.arange(1, 7), rel=0.02)


def test_norm_never_exceeds_what_the_box_allows() -> None:
    weight = np.random.default_rng(0).normal(size=(5, 64))
    weight[:, 0] = 0.0  # nothing times a norm without bound would be no number
    classifier, image = LinearClassifier(weight, np.array([80.0, 0, 0, 0, 0])), linear_problem()[1][0]
    norms = visited(classifier, image, 0, {"steps": 200, "gamma": 0.9})
    assert np.isfinite(norms).all()
    assert norms.max() <= np.linalg.norm(np.maximum(image, 1 - image)) + 1e-5


def test_vanished_gradients_are_replaced_by_the_images_own_draws() -> None:
    """A confident classifier's loss has no gradient in single precision; foolbox draws for the whole batch at once."""
    classifier, images = linear_problem(scale=1e5)
    settings = {"steps": 60, "radius": 3.0}
    alone = attack_images(classifier, images, "ddn", settings)
    together = attack_images(classifier, images, "ddn", settings, batch_size=6)
    assert alone.success.any()
    assert np.array_equal(alone.images, together.images)

    foolbox = import_foolbox()
    drawn = []
    for rows in (slice(0, 6), slice(5, 6)):
        torch.manual_seed(0)
        with metered(classifier, 6) as meter:
            model = foolbox.PyTorchModel(meter, bounds=(0, 1), device="cpu")
            labels = torch.from_numpy(classifier.predict(images[rows]))
            meter.begin(0, len(labels))
            attack = foolbox.attacks.DDNAttack(init_epsilon=3.0, steps=60)
            drawn.append(attack(model, torch.from_numpy(images[rows]), labels, epsilons=None)[0][-1].numpy())
    assert not np.array_equal(*drawn)


def test_is_nearer_than_the_library_after_rounding(monkeypatch: pytest.MonkeyPatch) -> None:
    foolbox = import_foolbox()
    images = tiny_images(10)[0]

    def by_library(problem: AttackProblem, _settings: object) -> torch.Tensor:
        return run_foolbox(foolbox.attacks.DDNAttack(), problem)

    ours = attack_images(tiny_classifier(), images, "ddn", batch_size=10)
    monkeypatch.setitem(ATTACKS, "ddn", replace(ATTACKS["ddn"], run=by_library))
    theirs = attack_images(tiny_classifier(), images, "ddn", batch_size=10)
    assert ours.success.all() and theirs.success.all()
    assert 0.9 * theirs.l2.mean() < ours.l2.mean() <= theirs.l2.mean()


def test_fails_where_no_image_is_anything_else_and_returns_the_natural_one() -> None:
    images = linear_problem()[1][:2]
    constant = LinearClassifier(np.zeros((5, 64)), np.array([1.0, 0, 0, 0, 0]))
    result = attack_images(constant, images, "ddn", {"steps": 5}, batch_size=2)
    assert np.array_equal(result.images, images)
    assert not result.success.any()
