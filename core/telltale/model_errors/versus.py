"""Two models on the same images: what each answers, and where they disagree.

Where both were built on the same data, their stored scores say it, without models and images. Where only classes and
the shape of images are the same, the second model reads what the first one holds out; whether it has learned from these
images nobody knows here, which `TwoAnswers.new_to_both` says.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy.stats import binomtest

from telltale.base.errors import InputError
from telltale.base.progress import Progress
from telltale.model_errors.evaluated import evaluated_images
from telltale.scores.rates import Rate

if TYPE_CHECKING:
    from telltale.analysis.opened import LoadedBundle
    from telltale.bundle import Bundle

Rows = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

IMAGES_AT_ONCE = 256
BOTH, ONLY_FIRST, ONLY_SECOND, NEITHER = "both", "only first", "only second", "neither"


@dataclass(frozen=True)
class TwoAnswers:
    """What two models make of the same n images.

    Attributes
    ----------
    first_name, second_name : str
        Of the two bundles.
    ids, labels : array of int64, shape (n,)
        Data-set ids of natural images that the first model holds out, and their true classes.
    splits : array of str, shape (n,)
        Split of each in the first bundle.
    first, second : array of int64, shape (n,)
        Classes that the models read.
    new_to_both : bool
        Whether the second model is known not to have learned from these images either.
    labelled : bool
        Whether `labels` are the images' own; otherwise they are what the first model reads, and tell nothing.
    """

    first_name: str
    second_name: str
    ids: Rows
    labels: Rows
    splits: npt.NDArray[np.str_]
    first: Rows
    second: Rows
    new_to_both: bool
    labelled: bool = True

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def differ(self) -> Mask:
        """Where the two answers differ, shape (n,)."""
        return np.asarray(self.first != self.second)

    @property
    def right(self) -> Mapping[str, Mask]:
        """Images that both, only the first, only the second and neither model reads correctly."""
        first, second = self.first == self.labels, self.second == self.labels
        return {
            BOTH: first & second,
            ONLY_FIRST: first & ~second,
            ONLY_SECOND: ~first & second,
            NEITHER: ~first & ~second,
        }

    @property
    def p_value(self) -> float:
        """Whether one is right more often: McNemar's exact test of the images that only one reads correctly."""
        first, second = (int(self.right[name].sum()) for name in (ONLY_FIRST, ONLY_SECOND))
        return float(binomtest(first, first + second).pvalue) if first + second else 1.0

    def confusion(self, classes: int) -> Rows:
        """Count images by the first model's answer (row) and the second's (column), shape (C, C)."""
        cells = np.bincount(self.first * classes + self.second, minlength=classes * classes)
        return np.asarray(cells.reshape(classes, classes), dtype=np.int64)

    def take(self, chosen: Mask | Rows) -> TwoAnswers:
        """Return some of the images."""
        arrays = {name: getattr(self, name)[chosen] for name in ("ids", "labels", "splits", "first", "second")}
        return replace(self, **arrays)

    def to_json(self) -> dict[str, object]:
        """Return the counts as JSON holds them."""
        return {
            "first": self.first_name,
            "second": self.second_name,
            "images": len(self),
            "disagree": Rate(int(self.differ.sum()), len(self)).to_json(),
            "right": {name: int(mask.sum()) for name, mask in self.right.items()} if self.labelled else None,
            "p_value": self.p_value if self.labelled else None,
            "new_to_both": self.new_to_both,
            **({} if self.labelled else {"labelled": False}),
        }


def check_comparable(first: Bundle, second: Bundle) -> None:
    """Refuse two bundles that cannot be put side by side.

    Raises
    ------
    InputError
        If they are one and the same, or differ in classes or the shape of images.
    """
    if first.id == second.id:
        raise InputError(f"'{first.name}' is compared with itself; name another model.")
    if first.class_names != second.class_names or first.image_shape != second.image_shape:
        raise InputError(f"'{first.name}' and '{second.name}' do not know the same classes of images of one shape.")


def same_data(first: Bundle, second: Bundle) -> bool:
    """Return whether two bundles were built on the same images, by fingerprint."""
    return first.manifest.data.fingerprint == second.manifest.data.fingerprint


def two_answers(
    first: Bundle, second: Bundle, checkpoint: Progress, opened: Callable[[], LoadedBundle] | None = None
) -> TwoAnswers:
    """Return what two models read on natural images that the first one holds out.

    Parameters
    ----------
    first, second : Bundle
        Of the same classes and shape of images.
    checkpoint : callable
        Told the done share and what is being done; may raise to stop.
    opened : callable, optional
        Returns the second with its model; asked only where the data differ.

    Raises
    ------
    InputError
        If they cannot be compared, hold out no image in common, or images are needed and missing.
    """
    check_comparable(first, second)
    first.require_held_out()
    ours = evaluated_images(first.scores)
    if same_data(first, second):
        theirs = evaluated_images(second.scores)
        ids, rows, other_rows = np.intersect1d(ours.ids, theirs.ids, assume_unique=True, return_indices=True)
        if not len(ids):
            raise InputError(f"'{first.name}' and '{second.name}' hold out no image in common.")
        ours, read = ours.take(rows), theirs.predictions[other_rows]
    elif opened is None:
        raise InputError(f"'{first.name}' and '{second.name}' were built on different images: a model must read them.")
    else:
        read = _read(opened(), first, ours.ids, checkpoint)
    return TwoAnswers(
        first.name,
        second.name,
        ours.ids,
        ours.labels,
        ours.splits,
        ours.predictions,
        read,
        new_to_both=same_data(first, second),
        labelled=first.labelled,
    )


def _read(loaded: LoadedBundle, owner: Bundle, ids: Rows, checkpoint: Progress) -> Rows:
    images, read = owner.require_images(), np.empty(len(ids), dtype=np.int64)
    for start in range(0, len(ids), IMAGES_AT_ONCE):
        checkpoint(start / len(ids), f"reading image {start + 1:,} of {len(ids):,}")
        part = slice(start, start + IMAGES_AT_ONCE)
        read[part] = loaded.classifier.predict(images.images(ids[part]))
    return read
