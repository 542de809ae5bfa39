"""Accuracy with the stated preprocessing beside accuracy with the mistakes that people make most."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from scipy.optimize import linear_sum_assignment
from scipy.stats import binom

from telltale.base.images import to_floats
from telltale.building.inspecting.pictures import Pixels
from telltale.models.classifier import Classifier
from telltale.models.heads import pick
from telltale.models.preprocess import Preprocess

STATED = "stated"
AT_ONCE = 16  # pictures
SIGNIFICANT = 0.01  # of all comparisons together
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
BYTE = 255.0

Predictions = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Alternative:
    """Another way of giving pictures to the network.

    Attributes
    ----------
    name, words : str
    preprocess : Preprocess
        Its sizes are applied to the pictures, its mean and standard deviation to the pixels.
    scale : float
        That pixels in [0, 1] are multiplied by first.
    swapped : bool
        Whether red and blue change places.
    """

    name: str
    words: str
    preprocess: Preprocess
    scale: float = 1.0
    swapped: bool = False


@dataclass(frozen=True)
class Accuracy:
    """How often the network is right when pictures are given to it in one way.

    Attributes
    ----------
    name, words : str
        Of the alternative.
    accuracy : float
    p_value : float or None
        Of the exact one-sided sign test on the pictures that it and the stated way read differently (McNemar 1947):
        small where the alternative is better. None for the stated way.
    same : bool
        Whether it gives the network the same numbers as the stated way.
    better : bool
        Whether it is better beyond chance, all alternatives considered (Bonferroni).
    """

    name: str
    words: str
    accuracy: float
    p_value: float | None = None
    same: bool = False
    better: bool = False


def alternatives(stated: Preprocess, shape: tuple[int, int, int]) -> list[Alternative]:
    """Return the stated way and the usual mistakes, for images of a shape (C, H, W)."""
    channels, *size = shape
    height, width = size
    plain = replace(stated, mean=None, std=None)
    shorter = max(height, width)
    wider = shorter * 8 // 7
    found = [
        Alternative(STATED, "as stated", stated),
        Alternative("swapped", "red and blue swapped (BGR)", stated, swapped=True),
        Alternative("bytes", "pixels from 0 to 255, then as stated", stated, scale=BYTE),
        Alternative("raw_bytes", "pixels from 0 to 255, without normalisation", plain, scale=BYTE),
        Alternative("unnormalised", "pixels from 0 to 1, without normalisation", plain),
        Alternative("centred", "pixels from -1 to 1", replace(stated, mean=0.5, std=0.5)),
        Alternative("imagenet", "ImageNet's mean and standard deviation", _of_imagenet(stated)),
        Alternative("squashed", "squashed to the size", replace(stated, resize=(height, width), crop=None)),
        Alternative("cropped", "resized and cropped", replace(stated, resize=shorter, crop=(height, width))),
        Alternative("margin", "resized to 8/7, then cropped", replace(stated, resize=wider, crop=(height, width))),
    ]
    return [one for one in found if channels == 3 or not (one.swapped or one.name == "imagenet")]


def compare_preprocessing(
    classifier: Classifier, pictures: Sequence[Pixels], targets: Predictions
) -> tuple[list[Accuracy], Predictions]:
    """Read pictures in every way and compare each with the stated one.

    Parameters
    ----------
    classifier : Classifier
    pictures : sequence of array of uint8, shape (C, H, W)
    targets : array of int64, shape (n,)
        Output that is right for each.

    Returns
    -------
    list of Accuracy
        The stated way first.
    array of int64, shape (n,)
        Predictions in the stated way.
    """
    ways = alternatives(classifier.preprocess, classifier.input_shape)
    predictions, same = _read_all(classifier, pictures, ways)
    right = predictions == targets
    compared = max(1, sum(not one for one in same))
    found = [Accuracy(STATED, ways[0].words, float(right[0].mean()))]
    for way, correct, equal in list(zip(ways, right, same, strict=True))[1:]:
        p = 1.0 if equal else sign_test(correct & ~right[0], right[0] & ~correct)
        better = p * compared < SIGNIFICANT
        found.append(Accuracy(way.name, way.words, float(correct.mean()), p, equal, better))
    return found, predictions[0]


def sign_test(wins: npt.NDArray[np.bool_], losses: npt.NDArray[np.bool_]) -> float:
    """Return the chance of at least so many wins among wins and losses if both were as likely."""
    won = int(wins.sum())
    return float(binom.sf(won - 1, won + int(losses.sum()), 0.5))


@dataclass(frozen=True)
class Reordering:
    """Class names in an order that fits the predictions better.

    Attributes
    ----------
    pairs : tuple of (int, int)
        Output that a class is named to be, and output that it is mostly read as.
    before, after : float
        Accuracy with both, on pictures from which the order was not learned.
    """

    pairs: tuple[tuple[int, int], ...]
    before: float
    after: float


def find_reordering(predictions: Predictions, targets: Predictions, classes: int) -> Reordering | None:
    """Look for another order of the class names, learned from half of the pictures and tried on the rest.

    Parameters
    ----------
    predictions, targets : array of int64, shape (n,)
    classes : int

    Returns
    -------
    Reordering or None
        None unless it is better beyond chance.
    """
    learned = np.zeros(len(targets), dtype=bool)
    for target in np.unique(targets):
        learned[np.flatnonzero(targets == target)[::2]] = True
    wanted = np.unique(targets)
    counts = np.zeros((len(wanted), classes))
    np.add.at(counts, (np.searchsorted(wanted, targets[learned]), predictions[learned]), 1)
    counts[np.arange(len(wanted)), wanted] += 0.5  # where nothing speaks against it a name stays
    rows, outputs = linear_sum_assignment(counts, maximize=True)
    other = dict(zip(wanted[rows].tolist(), outputs.tolist(), strict=True))
    rest = ~learned
    mapped = np.array([other[int(target)] for target in targets[rest]], dtype=np.int64)
    before, after = predictions[rest] == targets[rest], predictions[rest] == mapped
    if sign_test(after & ~before, before & ~after) >= SIGNIFICANT:
        return None
    pairs = tuple((int(a), int(b)) for a, b in other.items() if a != b)
    return Reordering(pairs, float(before.mean()), float(after.mean()))


def _of_imagenet(stated: Preprocess) -> Preprocess:
    return replace(stated, mean=IMAGENET_MEAN, std=IMAGENET_STD)


def _read_all(
    classifier: Classifier, pictures: Sequence[Pixels], ways: Sequence[Alternative]
) -> tuple[npt.NDArray[np.int64], list[bool]]:
    """Return predictions, shape (ways, n), and which ways never differ from the first in what they give."""
    found: list[list[npt.NDArray[np.int64]]] = [[] for _ in ways]
    same = [True] * len(ways)
    for start in range(0, len(pictures), AT_ONCE):
        batch = [picture_of(pixels, classifier.input_shape[0]) for pixels in pictures[start : start + AT_ONCE]]
        first: torch.Tensor | None = None
        for place, way in enumerate(ways):
            given = _given(classifier, way, batch)
            first = given if first is None else first
            same[place] &= bool(torch.allclose(given, first, atol=1e-5))
            answer = found[0][-1] if same[place] and place else _predicted(classifier, given)
            found[place].append(answer)
    return np.stack([np.concatenate(parts) for parts in found]), same


def picture_of(pixels: Pixels, channels: int) -> npt.NDArray[np.float32]:
    """Return a picture in [0, 1] with as many channels as a network takes."""
    picture = to_floats(pixels)
    if len(picture) == channels:
        return picture
    return np.repeat(picture, channels, axis=0) if len(picture) == 1 else picture.mean(0, keepdims=True)


def _given(classifier: Classifier, way: Alternative, batch: Sequence[npt.NDArray[np.float32]]) -> torch.Tensor:
    size = classifier.input_shape[1:]
    images = torch.from_numpy(np.stack([to_size(picture, way.preprocess, size) for picture in batch]))
    images = images.flip(1) if way.swapped else images
    images = images * way.scale
    for value, change in ((way.preprocess.mean, torch.sub), (way.preprocess.std, torch.div)):
        if value is not None:
            numbers = torch.tensor(value, dtype=torch.float32)
            images = change(images, numbers if numbers.ndim == 0 else numbers[:, None, None])
    return images


def to_size(picture: npt.NDArray[np.float32], preprocess: Preprocess, size: tuple[int, ...]) -> npt.NDArray[np.float32]:
    """Bring a picture to a size: as stated, and where nothing is stated by squashing."""
    sized = preprocess.to_size(picture)
    if sized.shape[1:] == tuple(size):
        return sized
    return Preprocess(resize=(size[0], size[1]), interpolation=preprocess.interpolation).to_size(sized)


def _predicted(classifier: Classifier, given: torch.Tensor) -> npt.NDArray[np.int64]:
    with torch.inference_mode():
        logits = pick(classifier.network(given.to(classifier.device)), classifier.plan.key)
    return logits.argmax(1).cpu().numpy().astype(np.int64)
