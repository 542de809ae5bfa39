"""Guided backprop of other people's networks against passes written by hand, whatever form their rectifiers have."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

import telltale
from support.foreign_networks import SIZES, foreign
from telltale.evidence.guided import GuidedNetwork
from telltale.evidence.response import GUIDED, PLAIN, feature_responses, response_maps
from telltale.models.classifier import Classifier

TESTS = Path(__file__).resolve().parents[1]
PATH = os.pathsep.join(filter(None, [str(TESTS), str(TESTS.parent / "core"), os.environ.get("PYTHONPATH")]))


class Definition(torch.autograd.Function):
    """Hand back a gradient where it is positive and 0 < x < top."""

    @staticmethod
    def forward(context, x, top):
        context.save_for_backward(x)
        context.top = top
        return x.clamp(0.0, top)

    @staticmethod
    def backward(context, gradient):
        (x,) = context.saved_tensors
        return gradient.clamp(min=0) * ((x > 0) & (x < context.top)), None


def by_hand(x: torch.Tensor) -> torch.Tensor:
    return Definition.apply(x, float("inf"))


def by_hand_6(x: torch.Tensor) -> torch.Tensor:
    return Definition.apply(x, 0.6)


class PreActivation(nn.Module):
    """Residual blocks x + conv(relu(x)): what every later rectifier reads is read again by the shortcut."""

    def __init__(self, act: Callable[[int, torch.Tensor], torch.Tensor] | None = None) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.convs = nn.ModuleList(nn.Conv2d(1 if i == 0 else 6, 6, 3, 1, 1) for i in range(4))
        self.own, self.one = nn.ModuleList(nn.ReLU() for _ in range(4)), nn.ReLU()
        self.last, self.head = nn.Identity(), nn.Linear(6, 3)
        self.act = act

    def rectified(self, i: int, x: torch.Tensor) -> torch.Tensor:
        return self.act(i, x) if self.act is not None else self.own[i](x)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.convs[1](self.rectified(0, self.convs[0](x)))
        x = self.convs[2](self.rectified(1, x)) + x
        x = self.convs[3](self.rectified(2, x)) + x
        return self.head(self.last(self.rectified(3, x)).mean((2, 3)))


class OneModule(PreActivation):
    def rectified(self, _: int, x: torch.Tensor) -> torch.Tensor:
        return self.one(x)


class Half(PreActivation):
    def rectified(self, i: int, x: torch.Tensor) -> torch.Tensor:
        return self.own[i](x) if i % 2 else torch.relu(x)


class InPlaceAtOnePlace(PreActivation):
    """The shortcut around the second block reads what the first place has written over."""

    def rectified(self, i: int, x: torch.Tensor) -> torch.Tensor:
        return torch.relu_(x) if i == 1 else self.one(x)


class InPlaceByHand(PreActivation):
    def rectified(self, i: int, x: torch.Tensor) -> torch.Tensor:
        return x.copy_(by_hand(x.clone())) if i == 1 else by_hand(x)


class LooksAtValues(PreActivation):
    """Code that cannot be followed with symbols."""

    def rectified(self, _: int, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(x) if float(x.detach().sum()) > -1e9 else x


class PartInPlace(PreActivation):
    """Writes over some channels of what a view shows."""

    def rectified(self, _: int, x: torch.Tensor) -> torch.Tensor:
        y = x.clone()
        y[:, :3].relu_()
        return y


class PartByHand(PreActivation):
    def rectified(self, _: int, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([by_hand(x[:, :3]), x[:, 3:]], 1)


def wrapped(network: nn.Module) -> Classifier:
    return telltale.wrap(network, classes=3, size=8, channels=1, layers=["convs.0", "last"])


def images(n: int = 3) -> np.ndarray:
    return np.random.default_rng(0).random((n, 1, 8, 8), dtype=np.float32)


def gradient_by_autograd(network: nn.Module, pixels: np.ndarray, layer: str = "last") -> np.ndarray:
    """Seed the backward pass of a network whose rectifiers are the definition with the layer's own activation."""
    seen: list[torch.Tensor] = []
    handle = network.get_submodule(layer).register_forward_hook(lambda *call: seen.append(call[2]))
    x = torch.from_numpy(pixels.copy()).requires_grad_()
    network.eval()(x)
    handle.remove()
    return torch.autograd.grad(seen[-1], x, grad_outputs=seen[-1].detach())[0].numpy()


def lambda_of(function: Callable[[torch.Tensor], torch.Tensor]) -> Callable[[], nn.Module]:
    return lambda: PreActivation(lambda _, x: function(x))


