"""The small residual network of the recipes."""

from __future__ import annotations

import torch
from torch import nn

from telltale.models.factories import model_factory
from telltale.models.spec import SMALL_RESNET


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with batch normalisation around a shortcut (He et al. 2016).

    Parameters
    ----------
    channels_in, channels_out : int
    stride : int
        Stride of the first convolution and, where shapes differ, of the 1x1 shortcut.
    """

    def __init__(self, channels_in: int, channels_out: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels_out, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(channels_out)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(channels_out, channels_out, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(channels_out)
        self.relu2 = nn.ReLU()
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or channels_in != channels_out:
            self.shortcut = nn.Sequential(
                nn.Conv2d(channels_in, channels_out, 1, stride, bias=False), nn.BatchNorm2d(channels_out)
            )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (n, channels_in, H, W) to (n, channels_out, H / stride, W / stride)."""
        y = self.relu1(self.norm1(self.conv1(x)))
        return self.relu2(self.norm2(self.conv2(y)) + self.shortcut(x))  # type: ignore[no-any-return]


class SmallResNet(nn.Module):
    """CIFAR-style residual network: a stem and three stages of `depth` blocks at widths w, 2w, 4w.

    Parameters
    ----------
    channels : int
        Image channels.
    classes : int
    width : int
        Channels of the first stage.
    depth : int
        Blocks per stage; ``depth=3, width=16`` is the ResNet-20 of He et al. (2016).
    """

    def __init__(self, channels: int, classes: int, width: int = 16, depth: int = 3) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(channels, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU())
        widths = (width, 2 * width, 4 * width)
        blocks: dict[str, nn.Module] = {}
        previous = width
        for stage, out in enumerate(widths, start=1):
            for index in range(1, depth + 1):
                stride = 2 if stage > 1 and index == 1 else 1
                blocks[f"stage{stage}_block{index}"] = ResidualBlock(previous, out, stride)
                previous = out
        self.blocks = nn.ModuleDict(blocks)
        self.head = nn.Linear(previous, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map images (n, C, H, W) to logits (n, classes)."""
        x = self.stem(x)
        for block in self.blocks.values():
            x = block(x)
        return self.head(x.mean((2, 3)))  # type: ignore[no-any-return]


@model_factory(SMALL_RESNET)
def small_resnet(channels: int, classes: int, width: int = 16, depth: int = 3) -> SmallResNet:
    """Make a `SmallResNet`."""
    return SmallResNet(channels, classes, width, depth)
