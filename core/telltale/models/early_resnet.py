"""A residual network that pools early: wide layers, few pixels, and so much accuracy for each second of training."""

from __future__ import annotations

import torch
from torch import nn

from telltale.models.factories import model_factory
from telltale.models.spec import EARLY_RESNET

PATCH = 2
# Added to the variances that whitening divides by. JPEG leaves all but nothing of the finest colour detail; were it
# scaled up to the size of all else, every picture that is a little noisy would be a strange one.
SMALLEST_VARIANCE = 1e-2


class ResidualBlock(nn.Module):
    """A 3x3 convolution with batch normalisation and a rectifier, added to its input.

    Parameters
    ----------
    channels : int
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (n, channels, H, W) to the same shape."""
        return x + self.relu(self.norm(self.conv(x)))  # type: ignore[no-any-return]


class Entry(nn.Module):
    """A 3x3 convolution, pooled to half the pixels before anything else is computed on them.

    Parameters
    ----------
    channels_in, channels_out : int
    """

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels_in, channels_out, 3, padding=1, bias=False)
        self.pool = nn.MaxPool2d(2)
        self.norm = nn.BatchNorm2d(channels_out)
        self.relu = nn.ReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (n, channels_in, H, W) to (n, channels_out, H // 2, W // 2)."""
        return self.relu(self.norm(self.pool(self.conv(x))))  # type: ignore[no-any-return]


class EarlyResNet(nn.Module):
    """Whitened 2x2 patches and three stages at widths w, 3w, 4w, each begun by an `Entry`.

    The plan is that of the fast CIFAR-10 trainings since Page (2018) and Jordan (2024): a first layer that is computed
    from the data and not trained, pooling right after each stage's first convolution, most weights where few pixels
    are left. Every rectifier is a module that is used once.

    Parameters
    ----------
    channels : int
        Image channels.
    classes : int
    width : int
        Channels of the first stage.
    depth : int
        Residual blocks of the last stage; the others have one.
    """

    def __init__(self, channels: int, classes: int, width: int = 64, depth: int = 2) -> None:
        super().__init__()
        filters = 2 * channels * PATCH**2
        self.stem = nn.Sequential(nn.Conv2d(channels, filters, PATCH, bias=False), nn.ReLU())
        self.stem.requires_grad_(False)
        blocks: dict[str, nn.Module] = {}
        previous = filters
        for stage, (out, count) in enumerate(((width, 1), (3 * width, 1), (4 * width, depth)), start=1):
            blocks[f"stage{stage}_entry"] = Entry(previous, out)
            for index in range(1, count + 1):
                blocks[f"stage{stage}_block{index}"] = ResidualBlock(out)
            previous = out
        self.blocks = nn.ModuleDict(blocks)
        self.head = nn.Linear(previous, classes)

    @torch.no_grad()
    def fit_stem(self, images: torch.Tensor) -> None:
        """Set the first layer to the principal components of patches, scaled to equal variance, and their negatives.

        Parameters
        ----------
        images : tensor of float32, shape (n, C, H, W)
            Normalised.
        """
        patches = nn.functional.unfold(images, PATCH).transpose(1, 2).flatten(0, 1).double()
        variances, axes = torch.linalg.eigh(patches.T @ patches / len(patches))
        filters = (axes / (variances + SMALLEST_VARIANCE).sqrt()).T.flip(0)
        (weight,) = self.stem.parameters()
        weight.copy_(torch.cat([filters, -filters]).reshape(weight.shape))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map images (n, C, H, W) to logits (n, classes)."""
        x = self.stem(x)
        for block in self.blocks.values():
            x = block(x)
        return self.head(x.mean((2, 3)))  # type: ignore[no-any-return]


@model_factory(EARLY_RESNET)
def early_resnet(channels: int, classes: int, width: int = 64, depth: int = 2) -> EarlyResNet:
    """Make an `EarlyResNet`."""
    return EarlyResNet(channels, classes, width, depth)
