"""Known faults of torchattacks and foolbox: each is shown in the library, then absent here."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
import torch

from support.attack_cases import LinearClassifier, linear_problem
from support.tiny import tiny_classifier, tiny_images
from telltale.attacks import attack_images
from telltale.attacks.libraries import import_foolbox

HOPELESS = {"steps": 2, "binary_search_steps": 1, "c0": 1e-6}


@pytest.mark.parametrize(("name", "foolbox_name"), [("cw", "L2CarliniWagnerAttack"), ("ead", "EADAttack")])
def test_failed_optimisation_is_not_a_black_success(name: str, foolbox_name: str) -> None:
    foolbox = import_foolbox()
    images, labels = tiny_images(8)
    attack = getattr(foolbox.attacks, foolbox_name)(binary_search_steps=1, steps=2, initial_const=1e-6)
    model = foolbox.PyTorchModel(tiny_classifier(), bounds=(0, 1), device="cpu")
    black, _, claimed = attack(model, torch.from_numpy(images), torch.from_numpy(labels), epsilons=None)
    tiny_classifier().zero_grad(set_to_none=True)
    assert float(black.max()) == 0.0, "the library returns black images"
    assert claimed.any(), "and calls them successes"

    result = attack_images(tiny_classifier(), images, name, HOPELESS)
    assert np.array_equal(result.images, images)
    assert not result.success.any()


def test_boundary_attack_without_a_starting_point_spares_the_batch() -> None:
    """No image of this classifier is ever anything but class 0; the library raises for the whole batch."""
    classifier, images = linear_problem()
    constant = LinearClassifier(np.zeros((5, 64)), np.array([1.0, 0, 0, 0, 0]))
    foolbox = import_foolbox()
    model = foolbox.PyTorchModel(constant, bounds=(0, 1), device="cpu")
    with pytest.raises(ValueError, match="init_attack failed"):
        foolbox.attacks.BoundaryAttack(steps=2)(
            model, torch.from_numpy(images), torch.zeros(len(images), dtype=torch.int64), epsilons=None
        )

    failed = attack_images(constant, images[:2], "boundary", {"steps": 2})
    assert np.array_equal(failed.images, images[:2])
    assert not failed.success.any()
    assert attack_images(classifier, images[:2], "boundary", {"steps": 2}).success.all()


@pytest.mark.parametrize("level", [0.0, 1.0])
def test_cw_moves_pixels_that_are_exactly_black_or_white(level: float) -> None:
    """Only the pixels at the bound matter to this classifier; torchattacks never moves those."""
    weight = np.zeros((2, 64))
    weight[1, :8] = 1.0 if level == 0.0 else -1.0
    classifier = LinearClassifier(weight, np.array([0.5, 0.0]) if level == 0.0 else np.array([0.5 - 8.0, 0.0]))
    image = np.full((1, 1, 8, 8), 128 / 255, np.float32)
    image[0, 0, 0] = level
    result = attack_images(classifier, image, "cw", {"steps": 300})
    assert result.success.all()
    assert (result.images[0, 0, 0] != level).any()


@pytest.mark.parametrize("shift", [-50.0, 0.0, 50.0])
def test_cw_does_not_depend_on_the_sign_of_the_logits(shift: float) -> None:
    classifier, images = linear_problem()
    expected = attack_images(classifier, images[:2], "cw").l2
    with torch.no_grad():
        classifier.linear.bias += shift
    shifted = attack_images(classifier, images[:2], "cw")
    assert shifted.success.all()
    assert shifted.l2 == pytest.approx(expected, rel=0.05)


def test_no_attack_leaves_a_gradient_on_the_parameters() -> None:
    """Foolbox calls ``backward`` on the loss, which by itself fills ``.grad`` of every parameter."""
    images = tiny_images(1)[0]
    for name in ("deepfool", "cw", "ead", "gradient"):
        attack_images(tiny_classifier(), images, name)
        assert all(parameter.grad is None and parameter.requires_grad for parameter in tiny_classifier().parameters())


def test_gradients_that_were_there_before_are_kept() -> None:
    classifier, images = linear_problem()
    classifier.linear.bias.grad = torch.full((5,), 7.0)
    classifier.linear.weight.requires_grad_(False)
    attack_images(classifier, images[:1], "deepfool")
    assert classifier.linear.bias.grad.tolist() == [7.0] * 5
    assert not classifier.linear.weight.requires_grad


def test_one_pixel_attack_succeeds_on_digits_when_it_may_change_some() -> None:
    result = attack_images(
        tiny_classifier(), tiny_images(4)[0], "onepixel", {"pixels": 20, "popsize": 200, "steps": 10}
    )
    assert result.success_rate >= 0.5
    assert result.l0.max() <= 20


def test_mifgsm_without_a_gradient_fails_instead_of_returning_nan() -> None:
    """The library divides the gradient by its mean, also where it is zero."""
    images = linear_problem()[1][:2]
    flat = LinearClassifier(np.zeros((5, 64)), np.array([1.0, 0, 0, 0, 0]))
    result = attack_images(flat, images, "mifgsm")
    assert np.array_equal(result.images, images)
    assert not result.success.any()


def run_script(code: str, **environment: str) -> str:
    finished = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": "/usr/bin:/bin"} | environment,
        cwd=Path(__file__).parents[2],
    )
    assert finished.returncode == 0, finished.stderr
    return finished.stdout.strip()


def test_attack_libraries_need_neither_torchvision_nor_robustbench_nor_git_and_do_not_warn() -> None:
    code = """
        import sys, warnings
        sys.modules["torchvision"] = None
        sys.modules["robustbench"] = None
        import torchattacks
        from telltale.attacks.libraries import import_foolbox
        warnings.simplefilter("error", DeprecationWarning)
        import_foolbox()
        print(torchattacks.__version__)
    """
    assert run_script(code, PATH="/nowhere")
