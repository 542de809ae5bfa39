"""Auto-PGD against its algorithm and loss written out, closed forms, PGD and torchattacks."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
import torch

from support.attack_cases import LinearClassifier, linear_problem, raw_images
from support.tiny import tiny_classifier, tiny_images
from telltale.attacks import attack_images
from telltale.attacks.auto_pgd import _Climb, ascend, checkpoints
from telltale.attacks.base import AttackProblem
from telltale.attacks.budget import metered
from telltale.attacks.methods.apgd_dlr import targeted_dlr

LOSSES = ["apgd_ce", "apgd_dlr"]


def test_checkpoints_are_those_of_the_paper() -> None:
    assert checkpoints(100) == (22, 41, 57, 70, 80, 87, 93, 99)
    assert checkpoints(1) == (1,)


@pytest.mark.parametrize("steps", [*range(1, 60), 100, 250, 999, 1000])
def test_checkpoints_follow_their_recursion_in_exact_fractions(steps: int) -> None:
    shares = [Fraction(0), Fraction(22, 100)]
    while shares[-1] <= 1:
        shares.append(shares[-1] + max(shares[-1] - shares[-2] - Fraction(3, 100), Fraction(6, 100)))
    expected = {math.ceil(share * steps) for share in shares[1:] if share <= 1}
    assert set(checkpoints(steps)) == expected


def cross_entropy(images: torch.Tensor, label: int) -> tuple[float, torch.Tensor]:
    images = images.clone().requires_grad_()
    loss = torch.nn.functional.cross_entropy(tiny_classifier()(images), torch.tensor([label]))
    return float(loss.detach()), torch.autograd.grad(loss, images)[0]


def written_out(natural: torch.Tensor, label: int, start: torch.Tensor, eps: float, steps: int) -> torch.Tensor:
    """Algorithm 1 of the paper for one image, line by line; returns x_max."""

    def projected(images: torch.Tensor) -> torch.Tensor:
        return torch.minimum(torch.maximum(images, natural - eps), natural + eps).clamp(0, 1)

    size, points, planned = 2 * eps, [start], (0, *checkpoints(steps))
    losses, sizes, best_losses = [cross_entropy(start, label)[0]], [size], []
    points.append(projected(start + size * cross_entropy(start, label)[1].sign()))
    losses.append(cross_entropy(points[1], label)[0])
    best = points[int(np.argmax(losses))]
    best_losses.append(losses[0])
    rose = [losses[1] > losses[0]]
    for k in range(1, steps + 1):
        if k > 1:
            gradient = cross_entropy(points[-1], label)[1]
            ahead = projected(points[-1] + size * gradient.sign())
            points.append(projected(points[-1] + 0.75 * (ahead - points[-1]) + 0.25 * (points[-1] - points[-2])))
            found = cross_entropy(points[-1], label)[0]
            rose.append(found > losses[-1])
            best = points[-1] if found > cross_entropy(best, label)[0] else best
            losses.append(found)
        if k in planned[1:]:
            place = planned.index(k)
            too_few = sum(rose[planned[place - 1] : k]) < 0.75 * (k - planned[place - 1])
            best_losses.append(cross_entropy(best, label)[0])
            kept = len(sizes) < 2 or sizes[-1] == sizes[-2]
            stuck = kept and best_losses[-1] == best_losses[-2]
            if too_few or stuck:
                size /= 2
                points[-1], losses[-1] = best, best_losses[-1]
            sizes.append(size)
    return best


@pytest.mark.parametrize("steps", [7, 40])
def test_ascent_is_the_papers_algorithm(steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    images, labels = tiny_images(2)
    eps = 0.02
    monkeypatch.setattr("torch.rand", lambda shape, generator: torch.full(tuple(shape), 0.75))  # noqa: ARG005
    attacked = raw_images("apgd_ce", tiny_classifier(), images, {"eps": eps, "steps": steps})
    monkeypatch.undo()
    for natural, label, found in zip(torch.from_numpy(images), labels, torch.from_numpy(attacked), strict=True):
        start = (natural[None] + 0.5 * eps).clamp(0, 1)
        expected = written_out(natural[None], int(label), start, eps, steps)
        assert float((found - expected[0]).abs().gt(1e-5).float().mean()) < 0.02
        reached, wanted = (cross_entropy(x, int(label))[0] for x in (found[None], expected))
        assert reached == pytest.approx(wanted, rel=1e-2)


def test_step_is_kept_once_after_it_was_halved_even_if_nothing_improves(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of losses that rise all the time, but never above the start's: halved, kept, halved again."""
    classifier, images = linear_problem()
    told = iter([1000.0, *map(float, range(100))])
    sizes: list[float] = []
    reconsider = _Climb._reconsider

    def recorded(climb: _Climb, period: int) -> None:
        reconsider(climb, period)
        sizes.append(climb._step_sizes.item())

    monkeypatch.setattr(_Climb, "_reconsider", recorded)
    with metered(classifier, 1) as meter:
        labels = torch.from_numpy(classifier.predict(images[:1]))
        problem = AttackProblem(meter, torch.from_numpy(images[:1]), labels, None, (0,))
        losses = [lambda logits, rows: 0.0 * logits.sum(1) + next(told)]  # noqa: ARG005
        ascend(problem, 0.01, 100, losses)
    assert sizes[:3] == pytest.approx([0.01, 0.01, 0.005])


