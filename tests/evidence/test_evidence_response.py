"""Feature responses against a hand-written guided backprop, local entropy against loops over patches."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from captum.attr import GuidedBackprop
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.filters.rank import entropy as rank_entropy
from torch import nn

import telltale
from support.tiny import small_classifier, tiny_classifier, tiny_images
from telltale.base.errors import InputError
from telltale.evidence.response import (
    GUIDED,
    PLAIN,
    feature_responses,
    local_entropy,
    luma,
    response_maps,
    to_grey_levels,
)
from telltale.models.classifier import Classifier


class GuidedRelu(torch.autograd.Function):
    """ReLU whose backward pass lets only positive gradients through (Springenberg et al. 2015)."""

    @staticmethod
    def forward(context, x):
        context.save_for_backward(x)
        return x.clamp(min=0)

    @staticmethod
    def backward(context, gradient):
        (x,) = context.saved_tensors
        return gradient.clamp(min=0) * (x > 0)


class PlainRelu(GuidedRelu):
    @staticmethod
    def backward(context, gradient):
        (x,) = context.saved_tensors
        return gradient * (x > 0)


def replace_relus(module: nn.Module, make) -> None:
    for name, child in module.named_children():
        if isinstance(child, nn.ReLU):
            setattr(module, name, make())
        else:
            replace_relus(child, make)


class Applied(nn.Module):
    def __init__(self, function) -> None:
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function.apply(x)


def rebuilt(function) -> Classifier:
    """Return the tiny classifier over the same weights with every ReLU replaced."""
    other = copy.deepcopy(tiny_classifier())
    replace_relus(other, lambda: Applied(function))
    return other


def seeded_gradient(classifier: Classifier, images: np.ndarray) -> np.ndarray:
    """Backpropagate the last stage's activation itself: the vector-Jacobian product with seed a."""
    inputs = torch.from_numpy(images).clone().requires_grad_()
    last = classifier.stage(inputs)
    return torch.autograd.grad(last, inputs, grad_outputs=last.detach())[0].numpy()


def coloured_classifier(trained_norms: bool = False) -> Classifier:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        classifier = small_classifier(3, 16, 16, 4, base_width=4, depth=1)
        for norm in classifier.modules():
            if trained_norms and isinstance(norm, nn.BatchNorm2d):
                norm.running_mean.normal_(0.0, 0.2)
                norm.running_var.uniform_(0.5, 2.0)
        return classifier


def smooth_classifier() -> Classifier:
    """Return a network without any ReLU module."""
    classifier = coloured_classifier()
    replace_relus(classifier, nn.Softplus)
    return classifier


def test_responses_equal_a_hand_written_guided_backprop_and_not_the_plain_gradient() -> None:
    images, _ = tiny_images(6)
    maps, method = response_maps(tiny_classifier(), images)
    assert method == GUIDED
    expected = seeded_gradient(rebuilt(GuidedRelu), images)[:, 0]
    scale = np.abs(expected).max()
    np.testing.assert_allclose(maps / scale, expected / scale, atol=1e-5)
    plain = seeded_gradient(tiny_classifier(), images)[:, 0]
    np.testing.assert_allclose(seeded_gradient(rebuilt(PlainRelu), images)[:, 0], plain, rtol=1e-4, atol=1e-5 * scale)
    assert np.abs(maps - plain).max() > 0.1 * scale


class HalfSquares(nn.Module):
    """Half the squared norm of the last stage, whose gradient has the activation as its seed."""

    def __init__(self, classifier: Classifier) -> None:
        super().__init__()
        self.classifier = classifier

    def forward(self, images):
        return 0.5 * self.classifier.stage(images).square().sum((1, 2, 3))


@pytest.mark.filterwarnings("ignore:Setting backward hooks")
@pytest.mark.parametrize("make", [tiny_classifier, lambda: coloured_classifier(trained_norms=True)])
def test_responses_equal_captums_guided_backprop(make) -> None:
    classifier = make()
    images = np.random.default_rng(0).random((20, *classifier.input_shape), dtype=np.float32)
    inputs = torch.from_numpy(images).clone().requires_grad_()
    expected = luma(GuidedBackprop(HalfSquares(classifier)).attribute(inputs).detach().numpy())
    maps, method = response_maps(classifier, images)
    assert method == GUIDED
    np.testing.assert_allclose(maps, expected, atol=1e-4 * np.abs(expected).max())


