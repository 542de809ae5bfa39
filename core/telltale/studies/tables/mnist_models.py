"""Models E and F of Zheng & Hong (2018), Table 1: the attacker's network and the one that is attacked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from telltale.base.files import load_arrays, save_arrays, whole
from telltale.base.images import ByteImages
from telltale.base.progress import Progress
from telltale.models.classifier import Architecture, Classifier

ModelName: TypeAlias = Literal["E", "F"]

BATCH = 128
LEARNING_RATE = 1e-3
EPOCHS: Mapping[ModelName, int] = {"E": 6, "F": 5}
LINEAR_STATE, STATE = "conv2_linear", "conv2"  # of model F: the last convolution's output before and after its ReLU


class ModelE(nn.Module):
    """FC(200)-ReLU-FC(200)-ReLU-FC(C).

    Parameters
    ----------
    architecture : Architecture
    """

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.fc1 = nn.Linear(architecture.channels * architecture.height * architecture.width, 200)
        self.relu1 = nn.ReLU()
        self.fc2 = nn.Linear(200, 200)
        self.relu2 = nn.ReLU()
        self.head = nn.Linear(200, architecture.classes)

    def layer_names(self) -> tuple[str, ...]:
        """Names of the traced layers, in order."""
        return "fc1", "fc2"

    def activations(self, x: torch.Tensor) -> list[torch.Tensor]:
        """Return the output of both hidden layers as maps of one pixel, shape (n, 200, 1, 1)."""
        first = self.relu1(self.fc1(x.flatten(1)))
        return [_one_pixel(first), _one_pixel(self.relu2(self.fc2(first)))]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map images (n, channels, H, W) to logits (n, C)."""
        return self.head(self.activations(x)[-1].flatten(1))  # type: ignore[no-any-return]


class ModelF(nn.Module):
    """Conv(64, 8x8, stride 2)-ReLU-Conv(128, 6x6, stride 2)-ReLU-FC(C), without padding: the paper names none.

    It has no hidden fully connected layer. Its hidden state is the flattened output of the last convolution, after
    the ReLU the input of the last linear layer.

    Parameters
    ----------
    architecture : Architecture
    """

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(architecture.channels, 64, 8, 2)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(64, 128, 6, 2)
        self.relu2 = nn.ReLU()
        height, width = (((side - 8) // 2 + 1 - 6) // 2 + 1 for side in (architecture.height, architecture.width))
        self.head = nn.Linear(128 * height * width, architecture.classes)

    def layer_names(self) -> tuple[str, ...]:
        """Names of the traced layers, in order."""
        return "conv1", LINEAR_STATE, STATE

    def activations(self, x: torch.Tensor) -> list[torch.Tensor]:
        """Return the maps of the first stage, and the flattened last ones as maps of one pixel, (n, d, 1, 1)."""
        first = self.relu1(self.conv1(x))
        second = self.conv2(first)
        return [first, _one_pixel(second), _one_pixel(self.relu2(second))]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map images (n, channels, H, W) to logits (n, C)."""
        return self.head(self.activations(x)[-1].flatten(1))  # type: ignore[no-any-return]


MODELS: Mapping[ModelName, Callable[[Architecture], nn.Module]] = {"E": ModelE, "F": ModelF}


class PaperClassifier(Classifier):
    """Model E or F as everything else sees a classifier; pixels enter as they are, in [0, 1].

    Parameters
    ----------
    model : {"E", "F"}
    architecture : Architecture
    """

    def __init__(self, model: ModelName, architecture: Architecture) -> None:
        super().__init__(architecture, mean=0.0, std=1.0)
        self.network = MODELS[model](architecture)  # type: ignore[assignment]  # with the interface of `SmallResNet`
        self.eval()


def trained(
    model: ModelName,
    architecture: Architecture,
    pixels: ByteImages,
    labels: npt.NDArray[np.int64],
    seed: int,
    file: Path,
    progress: Progress,
) -> PaperClassifier:
    """Train a model with Adam on cross-entropy, or read it from where an earlier call left it.

    Parameters
    ----------
    model : {"E", "F"}
    architecture : Architecture
    pixels : array of uint8, shape (n, C, H, W)
    labels : array of int64, shape (n,)
    seed : int
    file : Path
        Weights; written when all epochs are done.
    progress : callable
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        classifier = PaperClassifier(model, architecture)
        if not file.exists():
            _train(classifier, model, pixels, labels, progress)
            with whole(file) as partial:
                save_arrays(partial, {key: value.numpy() for key, value in classifier.state_dict().items()})
    state = {key: torch.from_numpy(value.copy()) for key, value in load_arrays(file).items()}
    classifier.load_state_dict(state)
    return classifier


def _train(
    classifier: PaperClassifier,
    model: ModelName,
    pixels: ByteImages,
    labels: npt.NDArray[np.int64],
    progress: Progress,
) -> None:
    images, classes = torch.from_numpy(np.array(pixels)), torch.from_numpy(np.array(labels))
    optimiser = torch.optim.Adam(classifier.parameters(), LEARNING_RATE)
    classifier.train()
    for epoch in range(EPOCHS[model]):
        for done, rows in enumerate(torch.split(torch.randperm(len(images)), BATCH)):
            share = (epoch + done * BATCH / len(images)) / EPOCHS[model]
            progress(share, f"Training model {model}, epoch {epoch + 1} of {EPOCHS[model]}")
            optimiser.zero_grad(set_to_none=True)
            logits = classifier(images[rows].float() / 255.0)
            loss = nn.functional.cross_entropy(logits, classes[rows])
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
    classifier.eval().zero_grad(set_to_none=True)


def _one_pixel(features: torch.Tensor) -> torch.Tensor:
    return features.flatten(1)[:, :, None, None]
