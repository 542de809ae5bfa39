"""Networks as other people write them, tiny, registered by decorator; tests cross them with class counts and sizes.

``NETWORKS[name](classes, height, width)`` returns one as a classifier. A worker process finds the factories when
``TELLTALE_MODELS`` names this module.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import torch
from torch import nn
from torch.nn import functional

import telltale
from telltale.models.classifier import Classifier
from telltale.models.spec import small_resnet_spec
from telltale.models.weights import make_classifier

CLASSES = (3, 1000)
SIZES = ((32, 32), (96, 128), (224, 224))
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class FunctionalRelu(nn.Module):
    """Pre-activation blocks x + conv(relu(x)): no rectifier is a module, and the shortcut reads what they read."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.head = nn.Linear(8, classes)  # declared first, run last
        self.blocks = nn.ModuleList(nn.Conv2d(8, 8, 3, padding=1) for _ in range(3))
        self.stem = nn.Conv2d(3, 8, 3, stride=4, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        for block in self.blocks:
            x = x + block(functional.relu(x))
        return self.head(torch.relu(x).mean((2, 3)))


class InvertedResidual(nn.Module):
    """Widen, filter each channel, narrow; ReLU6 in place, a shortcut around it."""

    def __init__(self, width: int, out: int, stride: int) -> None:
        super().__init__()
        self.shortcut = stride == 1 and width == out
        self.layers = nn.Sequential(
            nn.Conv2d(width, 3 * width, 1, bias=False),
            nn.BatchNorm2d(3 * width),
            nn.ReLU6(inplace=True),
            nn.Conv2d(3 * width, 3 * width, 3, stride, 1, groups=3 * width, bias=False),
            nn.BatchNorm2d(3 * width),
            nn.ReLU6(inplace=True),
            nn.Conv2d(3 * width, out, 1, bias=False),
            nn.BatchNorm2d(out),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.layers(x) if self.shortcut else self.layers(x)


class InvertedResiduals(nn.Module):
    def __init__(self, classes: int) -> None:
        super().__init__()
        stem = nn.Sequential(nn.Conv2d(3, 6, 3, 4, 1, bias=False), nn.BatchNorm2d(6), nn.ReLU6(inplace=True))
        blocks = (InvertedResidual(6, 6, 1), InvertedResidual(6, 10, 2), InvertedResidual(10, 10, 1))
        self.features = nn.Sequential(stem, *blocks, nn.Sequential(nn.Conv2d(10, 12, 1), nn.ReLU6(inplace=True)))
        self.classifier = nn.Sequential(nn.Dropout(0.5), nn.Linear(12, classes))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = functional.adaptive_avg_pool2d(self.features(x), 1)
        return self.classifier(torch.flatten(x, 1))


class EncoderBlock(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = nn.MultiheadAttention(width, 2, batch_first=True)
        self.mlp = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.norm1(x)
        x = x + self.attention(y, y, y, need_weights=False)[0]
        return x + self.mlp(self.norm2(x))


class Tokens(nn.Module):
    """A vision transformer: patches, a class token in front of them, which alone is read at the end."""

    def __init__(self, classes: int, height: int, width: int, patch: int, depth: int = 4) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 8, patch, patch)
        self.class_token = nn.Parameter(torch.randn(1, 1, 8))
        self.positions = nn.Parameter(torch.randn(1, 1 + (height // patch) * (width // patch), 8))
        self.encoder = nn.ModuleList(EncoderBlock(8) for _ in range(depth))
        self.norm, self.head = nn.LayerNorm(8), nn.Linear(8, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.class_token.expand(len(x), -1, -1), x], 1) + self.positions
        for block in self.encoder:
            x = block(x)
        return self.head(self.norm(x)[:, 0])


class TwoHeads(nn.Module):
    """Returns logits of two tasks; the one that is wanted stands first."""

    def __init__(self, classes: int, others: int = 7) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 6, 3, 4, 1), nn.ReLU(inplace=True), nn.Conv2d(6, 9, 3, 2, 1), nn.ReLU())
        self.wanted, self.other = nn.Linear(9, classes), nn.Linear(9, others)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        hidden = self.body(x).mean((2, 3))
        other = self.other(hidden)
        return self.wanted(hidden), other


class ChannelsLastBlock(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm, self.wide, self.narrow = (
            nn.LayerNorm(width),
            nn.Linear(width, 2 * width),
            nn.Linear(2 * width, width),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.narrow(functional.silu(self.wide(self.norm(x))))


class ChannelsLast(nn.Module):
    """Blocks on (n, H, W, d), where an axis of places is as long as that of channels at 32 x 32 pixels."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 8, 4, 4)
        self.blocks = nn.Sequential(*(ChannelsLastBlock(8) for _ in range(3)))
        self.norm, self.head = nn.LayerNorm(8), nn.Linear(8, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.blocks(self.patches(x).permute(0, 2, 3, 1))
        return self.head(self.norm(x.mean((1, 2))))


@telltale.model_factory
def functional_relu(classes: int) -> nn.Module:
    return FunctionalRelu(classes)


@telltale.model_factory
def inverted_residuals(classes: int) -> nn.Module:
    return InvertedResiduals(classes)


@telltale.model_factory
def tokens(classes: int, height: int, width: int, patch: int) -> nn.Module:
    return Tokens(classes, height, width, patch)


@telltale.model_factory
def two_heads(classes: int) -> nn.Module:
    return TwoHeads(classes)


@telltale.model_factory
def channels_last(classes: int) -> nn.Module:
    return ChannelsLast(classes)


def _photographs() -> telltale.Preprocess:
    return telltale.Preprocess(mean=MEAN, std=STD)


NETWORKS: dict[str, Callable[[int, int, int], Classifier]] = {
    "small_resnet": lambda classes, height, width: make_classifier(
        small_resnet_spec(3, height, width, classes, base_width=4, depth=1), 0.4, 0.3
    ),
    "functional_relu": lambda classes, height, width: telltale.wrap(
        functional_relu(classes), classes=classes, size=(height, width), preprocess=_photographs()
    ),
    "inverted_residuals": lambda classes, height, width: telltale.wrap(
        inverted_residuals(classes), classes=classes, size=(height, width), preprocess=_photographs()
    ),
    "tokens": lambda classes, height, width: telltale.wrap(
        tokens(classes, height, width, 8 if height == 32 else 32), classes=classes, size=(height, width)
    ),
    "two_heads": lambda classes, height, width: telltale.wrap(
        two_heads(classes), classes=classes, size=(height, width), head="wanted"
    ),
    "channels_last": lambda classes, height, width: telltale.wrap(
        channels_last(classes), classes=classes, size=(height, width)
    ),
}


@cache
def foreign(name: str, classes: int, height: int, width: int) -> Classifier:
    """Return a network of the matrix as a classifier, with weights drawn from a fixed seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        classifier = NETWORKS[name](classes, height, width)
    for module in classifier.modules():
        if isinstance(module, nn.BatchNorm2d):
            with torch.no_grad():
                module.running_mean.fill_(0.1)
                module.running_var.fill_(0.3)
    return classifier