class PreActivation(nn.Module):
    """A stem whose output is read by a ReLU and, around it, once more."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.relu, self.conv = nn.Conv2d(3, 6, 3), nn.ReLU(), nn.Conv2d(6, 6, 3, padding=1)
        self.sum, self.head = nn.Identity(), nn.Linear(6, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        first = self.stem(x)
        return self.head(self.sum(first + self.conv(self.relu(first))).mean((2, 3)))


def test_what_a_relu_reads_is_left_to_others_that_read_it() -> None:
    """Captum is no judge here: its hook sits on what the ReLU reads and guides the path around it too."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(2)
        classifier = telltale.wrap(PreActivation(), classes=4, size=16, layers=["stem", "sum"])
    images = np.random.default_rng(0).random((3, 3, 16, 16), dtype=np.float32)
    maps = response_maps(classifier, images)[0]
    replace_relus(classifier, lambda: Applied(GuidedRelu))
    expected = luma(seeded_gradient(classifier, images))
    np.testing.assert_allclose(maps, expected, atol=1e-5 * np.abs(expected).max())


def test_responses_follow_the_weights() -> None:
    classifier = copy.deepcopy(tiny_classifier())
    images, _ = tiny_images(2)
    before = response_maps(classifier, images)[0]
    with torch.no_grad():
        next(classifier.parameters()).mul_(2.0)
    after = response_maps(classifier, images)[0]
    assert np.abs(after - before).max() > 1e-3 * np.abs(before).max()
    np.testing.assert_array_equal(after, response_maps(copy.deepcopy(classifier), images)[0])


def test_the_seed_is_the_activation_itself_where_there_is_no_relu() -> None:
    classifier = smooth_classifier()
    images = np.random.default_rng(0).random((3, 3, 16, 16), dtype=np.float32)
    maps, method = response_maps(classifier, images)
    assert method == PLAIN
    expected = seeded_gradient(classifier, images)
    weights = np.array([0.299, 0.587, 0.114])
    expected_grey = sum(w * expected[:, c] for c, w in enumerate(weights))
    np.testing.assert_allclose(maps, expected_grey, atol=1e-5 * np.abs(expected_grey).max())
    assert (maps < 0).any() and (maps > 0).any()  # signed


def test_nothing_is_left_on_the_classifier() -> None:
    classifier, (images, _) = tiny_classifier(), tiny_images(2)
    before = seeded_gradient(classifier, images)
    response_maps(classifier, images)
    np.testing.assert_array_equal(seeded_gradient(classifier, images), before)
    for module in classifier.modules():
        assert not module._forward_hooks and not module._forward_pre_hooks
        assert not module._backward_hooks and not module._backward_pre_hooks
    assert not classifier.training
    assert all(p.grad is None and p.requires_grad for p in classifier.parameters())
    assert sum(isinstance(m, nn.ReLU) for m in classifier.network.modules()) == 7  # the stem's and two per block


def test_images_are_not_written_to() -> None:
    images, _ = tiny_images(2)
    before = images.copy()
    feature_responses(tiny_classifier(), images)
    np.testing.assert_array_equal(images, before)


def test_one_image_responds_as_in_a_batch() -> None:
    # Maps agree to 1e-5 of their largest value: convolutions add in another order for another batch size. A pixel
    # on the border of two grey levels may then fall on the other side, which moves the mean entropy by thousandths.
    images, _ = tiny_images(8)
    together = feature_responses(tiny_classifier(), images)
    for i in range(len(images)):
        alone = feature_responses(tiny_classifier(), images[i : i + 1])
        scale = np.abs(together.maps[i]).max()
        np.testing.assert_allclose(alone.maps[0], together.maps[i], atol=1e-5 * scale)
        assert np.abs(alone.grey[0].astype(int) - together.grey[i]).max() <= 1
        assert alone.mean_entropy[0] == pytest.approx(together.mean_entropy[i], abs=0.01)


def by_loops(grey: np.ndarray, patch: int) -> np.ndarray:
    height, width = grey.shape[0] - patch + 1, grey.shape[1] - patch + 1
    found = np.zeros((height, width))
    for y in range(height):
        for x in range(width):
            _, counts = np.unique(grey[y : y + patch, x : x + patch], return_counts=True)
            shares = counts / counts.sum()
            found[y, x] = -(shares * np.log2(shares)).sum()
    return found


@pytest.mark.parametrize("patch", [3, 5, 9])
@pytest.mark.parametrize("levels", [2, 12, 256])
def test_entropy_equals_loops_over_patches(patch, levels) -> None:
    grey = np.random.default_rng(0).integers(0, levels, size=(2, 14, 11)).astype(np.uint8)
    found = local_entropy(grey, patch)
    assert found.shape == (2, 14 - patch + 1, 11 - patch + 1)
    np.testing.assert_allclose(found, [by_loops(g, patch) for g in grey], atol=1e-6)


