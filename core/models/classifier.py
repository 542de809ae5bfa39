"""The classifier as everything else sees it: pixels in [0, 1] in, logits out, one trace of all layers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from core.errors import InputError
from core.models.resnet import SmallResNet


@dataclass(frozen=True)
class Architecture:
    """Everything needed to rebuild a network around stored weights.

    Attributes
    ----------
    channels, height, width : int
        Shape of one image.
    classes : int
    base_width, depth : int
        Channels of the first stage and blocks per stage of `SmallResNet`.
    """

    channels: int
    height: int
    width: int
    classes: int
    base_width: int = 16
    depth: int = 3


@dataclass(frozen=True)
class Trace:
    """One forward pass: logits and the pooled activation of every layer.

    Attributes
    ----------
    layers : tuple of str, length L
    activations : tuple of L arrays of float32, shape (n, d_l)
        Global average of each layer's output. The last one is the hidden state, the input of the softmax head.
    logits : array of float32, shape (n, C)
    """

    layers: tuple[str, ...]
    activations: tuple[npt.NDArray[np.float32], ...]
    logits: npt.NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.logits)

    @property
    def hidden(self) -> npt.NDArray[np.float32]:
        """Input of the softmax head, shape (n, d)."""
        return self.activations[-1]

    @property
    def predictions(self) -> npt.NDArray[np.int64]:
        """Predicted class of every image, shape (n,)."""
        return self.logits.argmax(1).astype(np.int64)

    @property
    def probabilities(self) -> npt.NDArray[np.float64]:
        """Softmax of the logits, shape (n, C)."""
        shifted = self.logits.astype(np.float64) - self.logits.max(1, keepdims=True)
        exponentials = np.exp(shifted)
        return exponentials / exponentials.sum(1, keepdims=True)

    def take(self, index: npt.NDArray[np.int64] | npt.NDArray[np.bool_] | slice) -> Trace:
        """Return the trace of some of the images."""
        return Trace(self.layers, tuple(a[index] for a in self.activations), self.logits[index])

    @staticmethod
    def concatenate(traces: list[Trace]) -> Trace:
        """Join traces of the same network."""
        activations = tuple(np.concatenate(parts) for parts in zip(*(t.activations for t in traces), strict=True))
        return Trace(traces[0].layers, activations, np.concatenate([t.logits for t in traces]))


class Classifier(nn.Module):
    """A network with its input normalisation inside, always in evaluation mode.

    Parameters
    ----------
    architecture : Architecture
    mean, std : float
        Normalisation applied to pixels in [0, 1].
    """

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, architecture: Architecture, mean: float = 0.5, std: float = 0.5) -> None:
        super().__init__()
        self.architecture = architecture
        self.register_buffer("mean", torch.tensor(float(mean)))
        self.register_buffer("std", torch.tensor(float(std)))
        self.network = SmallResNet(
            architecture.channels, architecture.classes, architecture.base_width, architecture.depth
        )
        self.eval()

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the traced layers, in order."""
        return self.network.layer_names()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Map images (n, C, H, W) in [0, 1] to logits (n, classes)."""
        return self.network((images - self.mean) / self.std)  # type: ignore[no-any-return]

    def feature_maps(self, images: torch.Tensor) -> list[torch.Tensor]:
        """Return the output of every traced layer, each of shape (n, d, h, w)."""
        return self.network.activations((images - self.mean) / self.std)

    @torch.inference_mode()
    def trace(self, images: npt.NDArray[np.float32], batch_size: int = 128) -> Trace:
        """Run images once and keep logits and pooled activations.

        Parameters
        ----------
        images : array of float32, shape (n, C, H, W), in [0, 1]
        batch_size : int
            Images per forward pass; results do not depend on it beyond float tolerance.

        Raises
        ------
        InputError
            If the shape is not the network's.
        """
        self.check_images(images)
        parts = []
        for start in range(0, len(images), batch_size):
            maps = self.feature_maps(torch.from_numpy(images[start : start + batch_size]))
            pooled = [m.mean((2, 3)) for m in maps]
            logits = self.network.head(pooled[-1])
            parts.append(Trace(self.layers, tuple(p.numpy() for p in pooled), logits.numpy()))
        return Trace.concatenate(parts)

    def predict(self, images: npt.NDArray[np.float32]) -> npt.NDArray[np.int64]:
        """Return the predicted class of every image, shape (n,)."""
        return self.trace(images).predictions

    def check_images(self, images: npt.NDArray[np.float32]) -> None:
        """Raise `InputError` unless images are a non-empty (n, C, H, W) batch of this network's shape in [0, 1]."""
        a = self.architecture
        expected = (a.channels, a.height, a.width)
        if images.ndim != 4 or images.shape[1:] != expected or len(images) == 0:
            raise InputError(f"Expected images of shape (n, {a.channels}, {a.height}, {a.width}), got {images.shape}.")
        if not np.isfinite(images).all() or images.min() < 0.0 or images.max() > 1.0:
            raise InputError("Images must hold finite values in [0, 1].")
