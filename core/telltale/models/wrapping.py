"""`wrap`: any network that maps pixels to logits becomes a `Classifier`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from telltale.base.errors import InputError
from telltale.models.anatomy import Anatomy, look_at
from telltale.models.behaviour import check_behaviour
from telltale.models.choosing import Subject, Wanted, find_layers
from telltale.models.classifier import Classifier, Plan
from telltale.models.compute import best_device
from telltale.models.heads import find_ending
from telltale.models.preprocess import Preprocess

IMAGES = 2  # of the pass that shows a network's layers
COMMON_CHANNELS = (3, 1, 4)


def wrap(
    module: nn.Module,
    *,
    classes: int | Sequence[str] | None,
    size: int | tuple[int, int],
    preprocess: Preprocess | None = None,
    layers: Wanted = None,
    head: str | None = None,
    channels: int | None = None,
    twin: Classifier | None = None,
) -> Classifier:
    """Turn any network that maps pixels to logits into a classifier that can be attacked, traced and watched.

    The network is put into evaluation mode and moved to CUDA where there is one; it is not copied. One pass through
    two random images shows which modules run, in which order, and where the logits come from.

    Parameters
    ----------
    module : nn.Module
        Maps a float32 tensor (n, C, height, width) to logits (n, classes).
    classes : int, sequence of str or None
        Number of classes, at least 2, or their names in the order of the logits; None for as many as there are logits.
    size : int or (height, width)
        Of the images it takes, after resizing and cropping.
    preprocess : Preprocess, optional
        Without one the network is given pixels in [0, 1] as they are.
    layers : sequence or mapping, optional
        Layers to trace: ``"module"`` for its output, ``"module:2"`` for that of its second call, ``"module:input"``,
        or a `telltale.models.layers.Layer`, which can also say where its channels are; a mapping gives them other
        names. Without them a handful is chosen: the outputs of blocks or, where there are many, the ends of stages.
        The input of the head always ends the list.
    head : str, optional
        Of a network that returns several tensors, in a tuple or dictionary: the module whose output are the logits.
    channels : int, optional
        Of the images; found by trying where left out.
    twin : Classifier, optional
        A second network for the same images and classes that was trained independently; its doubt is evidence.

    Returns
    -------
    Classifier

    Raises
    ------
    InputError
        If the network does not take such images, does not return one logit per class, or has no such layer or head.

    Examples
    --------
    >>> import telltale, torch
    >>> from torch import nn
    >>> network = nn.Sequential(
    ...     nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
    ...     nn.Linear(8, 5),
    ... )
    >>> classifier = telltale.wrap(network, classes=5, size=(12, 16), preprocess=telltale.Preprocess(mean=0.5, std=0.2))
    >>> classifier.layers
    ('1', '3')
    >>> classifier.input_shape, classifier.head.weights.shape
    ((3, 12, 16), (5, 8))
    >>> images = torch.rand(2, 3, 12, 16)
    >>> bool(torch.allclose(classifier.logits(images), network((images - 0.5) / 0.2), atol=1e-5))
    True
    >>> [activations.shape for activations in classifier.trace(images.numpy()).activations]
    [(2, 4), (2, 8)]
    """
    if not isinstance(module, nn.Module):
        raise InputError(f"wrap takes a torch.nn.Module. Got {type(module).__name__} instead.")
    names, count = _names(classes)
    declared = preprocess or Preprocess()
    height, width = _size(size, declared)
    network = module.eval().to(best_device())
    images, anatomy = _first_pass(network, (height, width), declared, channels)
    ending = find_ending(anatomy, head, count)
    check_behaviour(network, _normalised(images, declared), ending)

    def enlarged() -> Anatomy | None:
        try:
            larger = _random_images(images.shape[1], 2 * height, 3 * width)
            return look_at(network, _normalised(larger.to(images.device), declared))
        except Exception:  # whatever a network says about images that are not its own
            return None

    found = find_layers(Subject(network, anatomy, ending, enlarged), layers)
    linear = None if ending.call is None else ending.call.path
    shape, count = (images.shape[1], height, width), ending.logits.shape[1]
    given = anatomy.root.given
    written = given is not None and given._version > anatomy.root.given_version
    plan = Plan(shape, count, found, ending.key, linear, ending.problem, head, written, names)
    classifier = Classifier(network, plan, declared)
    return classifier if twin is None else classifier.take_twin(twin)


def _names(classes: object) -> tuple[tuple[str, ...] | None, int | None]:
    """Return the names of the classes, where they are given, and how many there are, if that is said."""
    if classes is None:
        return None, None
    if isinstance(classes, int | np.integer) and not isinstance(classes, bool) and classes >= 2:
        return None, int(classes)
    if isinstance(classes, list | tuple) and len(classes) >= 2 and all(isinstance(name, str) for name in classes):
        if len(set(classes)) < len(classes):
            raise InputError("Two classes have the same name; name each differently.")
        return tuple(classes), len(classes)
    raise InputError(f"classes must be an integer of at least 2, or at least 2 names. Got {classes!r} instead.")


def _size(size: object, preprocess: Preprocess) -> tuple[int, int]:
    sides = size if isinstance(size, tuple | list) else (size, size)
    whole = all(isinstance(side, int | np.integer) and not isinstance(side, bool) and side > 0 for side in sides)
    if len(sides) != 2 or not whole:
        raise InputError(f"size must be a number of pixels or (height, width). Got {size!r} instead.")
    expected = int(sides[0]), int(sides[1])
    crop = preprocess.crop
    if crop is not None and expected != ((crop, crop) if isinstance(crop, int) else crop):
        raise InputError(f"Pictures are cropped to {crop!r}, but size is {size!r}; the network takes what is cropped.")
    return expected


def _first_pass(
    network: nn.Module, size: tuple[int, int], preprocess: Preprocess, channels: int | None
) -> tuple[torch.Tensor, Anatomy]:
    """Look at the network with the first number of channels that it takes."""
    problems: list[tuple[int, Exception]] = []
    for count in [channels] if channels is not None else _possible_channels(network, preprocess):
        images = _random_images(count, *size).to(best_device())
        try:
            return images, look_at(network, _normalised(images, preprocess))
        except Exception as error:  # whatever the network raises about images of another shape
            problems.append((count, error))
    count, problem = problems[0]
    said = f"{type(problem).__name__}: {problem}"
    raise InputError(f"The network does not take images of shape {(IMAGES, count, *size)}: {said}") from problem


def _possible_channels(network: nn.Module, preprocess: Preprocess) -> list[int]:
    if preprocess.channels is not None:
        return [preprocess.channels]
    convolutions = [m.in_channels for m in network.modules() if isinstance(m, nn.modules.conv._ConvNd)]
    likely = [count for count in convolutions[:1] if count in COMMON_CHANNELS]
    return list(dict.fromkeys([*likely, *COMMON_CHANNELS, *convolutions[:1]]))


def _random_images(channels: int, height: int, width: int) -> torch.Tensor:
    """Draw images without touching the global generator."""
    return torch.rand((IMAGES, channels, height, width), generator=torch.Generator().manual_seed(0))


def _normalised(images: torch.Tensor, preprocess: Preprocess) -> torch.Tensor:
    for name, change in (("mean", torch.sub), ("std", torch.div)):
        value = getattr(preprocess, name)
        if value is not None:
            numbers = torch.tensor(value, device=images.device)
            images = change(images, numbers if numbers.ndim == 0 else numbers[:, None, None])
    return images
