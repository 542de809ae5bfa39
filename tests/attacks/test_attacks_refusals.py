"""What `attack_images` refuses, and what it makes of attacks that misbehave."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import make_dataclass

import numpy as np
import pytest
import torch

from support.attack_cases import LinearClassifier, linear_problem
from support.tiny import small_classifier, tiny_classifier, tiny_images
from telltale.attacks import ATTACKS, AttackSpec, attack_images, draw_targets, get_attack
from telltale.attacks.base import AttackProblem, AttackSettings, Norm
from telltale.attacks.budget import metered
from telltale.attacks.randomness import stream_seed
from telltale.base.errors import InputError
from telltale.base.settings import parameter

Output = Callable[[AttackProblem], torch.Tensor]


def add_attack(monkeypatch: pytest.MonkeyPatch, output: Output, norm: Norm = "l2", bound: float | None = None) -> None:
    """Put an attack of the test's own into the registry under the name 'mine'."""
    fields = [] if bound is None else [("bound", float, parameter(bound, low=0.0, high=100.0, help="Bound."))]
    settings: type[AttackSettings] = make_dataclass("MySettings", fields, bases=(AttackSettings,), frozen=True)
    spec = AttackSpec(
        name="mine",
        title="Mine",
        norm=norm,
        paper="None.",
        summary="Does as the test says.",
        settings=settings,
        run=lambda problem, _settings: output(problem),
        budget=None if bound is None else "bound",
    )
    monkeypatch.setitem(ATTACKS, "mine", spec)


def test_unknown_attack_is_refused_with_the_known_names() -> None:
    with pytest.raises(InputError, match=r"no attack 'fgsn'. Known attacks: fgsm, bim, .*lbfgs"):
        get_attack("fgsn")
    with pytest.raises(InputError, match="no attack 'fgsn'"):
        attack_images(tiny_classifier(), tiny_images(1)[0], "fgsn")


def test_undeclared_parameter_is_refused_with_the_accepted_names() -> None:
    with pytest.raises(InputError, match="attack 'fgsm' has no parameter 'epsilon'; it accepts eps"):
        attack_images(tiny_classifier(), tiny_images(1)[0], "fgsm", {"epsilon": 0.1})


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((2, 3, 32, 32), np.float32), r"shape \(n, 1, 32, 32\), got \(2, 3, 32, 32\)"),
        (np.zeros((1, 32, 32), np.float32), r"shape \(n, 1, 32, 32\)"),
        (np.zeros((0, 1, 32, 32), np.float32), r"shape \(n, 1, 32, 32\)"),
        (np.full((1, 1, 32, 32), 1.1, np.float32), r"in \[0, 1\]"),
        (np.full((1, 1, 32, 32), np.nan, np.float32), "finite"),
        (np.zeros((1, 1, 32, 32), np.uint8), "float array"),
        ([[0.5]], "float array"),
    ],
)
def test_bad_images_are_refused(images: np.ndarray, message: str) -> None:
    with pytest.raises(InputError, match=message):
        attack_images(tiny_classifier(), images, "fgsm")


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        ([10, 0], r"targets in \[0, 9\], got 0 to 10"),
        ([-1, 0], r"targets in \[0, 9\], got -1 to 0"),
        ([0], "targets to be 2 integers"),
        ([0.5, 1.0], "targets to be 2 integers"),
        ([True, False], "targets to be 2 integers"),
    ],
)
@pytest.mark.parametrize("argument", ["targets", "labels"])
def test_bad_classes_are_refused(argument: str, targets: list[object], message: str) -> None:
    with pytest.raises(InputError, match=message.replace("targets", argument)):
        attack_images(tiny_classifier(), tiny_images(2)[0], "fgsm", **{argument: np.array(targets)})


def test_target_that_is_the_label_is_refused() -> None:
    images, labels = tiny_images(2)
    with pytest.raises(InputError, match="another class than the image's label"):
        attack_images(tiny_classifier(), images, "fgsm", targets=labels)


def test_targets_by_an_unknown_word_are_refused() -> None:
    with pytest.raises(InputError, match=r"array of classes or 'random'\. Got 'any' instead"):
        attack_images(tiny_classifier(), tiny_images(1)[0], "fgsm", targets="any")


@pytest.mark.parametrize("seed", [0.5, "1", True, None])
def test_bad_seed_is_refused(seed: object) -> None:
    with pytest.raises(InputError, match="seed must be an integer"):
        attack_images(tiny_classifier(), tiny_images(1)[0], "fgsm", seed=seed)