@pytest.mark.parametrize("patch", [3, 5, 7, 9])
def test_entropy_of_many_equals_scikit_images_one_by_one(patch) -> None:
    draws = np.random.default_rng(patch)
    smooth = np.cumsum(draws.integers(-2, 3, size=(20, 32, 32)), axis=2) + 128
    grey = np.concatenate([smooth.astype(np.uint8), draws.integers(0, 256, (5, 32, 32), dtype=np.uint8)])
    margin, square = patch // 2, np.ones((patch, patch), dtype=np.uint8)
    expected = np.stack([rank_entropy(g, square)[margin:-margin, margin:-margin] for g in grey])
    found = local_entropy(grey, patch)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    np.testing.assert_array_equal(found[3], local_entropy(grey[3:4], patch)[0])  # alone as among many


def test_entropy_of_responses_equals_loops_too() -> None:
    images, _ = tiny_images(1)
    responses = feature_responses(tiny_classifier(), images, levels=64, patch=5)
    expected = by_loops(responses.grey[0], 5)
    np.testing.assert_allclose(responses.entropy[0], expected, atol=1e-5)
    assert responses.mean_entropy[0] == pytest.approx(expected.mean(), abs=1e-6)
    assert (responses.levels, responses.patch, responses.method) == (64, 5, GUIDED)


def test_entropy_stays_between_zero_and_its_limits() -> None:
    distinct = np.arange(36, dtype=np.uint8).reshape(1, 6, 6)
    np.testing.assert_allclose(local_entropy(distinct), np.log2(9), atol=1e-6)
    np.testing.assert_array_equal(local_entropy(np.full((1, 6, 6), 7, dtype=np.uint8)), 0.0)
    halves = np.tile(np.array([[[0, 255]]], dtype=np.uint8), (1, 6, 3))
    assert local_entropy(halves, 5).max() <= 1.0 + 1e-6


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 256), st.floats(1e-6, 1e6), st.floats(-100.0, 100.0))
def test_grey_levels_are_equal_bins_of_the_eight_bit_picture(seed, levels, scale, shift) -> None:
    maps = (np.random.default_rng(seed).normal(size=(2, 5, 4)) * scale + shift * scale).astype(np.float32)
    grey = to_grey_levels(maps, levels)
    for image, found in zip(maps.astype(np.float64), grey, strict=True):
        eight_bits = np.rint((image - image.min()) / (image.max() - image.min()) * 255.0)
        np.testing.assert_array_equal(found, np.floor(eight_bits / (256 / levels) + 1e-9))
        assert found.min() == 0
        assert found.max() == levels - 1
    assert grey.dtype == np.uint8


def test_a_constant_map_is_level_zero_and_has_no_entropy() -> None:
    grey = to_grey_levels(np.full((1, 5, 5), -3.5, dtype=np.float32))
    np.testing.assert_array_equal(grey, 0)
    np.testing.assert_array_equal(local_entropy(grey), 0.0)


def test_every_map_is_stretched_by_itself() -> None:
    maps = np.random.default_rng(0).normal(size=(2, 6, 6)).astype(np.float32)
    maps[1] *= 1000.0
    np.testing.assert_array_equal(to_grey_levels(maps)[0], to_grey_levels(maps[:1])[0])


def test_luma_is_the_weighted_sum_of_channels_and_grey_stays_grey() -> None:
    images = np.random.default_rng(0).normal(size=(2, 3, 4, 4)).astype(np.float32)
    expected = 0.299 * images[:, 0] + 0.587 * images[:, 1] + 0.114 * images[:, 2]
    np.testing.assert_allclose(luma(images), expected, atol=1e-6)
    np.testing.assert_array_equal(luma(images[:, :1]), images[:, 0])


@pytest.mark.parametrize(
    ("levels", "patch", "sentence"),
    [
        (1, 3, r"levels must be an integer in \[2, 256\], got 1\."),
        (257, 3, r"levels must be an integer in \[2, 256\], got 257\."),
        (256, 4, r"patch must be one of 3, 5, 7, 9, got 4\."),
        (256, 1, r"patch must be one of 3, 5, 7, 9, got 1\."),
    ],
)
def test_settings_out_of_range_are_refused(levels, patch, sentence) -> None:
    with pytest.raises(InputError, match=f"^{sentence}$"):
        feature_responses(tiny_classifier(), tiny_images(1)[0], levels, patch)


def test_images_of_another_shape_or_range_are_refused() -> None:
    with pytest.raises(InputError, match=r"^Expected images of shape \(n, 1, 32, 32\), got \(1, 1, 8, 8\)\.$"):
        feature_responses(tiny_classifier(), np.zeros((1, 1, 8, 8), dtype=np.float32))
    for value in (np.nan, 1.5, -0.1):
        with pytest.raises(InputError, match=r"^Images must hold finite values in \[0, 1\]\.$"):
            feature_responses(tiny_classifier(), np.full((1, 1, 32, 32), value, dtype=np.float32))