def dlr_by_hand(logits: np.ndarray, label: int, target: int) -> float:
    ordered = sorted(logits.tolist(), reverse=True)
    return (logits[target] - logits[label]) / (ordered[0] - (ordered[2] + ordered[3]) / 2)


def test_dlr_loss_equals_a_computation_by_hand() -> None:
    generator = np.random.default_rng(0)
    logits = generator.normal(size=(20, 6))
    pairs = np.array([generator.permutation(6)[:2] for _ in range(20)])
    found = targeted_dlr(torch.from_numpy(logits), torch.from_numpy(pairs[:, 0]), torch.from_numpy(pairs[:, 1]))
    expected = [dlr_by_hand(row, label, target) for row, (label, target) in zip(logits, pairs, strict=True)]
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-9)
    one = targeted_dlr(torch.tensor([[4.0, 1.0, 2.0, 0.0]]), torch.tensor([0]), torch.tensor([2]))
    assert one.item() == pytest.approx(-2.0 / 3.5)


def test_dlr_loss_of_equal_logits_is_finite_and_so_is_its_gradient() -> None:
    logits = torch.zeros(1, 4, requires_grad=True)
    loss = targeted_dlr(logits, torch.tensor([0]), torch.tensor([1]))
    assert loss.item() == 0.0
    assert torch.autograd.grad(loss, logits)[0].isfinite().all()


def test_dlr_does_not_see_how_confident_the_classifier_is_where_the_cross_entropy_is_blind() -> None:
    images = linear_problem()[1]
    plain, confident = linear_problem()[0], linear_problem(scale=1e4)[0]
    settings = {"eps": 0.1, "steps": 10}
    expected = raw_images("apgd_dlr", plain, images, settings)
    found = raw_images("apgd_dlr", confident, images, settings)
    assert np.abs(found - expected).max() < 1e-5
    assert (confident.predict(found) != confident.predict(images)).all()
    blind = raw_images("apgd_ce", confident, images, settings)
    assert (confident.predict(blind) != confident.predict(images)).mean() < 0.5


def least_eps(classifier: LinearClassifier, image: np.ndarray) -> float:
    return float(linf_distances(classifier, image).min())


def linf_distances(classifier: LinearClassifier, image: np.ndarray) -> np.ndarray:
    """L∞ distances to all boundaries: gaps between logits over the L1 norms of their gradients' differences."""
    weight, bias = (array.detach().numpy().astype(np.float64) for array in classifier.linear.parameters())
    logits = weight @ image.ravel() + bias
    own = int(logits.argmax())
    norms = np.abs(weight[own] - weight).sum(1)
    return np.array([np.inf if k == own else (logits[own] - logits[k]) / norms[k] for k in range(len(logits))])


@pytest.mark.parametrize("name", LOSSES)
def test_succeeds_just_beyond_the_distance_of_a_linear_classifier_and_not_before(name: str) -> None:
    classifier, images = linear_problem()
    for image in images:
        for share, expected in ((0.97, False), (1.03, True)):
            settings = {"eps": share * least_eps(classifier, image), "steps": 40}
            attacked = raw_images(name, classifier, image[None], settings)
            assert (classifier.predict(attacked) != classifier.predict(image[None]))[0] == expected


def mean_loss(images: np.ndarray, labels: np.ndarray) -> float:
    logits = torch.from_numpy(tiny_classifier().trace(images).logits)
    return float(torch.nn.functional.cross_entropy(logits, torch.from_numpy(labels)))


@pytest.mark.parametrize("step_share", [0.1, 0.25])
def test_cross_entropy_climbs_higher_than_pgd_with_as_many_steps(step_share: float) -> None:
    images, labels = tiny_images(12)
    for eps in (0.008, 0.03):
        auto = raw_images("apgd_ce", tiny_classifier(), images, {"eps": eps, "steps": 30})
        fixed = raw_images("pgd", tiny_classifier(), images, {"eps": eps, "step": step_share * eps, "steps": 30})
        won, rival = (tiny_classifier().predict(attacked) != labels for attacked in (auto, fixed))
        assert won.sum() >= rival.sum()
        assert mean_loss(auto, labels) >= 0.999 * mean_loss(fixed, labels)
        assert eps > 0.008 or not rival.all(), "a budget at which they could differ"


