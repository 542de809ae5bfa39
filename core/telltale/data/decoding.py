"""From a loaded table of encoded images and labels to one array of pixels and one of classes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from telltale.base.errors import InputError
from telltale.data.image_set import ImageSet
from telltale.data.uploads import to_grey_or_colour

IMAGE_COLUMNS = ("image", "img")
LABEL_COLUMNS = ("label", "fine_label")

# Data sets and features of the `datasets` library, which ships no types.
HubData: TypeAlias = Any


def decode(
    splits: dict[str, HubData],
    name: str,
    source: str,
    image_columns: Sequence[str] = IMAGE_COLUMNS,
    label_columns: Sequence[str] = LABEL_COLUMNS,
) -> ImageSet:
    """Decode every image of some splits, one split after the other.

    Parameters
    ----------
    splits : dict of str to datasets.Dataset
        A split ``test`` beside a split ``train`` becomes the image set's own test split and must come last.
    name, source : str
        Of the image set, and as messages call it.
    image_columns, label_columns : sequence of str
        Columns to prefer over others of a fitting type.

    Raises
    ------
    InputError
        If no column holds images or labels, images differ in size or cannot be decoded, or an image has no label.
    """
    features = next(iter(splits.values())).features
    image = _column(features, image_columns, "Image", "images", source)
    label = _column(features, label_columns, "ClassLabel", "class labels", source)
    images: list[npt.NDArray[np.uint8]] = []
    labels: list[Any] = []
    for split in splits.values():
        for batch in _batches(split, image, label, source):
            for picture in batch[image]:
                images.append(_to_array(picture, images, source))
            labels += batch[label]
    classes, class_names = _number_labels(labels, features[label], source)
    own_test = len(splits["test"]) if {"train", "test"} <= set(splits) else 0
    return ImageSet(name, _stack(images), classes, class_names, own_test)


def _column(features: HubData, preferred: Sequence[str], kind: str, what: str, source: str) -> str:
    """Return the first of the preferred columns, or else the first whose feature is of a kind."""
    import datasets

    typed: list[str] = [name for name, feature in features.items() if isinstance(feature, getattr(datasets, kind))]
    choices = [name for name in preferred if name in features] + typed
    if not choices:
        raise InputError(f"No column of '{source}' holds {what}; it has {', '.join(features)}.")
    return choices[0]


def _batches(split: HubData, image: str, label: str, source: str) -> Iterator[dict[str, list[Any]]]:
    import datasets

    try:
        yield from split.select_columns([image, label]).cast_column(image, datasets.Image()).iter(500)
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"An image of '{source}' cannot be decoded.") from error


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