def test_too_few_classes_for_the_loss_are_refused_before_anything_is_run() -> None:
    images, weight = linear_problem()[1], np.random.default_rng(0).normal(size=(4, 64))
    with pytest.raises(InputError, match=r"^Attack 'apgd_dlr' needs at least 4 classes: the classifier has 3\.$"):
        attack_images(LinearClassifier(weight[:3], np.zeros(3)), images, "apgd_dlr", checkpoint=pytest.fail)
    assert attack_images(LinearClassifier(weight, np.zeros(4)), images, "apgd_dlr", {"steps": 10}).success.all()


def test_classifier_in_training_mode_is_refused() -> None:
    classifier = small_classifier(1, 32, 32, 10, base_width=2, depth=1).train()
    with pytest.raises(InputError, match="evaluation mode"):
        attack_images(classifier, tiny_images(1)[0], "fgsm", labels=np.array([0]))


def test_attack_added_by_one_registry_line_works(monkeypatch: pytest.MonkeyPatch) -> None:
    add_attack(monkeypatch, lambda problem: 1.0 - problem.images, "linf", 1.0)
    images = tiny_images(2)[0]
    result = attack_images(tiny_classifier(), images, "mine")
    assert np.allclose(result.images, 1.0 - images, atol=1e-6)
    assert np.array_equal(result.predictions, tiny_classifier().predict(result.images))


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0, float("nan"), float("inf")])
def test_black_constant_or_unfinished_output_falls_back_to_the_natural_image(
    monkeypatch: pytest.MonkeyPatch, value: float
) -> None:
    add_attack(monkeypatch, lambda problem: torch.full_like(problem.images, value))
    images, labels = tiny_images(6)
    constant = np.full((1, 1, 32, 32), np.nan_to_num(value, posinf=0.0), np.float32)
    assert (tiny_classifier().predict(constant) != labels).any(), "the fault would count as a success"
    result = attack_images(tiny_classifier(), images, "mine")
    assert np.array_equal(result.images, images)
    assert not result.success.any()


def test_output_that_only_rounding_makes_constant_falls_back_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def barely_varied(problem: AttackProblem) -> torch.Tensor:
        images = torch.full_like(problem.images, 127.7 / 255)
        images[:, :, 0, 0] = 128.3 / 255
        return images

    add_attack(monkeypatch, barely_varied, "linf", 1.0)
    images = tiny_images(2)[0]
    assert np.array_equal(attack_images(tiny_classifier(), images, "mine").images, images)


def test_untouched_image_is_never_a_success_even_if_it_was_misclassified(monkeypatch: pytest.MonkeyPatch) -> None:
    add_attack(monkeypatch, lambda problem: problem.images)
    images, labels = tiny_images(2)
    result = attack_images(tiny_classifier(), images, "mine", labels=(labels + 1) % 10)
    assert (result.predictions != result.labels).all()
    assert not result.success.any()


def test_failed_attempt_is_returned_and_counted_as_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    def one_pixel_darker(problem: AttackProblem) -> torch.Tensor:
        images = problem.images.clone()
        images[:, :, 0, 0] = 1 / 255
        return images

    add_attack(monkeypatch, one_pixel_darker)
    result = attack_images(tiny_classifier(), tiny_images(1)[0], "mine")
    assert not result.success[0]
    assert result.l0[0] == 1


def test_output_of_another_shape_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    add_attack(monkeypatch, lambda problem: problem.images[0])
    with pytest.raises(ValueError, match="returned shape"):
        attack_images(tiny_classifier(), tiny_images(1)[0], "mine")


@pytest.mark.parametrize(("norm", "bound"), [("linf", 0.05), ("l2", 0.7), ("l1", 9.0), ("l0", 7.0)])
def test_attack_that_ignores_its_budget_is_held_to_it(
    monkeypatch: pytest.MonkeyPatch, norm: Norm, bound: float
) -> None:
    add_attack(monkeypatch, lambda problem: torch.rand_like(problem.images) * 3 - 1, norm, bound)
    result = attack_images(tiny_classifier(), tiny_images(2)[0], "mine")
    measured = np.abs(result.images.astype(np.float64) - result.natural).sum((1, 2, 3))
    measured = measured if norm == "l1" else getattr(result, norm)
    assert (measured <= bound + 1e-5).all()
    assert (measured >= 0.9 * bound).all()