RELU = lambda_of(by_hand)
CASES: dict[str, tuple[Callable[[], nn.Module], Callable[[], nn.Module]]] = {
    "a module per place": (PreActivation, RELU),
    "one module for all places": (OneModule, RELU),
    "half modules": (Half, RELU),
    "torch.relu": (lambda_of(torch.relu), RELU),
    "functional.relu": (lambda_of(functional.relu), RELU),
    "method": (lambda_of(lambda x: x.relu()), RELU),
    "in place on a copy": (lambda_of(lambda x: functional.relu(x.clone(), inplace=True)), RELU),
    "relu_ on a copy": (lambda_of(lambda x: x.clone().relu_()), RELU),
    "clamp": (lambda_of(lambda x: torch.clamp(x, min=0)), RELU),
    "clamp method": (lambda_of(lambda x: x.clamp(min=0.0)), RELU),
    "clamp_min": (lambda_of(lambda x: x.clamp_min(0)), RELU),
    "clamp_ on a copy": (lambda_of(lambda x: x.clone().clamp_(0)), RELU),
    "threshold": (lambda_of(lambda x: functional.threshold(x, 0, 0)), RELU),
    "maximum": (lambda_of(lambda x: torch.maximum(x, torch.zeros_like(x))), RELU),
    "module made on the spot": (lambda_of(lambda x: nn.ReLU()(x)), RELU),
    "clamp from both sides": (lambda_of(lambda x: x.clamp(0, 0.6)), lambda_of(by_hand_6)),
    "hardtanh": (lambda_of(lambda x: functional.hardtanh(x, 0.0, 0.6)), lambda_of(by_hand_6)),
    "relu6": (lambda_of(lambda x: functional.relu6(10 * x) / 10), lambda_of(by_hand_6)),
    "ReLU6": (lambda_of(lambda x: nn.ReLU6()(10 * x) / 10), lambda_of(by_hand_6)),
    "in place at one place": (InPlaceAtOnePlace, InPlaceByHand),
    "code that looks at values": (LooksAtValues, RELU),
    "part of the channels in place": (PartInPlace, PartByHand),
}


@pytest.mark.parametrize(("make", "definition"), CASES.values(), ids=CASES.keys())
def test_every_rectifier_is_guided(make, definition) -> None:
    classifier = wrapped(make())
    expected = gradient_by_autograd(definition(), images())
    found = GuidedNetwork(classifier)
    assert found.guided
    np.testing.assert_allclose(found.backpropagate(images()), expected, atol=1e-5 * np.abs(expected).max())
    plain = gradient_by_autograd(classifier.network, images())
    assert np.abs(plain - expected).max() > 0.01 * np.abs(expected).max()


@pytest.mark.parametrize("function", [functional.gelu, functional.silu, torch.tanh, functional.leaky_relu])
def test_without_rectifiers_the_gradient_is_plain_and_says_so(function) -> None:
    classifier = wrapped(PreActivation(lambda _, x: function(x)))
    found, method = response_maps(classifier, images())
    expected = gradient_by_autograd(classifier.network, images())[:, 0]
    assert method == PLAIN
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())


def test_what_a_script_hides_is_never_half_guided() -> None:
    network = PreActivation()
    network.own[1] = torch.jit.script(nn.ReLU())
    found, method = response_maps(wrapped(network), images())
    assert method == PLAIN
    expected = gradient_by_autograd(network, images())[:, 0]
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())


class Reversed(torch.autograd.Function):
    """A gradient that a network defines by itself: following the code with symbols would pass over it."""

    @staticmethod
    def forward(_, x):
        return x.clone()

    @staticmethod
    def backward(_, gradient):
        return -gradient


def test_gradients_that_a_network_defines_itself_are_kept() -> None:
    network = PreActivation(lambda i, x: Reversed.apply(torch.relu(x)) if i == 2 else torch.relu(x))
    definition = PreActivation(lambda i, x: Reversed.apply(by_hand(x)) if i == 2 else by_hand(x))
    expected = gradient_by_autograd(definition, images())
    found = GuidedNetwork(wrapped(network)).backpropagate(images())
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())


def test_a_guided_pass_leaves_nothing_behind() -> None:
    classifier = wrapped(Half())
    before = gradient_by_autograd(classifier.network, images())
    GuidedNetwork(classifier).backpropagate(images())
    np.testing.assert_array_equal(gradient_by_autograd(classifier.network, images()), before)
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in classifier.modules())


PASSES = """
import sys
import numpy as np
from support.tiny import small_classifier
from telltale.evidence.guided import guided_network, plain_gradient
classifier = small_classifier(3, 16, 16, 4, base_width=4, depth=2, mean=0.3, std=0.2)
images = np.zeros((2, 3, 16, 16), dtype=np.float32)
guided_network(classifier).backpropagate(images)
plain_gradient(classifier, images)
assert "sympy" not in sys.modules
"""


def test_responses_import_no_symbolic_mathematics() -> None:
    subprocess.run([sys.executable, "-c", PASSES], cwd=TESTS, env=os.environ | {"PYTHONPATH": PATH}, check=True)


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize(
    ("name", "method"),
    [
        ("small_resnet", GUIDED),
        ("functional_relu", GUIDED),
        ("inverted_residuals", GUIDED),
        ("two_heads", GUIDED),
        ("tokens", PLAIN),
        ("channels_last", PLAIN),
    ],
)
def test_every_network_of_the_matrix_responds(name, method, size) -> None:
    classifier = foreign(name, 3, *size)
    pixels = np.random.default_rng(1).random((2, *classifier.input_shape), dtype=np.float32)
    found = feature_responses(classifier, pixels)
    assert found.method == method and found.maps.shape == (2, *size)
    assert np.isfinite(found.maps).all() and np.abs(found.maps).max() > 0.0
    assert ((found.mean_entropy > 0.0) & (found.mean_entropy <= np.log2(9) + 1e-6)).all()
