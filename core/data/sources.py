"""Where image sets come from: the built-in digits, a folder, or a data set on the Hugging Face hub."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from core.data.image_set import ImageSet
from core.errors import InputError
from core.uploads import to_grey_or_colour

DATA_VARIABLE = "TELLTALE_DATA"
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
_SPLITS = ("train", "validation", "test")
_IMAGE_COLUMNS = ("image", "img")
_LABEL_COLUMNS = ("label", "fine_label")

# Data sets and features of the `datasets` library, which ships no types.
HubData: TypeAlias = Any


@dataclass(frozen=True)
class KnownSource:
    """A data set with a short name.

    Attributes
    ----------
    hub_id : str
    image, label : str
        Its columns.
    configuration : str, optional
        Which of the hub data set's configurations is meant.
    """

    hub_id: str
    image: str = "image"
    label: str = "label"
    configuration: str | None = None


KNOWN_SOURCES = {
    "cifar10": KnownSource("uoft-cs/cifar10", image="img"),
    "cifar100": KnownSource("uoft-cs/cifar100", image="img", label="fine_label"),
    "mnist": KnownSource("ylecun/mnist"),
    "fashion_mnist": KnownSource("zalando-datasets/fashion_mnist"),
    "svhn": KnownSource("ufldl-stanford/svhn", configuration="cropped_digits"),
}


def load_image_set(source: str, download: bool = True) -> ImageSet:
    """Load a labelled image set into memory.

    The splits train, validation and test, as far as present, follow one another in that order, so that an image's id
    is the same on every machine; other splits are left out unless there are only others.

    Parameters
    ----------
    source : str
        ``"digits"``, a key of `KNOWN_SOURCES`, a folder (of parquet files, or with one folder of images per class),
        or a hub id ``owner/name``. Short names and relative folders are also looked for in the folders listed in the
        environment variable ``TELLTALE_DATA``.
    download : bool
        Whether the hub may be asked. Otherwise only folders and what was downloaded before are read.

    Returns
    -------
    ImageSet
        Grey where every image is grey, otherwise RGB.

    Raises
    ------
    InputError
        If the folder does not exist, the hub cannot be reached, no column holds images or labels, images differ in
        size or cannot be decoded, or an image has no label.
    """
    if source == "digits":
        # Here and not above: it brings scikit-learn and scikit-image, a second that readers of bundles need not wait.
        from core.data import digits

        return digits.load()
    known = KNOWN_SOURCES.get(source)
    folder = _find_folder(source)
    if folder is not None:
        return _read(_load_splits(str(folder), None, source, download=False), source, known)
    if known is not None:
        return _read(_load_splits(known.hub_id, known.configuration, source, download), source, known)
    if not _HUB_ID.fullmatch(source):
        names = ", ".join(["digits", *KNOWN_SOURCES])
        raise InputError(f"There is no data set or folder '{source}'; use {names}, a folder, or a hub id owner/name.")
    return _read(_load_splits(source, None, source, download), source, None)


def _find_folder(source: str) -> Path | None:
    folders = [Path(place) / source for place in os.environ.get(DATA_VARIABLE, "").split(os.pathsep) if place]
    if source not in KNOWN_SOURCES:
        folders.insert(0, Path(source).expanduser())
    return next((folder for folder in folders if folder.is_dir()), None)


def _load_splits(place: str, configuration: str | None, source: str, download: bool) -> dict[str, HubData]:
    import datasets

    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
    datasets.utils.logging.set_verbosity_error()
    datasets.utils.logging.disable_progress_bar()
    try:
        with _hub_access(download):
            splits = datasets.load_dataset(place, configuration)
    except Exception as error:
        # The library lets errors of its HTTP client, of parquet and of its own through; all mean the same here.
        raise InputError(_cannot_load(source, place, download)) from error
    named = {name: splits[name] for name in _SPLITS if name in splits}
    return named or dict(splits)


def _cannot_load(source: str, place: str, download: bool) -> str:
    if Path(place).is_dir():
        return f"The folder '{source}' holds no readable data set: parquet files, or one folder of images per class."
    if not download:
        return f"The data set '{source}' was not downloaded before."
    return f"The data set '{source}' could not be fetched: the hub cannot be reached or has no such data set."


@contextmanager
def _hub_access(allowed: bool) -> Iterator[None]:
    """Forbid the network to the hub's clients for a while; they offer no per-call switch."""
    import datasets
    import huggingface_hub.constants as hub

    before = (datasets.config.HF_HUB_OFFLINE, hub.HF_HUB_OFFLINE)
    if not allowed:
        datasets.config.HF_HUB_OFFLINE = hub.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        datasets.config.HF_HUB_OFFLINE, hub.HF_HUB_OFFLINE = before


