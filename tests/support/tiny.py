"""A tiny classifier, trained within seconds, for every test that needs gradients of something that has learned."""

from __future__ import annotations

import functools

import numpy as np
import torch
from torch import nn

from telltale.base.images import FloatImages
from telltale.data import digits
from telltale.data.image_set import ImageSet
from telltale.models.classifier import Classifier
from telltale.models.spec import small_resnet_spec
from telltale.models.weights import make_classifier

TRAINING_IMAGES = 300


def small_classifier(
    channels: int,
    height: int,
    width: int,
    classes: int,
    base_width: int,
    depth: int,
    mean: float = 0.5,
    std: float = 0.5,
) -> Classifier:
    """Return an untrained `SmallResNet` as a classifier; its weights are drawn from torch's global generator."""
    return make_classifier(small_resnet_spec(channels, height, width, classes, base_width, depth), mean, std)


@functools.cache
def tiny_digits() -> ImageSet:
    """Return scikit-learn's digits at 32x32."""
    return digits.load()


@functools.cache
def tiny_classifier() -> Classifier:
    """Return a `SmallResNet` of width 4 trained on the first 300 digits, in evaluation mode, with a twin of width 3."""
    return _trained(4, seed=0).take_twin(_trained(3, seed=1))


def _trained(base_width: int, seed: int) -> Classifier:
    torch.set_num_threads(1)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        classifier = small_classifier(1, 32, 32, 10, base_width, depth=1)
        _train(classifier)
    return classifier


def tiny_images(count: int) -> tuple[FloatImages, np.ndarray]:
    """Return held-out images that the tiny classifier gets right, with their labels."""
    data = tiny_digits()
    ids = np.arange(TRAINING_IMAGES, TRAINING_IMAGES + 4 * count + 40)
    images = data.images(ids)
    right = tiny_classifier().predict(images) == data.labels[ids]
    return images[right][:count], data.labels[ids][right][:count]


def _train(classifier: Classifier, epochs: int = 25, batch_size: int = 32) -> None:
    data = tiny_digits()
    images = torch.from_numpy(data.images(np.arange(TRAINING_IMAGES)))
    labels = torch.from_numpy(data.labels[:TRAINING_IMAGES])
    optimiser = torch.optim.Adam(classifier.parameters(), lr=1e-2)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, epochs)
    classifier.train()
    for _ in range(epochs):
        for batch in torch.randperm(TRAINING_IMAGES).split(batch_size):
            optimiser.zero_grad(set_to_none=True)
            nn.functional.cross_entropy(classifier(images[batch]), labels[batch]).backward()
            optimiser.step()
        schedule.step()
    optimiser.zero_grad(set_to_none=True)
    classifier.eval()
