"""Models E and F of Zheng & Hong (2018), Table 1: the attacker's network and the one that is attacked."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from telltale.base.files import load_arrays, save_arrays, whole
from telltale.base.images import ByteImages
from telltale.base.progress import Progress
from telltale.models.classifier import Classifier
from telltale.models.factories import model_factory
from telltale.models.resnet import small_resnet
from telltale.models.wrapping import wrap

ModelName: TypeAlias = Literal["E", "F"]

BATCH = 128
LEARNING_RATE = 1e-3
EPOCHS: Mapping[ModelName, int] = {"E": 6, "F": 5}
LINEAR_STATE, STATE = "conv2_linear", "conv2"  # of model F: the last convolution's output before and after its ReLU


class ModelE(nn.Module):
    """FC(200)-ReLU-FC(200)-ReLU-FC(C).

    Parameters
    ----------
    shape : (int, int, int)
        (C, H, W) of one image.
    classes : int
    """

    def __init__(self, shape: Sequence[int], classes: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(math.prod(shape), 200)
        self.relu1 = nn.ReLU()
        self.fc2 = nn.Linear(200, 200)
        self.relu2 = nn.ReLU()
        self.head = nn.Linear(200, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map images (n, channels, H, W) to logits (n, C)."""
        first = self.relu1(self.fc1(x.flatten(1)))
        return self.head(self.relu2(self.fc2(first)))  # type: ignore[no-any-return]


class ModelF(nn.Module):
    """Conv(64, 8x8, stride 2)-ReLU-Conv(128, 6x6, stride 2)-ReLU-FC(C), without padding: the paper names none.

    It has no hidden fully connected layer. Its hidden state is the flattened output of the last convolution, after
    the ReLU the input of the last linear layer.

    Parameters
    ----------
    shape : (int, int, int)
        (C, H, W) of one image.
    classes : int
    """

    def __init__(self, shape: Sequence[int], classes: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(shape[0], 64, 8, 2)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(64, 128, 6, 2)
        self.flatten = nn.Flatten()  # before the ReLU, so that both hidden states are layers
        self.relu2 = nn.ReLU()
        height, width = (((side - 8) // 2 + 1 - 6) // 2 + 1 for side in shape[1:])
        self.head = nn.Linear(128 * height * width, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map images (n, channels, H, W) to logits (n, C)."""
        second = self.flatten(self.conv2(self.relu1(self.conv1(x))))
        return self.head(self.relu2(second))  # type: ignore[no-any-return]


MODELS: Mapping[ModelName, Callable[[Sequence[int], int], nn.Module]] = {"E": ModelE, "F": ModelF}
LAYERS: Mapping[ModelName, Mapping[str, str]] = {
    "E": {"fc1": "relu1", "fc2": "relu2"},
    "F": {"conv1": "relu1", LINEAR_STATE: "flatten", STATE: "relu2"},
}


@model_factory
def paper_model(model: ModelName, shape: Sequence[int], classes: int) -> nn.Module:
    """Make model E or F."""
    return MODELS[model](shape, classes)


def paper_classifier(model: ModelName, shape: Sequence[int], classes: int) -> Classifier:
    """Return a new model E or F for images (C, H, W), which enter as they are, in [0, 1]."""
    network = paper_model(model, [int(side) for side in shape], classes)
    height, width = (int(side) for side in shape[1:])
    return wrap(network, classes=classes, size=(height, width), layers=LAYERS[model], channels=int(shape[0]))


def trained(
    model: ModelName,
    shape: Sequence[int],
    classes: int,
    pixels: ByteImages,
    labels: npt.NDArray[np.int64],
    seed: int,
    file: Path,
    progress: Progress,
) -> Classifier:
    """Train a model with Adam on cross-entropy, or read it from where an earlier call left it.

    Parameters
    ----------
    model : {"E", "F"}
    shape : (int, int, int)
        (C, H, W) of one image.
    classes : int
    pixels : array of uint8, shape (n, C, H, W)
    labels : array of int64, shape (n,)
    seed : int
    file : Path
        Weights; written when all epochs are done.
    progress : callable
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        small_resnet(shape[0], classes)  # drawn and left: the weights behind the stored tables were drawn after one
        classifier = paper_classifier(model, shape, classes)
        if not file.exists():
            _train(classifier, model, pixels, labels, progress)
            with whole(file) as partial:
                save_arrays(partial, classifier.arrays())
    state = {key: torch.from_numpy(value.copy()) for key, value in load_arrays(file).items()}
    classifier.load_state_dict(state)
    return classifier


def _train(
    classifier: Classifier,
    model: ModelName,
    pixels: ByteImages,
    labels: npt.NDArray[np.int64],
    progress: Progress,
) -> None:
    images, truth = torch.from_numpy(np.array(pixels)), torch.from_numpy(np.array(labels))
    optimiser = torch.optim.Adam(classifier.parameters(), LEARNING_RATE)
    classifier.train()
    for epoch in range(EPOCHS[model]):
        for done, rows in enumerate(torch.split(torch.randperm(len(images)), BATCH)):
            share = (epoch + done * BATCH / len(images)) / EPOCHS[model]
            progress(share, f"Training model {model}, epoch {epoch + 1} of {EPOCHS[model]}")
            optimiser.zero_grad(set_to_none=True)
            logits = classifier(images[rows].float() / 255.0)
            loss = nn.functional.cross_entropy(logits, truth[rows])
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
    classifier.eval().zero_grad(set_to_none=True)