def _read(splits: dict[str, HubData], source: str, known: KnownSource | None) -> ImageSet:
    features = next(iter(splits.values())).features
    image = _image_column(features, source, known)
    label = _label_column(features, source, known)
    images: list[npt.NDArray[np.uint8]] = []
    labels: list[Any] = []
    for split in splits.values():
        for batch in _batches(split, image, label, source):
            for picture in batch[image]:
                images.append(_to_array(picture, images, source))
            labels += batch[label]
    classes, class_names = _number_labels(labels, features[label], source)
    own_test = len(splits["test"]) if {"train", "test"} <= set(splits) else 0
    return ImageSet(Path(source).name, _stack(images), classes, class_names, own_test)


def _batches(split: HubData, image: str, label: str, source: str) -> Iterator[dict[str, list[Any]]]:
    import datasets

    try:
        yield from split.select_columns([image, label]).cast_column(image, datasets.Image()).iter(500)
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"An image of '{source}' cannot be decoded.") from error


def _image_column(features: HubData, source: str, known: KnownSource | None) -> str:
    import datasets

    typed: list[str] = [name for name, feature in features.items() if isinstance(feature, datasets.Image)]
    preferred = (known.image,) if known else _IMAGE_COLUMNS
    choices = [name for name in preferred if name in features] + typed
    if not choices:
        raise InputError(f"No column of '{source}' holds images; it has {', '.join(features)}.")
    return choices[0]


def _label_column(features: HubData, source: str, known: KnownSource | None) -> str:
    import datasets

    typed: list[str] = [name for name, feature in features.items() if isinstance(feature, datasets.ClassLabel)]
    preferred = (known.label,) if known else _LABEL_COLUMNS
    choices = [name for name in preferred if name in features] + typed
    if not choices:
        raise InputError(f"No column of '{source}' holds class labels; it has {', '.join(features)}.")
    return choices[0]


def _to_array(picture: Any, others: list[npt.NDArray[np.uint8]], source: str) -> npt.NDArray[np.uint8]:
    """8-bit pixels of one image, shape (1 or 3, H, W); of the same size as the others."""
    if picture is None:
        raise InputError(f"Image {len(others)} of '{source}' is missing.")
    pixels = np.atleast_3d(np.asarray(to_grey_or_colour(picture), dtype=np.uint8)).transpose(2, 0, 1)
    if others and pixels.shape[1:] != others[0].shape[1:]:
        first, other = others[0].shape[:0:-1], pixels.shape[:0:-1]
        raise InputError(
            f"The images of '{source}' differ in size ({first[0]}×{first[1]} and {other[0]}×{other[1]}); "
            "bring them to one size first."
        )
    return pixels


def _stack(images: list[npt.NDArray[np.uint8]]) -> npt.NDArray[np.uint8]:
    channels = max(len(pixels) for pixels in images)
    return np.stack([np.broadcast_to(pixels, (channels, *pixels.shape[1:])) for pixels in images])


def _number_labels(labels: list[Any], feature: HubData, source: str) -> tuple[npt.NDArray[np.int64], tuple[str, ...]]:
    """Class of every image as an index into the class names."""
    if not all(isinstance(label, int | str) for label in labels):
        raise InputError(f"Every image of '{source}' needs a class label, a number or a name.")
    names = getattr(feature, "names", None)
    if names is not None:
        classes = np.array(labels, dtype=np.int64)
        if (classes < 0).any():
            raise InputError(f"{(classes < 0).sum()} images of '{source}' have no class label.")
        return classes, tuple(names)
    values = sorted(set(labels), key=lambda value: (str(type(value)), value))
    index = {value: i for i, value in enumerate(values)}
    return np.array([index[label] for label in labels], dtype=np.int64), tuple(str(value) for value in values)
