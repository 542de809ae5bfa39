"""The classifier as everything else sees it: pixels in [0, 1] in, logits out, one trace of all layers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from telltale.base.errors import InputError
from telltale.models.resnet import SmallResNet
from telltale.models.trace import Trace


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
    def trace(self, images: npt.NDArray[np.float32], batch_size: int = 64) -> Trace:
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