def test_success_undone_by_rounding_is_won_back_by_the_nearest_extension(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stop a hair behind the boundary of a linear classifier, where rounding to 8 bits usually falls back."""
    classifier, images = linear_problem()
    weight = classifier.linear.weight.detach()

    def just_behind(problem: AttackProblem) -> torch.Tensor:
        logits = weight @ problem.images.flatten()
        own, other = logits.topk(2).indices
        normal = weight[other] - weight[own]
        step = (logits[own] - logits[other]) / normal.square().sum() * normal
        return problem.images + 1.0005 * step.reshape(problem.images.shape)

    add_attack(monkeypatch, just_behind)
    monkeypatch.setattr("telltale.attacks.attack.extended_attempts", lambda _natural, attempt: attempt[None][:0])
    assert attack_images(classifier, images, "mine").success_rate < 1.0, "rounding undoes some"
    monkeypatch.undo()
    add_attack(monkeypatch, just_behind)
    assert attack_images(classifier, images, "mine").success_rate == 1.0


def test_meter_moves_float_error_to_the_bound_and_refuses_more() -> None:
    classifier, images = linear_problem(scale=1e6)
    inside = torch.from_numpy(images[:1].copy())
    inside[0, 0, 0, 0], inside[0, 0, 0, 1] = 0.0, 1.0
    slightly_outside = inside.clone()
    slightly_outside[0, 0, 0, 0], slightly_outside[0, 0, 0, 1] = -5e-7, 1 + 5e-7
    with metered(classifier, 1) as meter:
        assert not torch.equal(classifier(slightly_outside), classifier(inside))
        assert torch.equal(meter(slightly_outside), meter(inside))
        slightly_outside.requires_grad_()
        gradient = torch.autograd.grad(meter(slightly_outside)[0, 0], slightly_outside)[0]
        assert gradient[0, 0, 0, 0] != 0.0
        with pytest.raises(ValueError, match=r"instead of \[0, 1\]"):
            meter(inside + 1e-3)
        meter.check_range = False
        meter(inside + 1e-3)


def test_meter_counts_rows_and_backward_passes_for_the_image_under_attack() -> None:
    with metered(tiny_classifier(), 2) as meter:
        meter.begin(1)
        with torch.no_grad():
            meter(torch.rand(3, 1, 32, 32))
        images = torch.rand(2, 1, 32, 32, requires_grad=True)
        logits = meter(images)
        torch.autograd.grad(logits.sum(), images, retain_graph=True)
        torch.autograd.grad(logits[:, 0].sum(), images)
        assert meter.queries.tolist() == [0, 5]
        assert meter.gradients.tolist() == [0, 4]


def test_meter_refuses_to_hand_back_a_classifier_in_training_mode() -> None:
    classifier = small_classifier(1, 32, 32, 10, base_width=2, depth=1)
    with pytest.raises(RuntimeError, match="training mode"), metered(classifier, 1) as meter:
        meter.train()


def test_attacks_run_under_no_grad_and_inference_mode() -> None:
    images = tiny_images(1)[0]
    expected = attack_images(tiny_classifier(), images, "bim").images
    with torch.no_grad():
        assert np.array_equal(attack_images(tiny_classifier(), images, "bim").images, expected)
    with torch.inference_mode():
        assert np.array_equal(attack_images(tiny_classifier(), images, "bim").images, expected)


def test_drawn_targets_are_other_classes_spread_over_all_of_them() -> None:
    images = np.random.default_rng(0).integers(0, 256, (400, 1, 4, 4)).astype(np.float32) / np.float32(255)
    labels = np.full(400, 3)
    drawn = draw_targets(images, labels, 10, seed=0)
    counts = np.bincount(drawn, minlength=10)
    assert counts[3] == 0
    assert (np.delete(counts, 3) > 20).all()
    assert np.array_equal(drawn[7:8], draw_targets(images[7:8], labels[7:8], 10, seed=0))
    assert not np.array_equal(drawn, draw_targets(images, labels, 10, seed=1))


def test_random_streams_depend_on_seed_image_and_purpose() -> None:
    first, second = tiny_images(2)[0]
    seeds = {
        stream_seed(0, first, "pgd"),
        stream_seed(1, first, "pgd"),
        stream_seed(0, second, "pgd"),
        stream_seed(0, first, "boundary"),
    }
    assert len(seeds) == 4
    assert stream_seed(0, first, "pgd") == stream_seed(0, first.copy(), "pgd")