@pytest.mark.parametrize(("name", "library_name"), [("apgd_ce", "APGD"), ("apgd_dlr", "APGDT")])
def test_succeeds_where_the_library_does(name: str, library_name: str) -> None:
    import torchattacks

    images, labels = tiny_images(8)
    for eps in (0.006, 0.012):
        ours = raw_images(name, tiny_classifier(), images, {"eps": eps, "steps": 30})
        theirs = []
        with metered(tiny_classifier(), 1) as meter:
            library = getattr(torchattacks, library_name)(meter, eps=eps, steps=30)
            for image, label in zip(torch.from_numpy(images), torch.from_numpy(labels), strict=True):
                theirs.append(library(image[None], label[None])[0].detach().numpy())
        won, rival = (tiny_classifier().predict(x) != labels for x in (ours, np.stack(theirs)))
        assert (won == rival).sum() >= len(images) - 1


def test_a_failed_image_comes_back_as_its_best_attempt_and_the_librarys_untouched() -> None:
    import torchattacks

    images, labels = tiny_images(6)
    settings = {"eps": 1 / 255, "steps": 5}
    with metered(tiny_classifier(), 1) as meter:
        library = torchattacks.APGD(meter, **settings)
        pairs = zip(torch.from_numpy(images), torch.from_numpy(labels), strict=True)
        theirs = [library(image[None], label[None]).detach().numpy() for image, label in pairs]
    untouched = (np.concatenate(theirs) == images).all((1, 2, 3))
    assert untouched.any(), "the library gives up what it has reached"
    images, labels = images[untouched], labels[untouched]
    for name in LOSSES:
        result = attack_images(tiny_classifier(), images, name, settings)
        assert not result.success.any()
        assert (result.linf == 1 / 255).all()
        assert mean_loss(result.images, labels) > 1.2 * mean_loss(images, labels)


def test_only_images_that_failed_are_tried_again() -> None:
    classifier, images = linear_problem()
    least = sorted(least_eps(classifier, image) for image in images)
    eps = (least[2] + least[3]) / 2
    result = attack_images(classifier, images, "apgd_ce", {"eps": eps, "steps": 20, "restarts": 3}, batch_size=6)
    assert set(result.queries) == {21 + 1, 63}, "one pass more sees whether a success outlives rounding"
    assert ((result.queries == 22) == [least_eps(classifier, image) < eps for image in images]).all()


def test_dlr_tries_likely_classes_in_turn_until_one_can_be_reached() -> None:
    """Class 1 is likelier than class 2, but its logit hardly changes with the pixels."""
    weight = np.random.default_rng(1).normal(size=(4, 64)) * np.array([[0.0], [0.02], [0.25], [0.01]])
    weight -= weight.mean(1, keepdims=True)
    classifier, images = LinearClassifier(weight, np.array([1.0, 0.8, 0.4, 0.0])), linear_problem()[1]
    distances = np.array([linf_distances(classifier, image) for image in images])
    eps = 1.2 * distances[:, 2].max()
    assert (distances[:, [1, 3]] > 1.5 * eps).all()
    one, two = (
        attack_images(classifier, images, "apgd_dlr", {"eps": eps, "steps": 20, "candidates": candidates})
        for candidates in (1, 2)
    )
    assert two.success.all() and (two.predictions == 2).all()
    assert not one.success.any()
    assert set(one.queries) == {1 + 21} and set(two.queries) == {1 + 2 * 21 + 1}


def test_what_falls_back_when_it_is_rounded_is_tried_again() -> None:
    """Class 1 is likelier and reached in floats alone, at 1.3 grey levels; class 2 at 0.9 of one."""
    images = linear_problem()[1][:1]
    toward = np.sign(np.random.default_rng(3).normal(size=64))
    here, level = (images.ravel() * toward).sum(), 64 / 255  # what one grey level in every pixel adds to toward · x
    weight = np.stack([np.zeros(64), 0.5 * toward, -toward, np.zeros(64)])
    bias = np.array([0.0, -0.5 * (here + 1.3 * level), here - 0.9 * level, -9.0])
    classifier = LinearClassifier(weight, bias)
    one, two = (
        attack_images(classifier, images, "apgd_dlr", {"eps": 1.45 / 255, "steps": 20, "candidates": candidates})
        for candidates in (1, 2)
    )
    assert two.success.all() and (two.predictions == 2).all()
    assert one.predictions[0] != 1


@pytest.mark.parametrize("name", LOSSES)
def test_a_classifier_without_gradients_leaves_finite_images(name: str) -> None:
    images = linear_problem()[1][:2]
    flat = LinearClassifier(np.zeros((5, 64)), np.array([1.0, 0, 0, 0, 0]))
    result = attack_images(flat, images, name, {"steps": 5})
    assert np.isfinite(result.images).all()
    assert not result.success.any()
