"""Which image serves what: train, fit, calibration and test, drawn once per bundle, stratified by class."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array
from scipy.sparse.csgraph import maximum_flow

from telltale.base.errors import InputError

IntArray = npt.NDArray[np.int64]
SPLIT_NAMES = ("train", "fit", "calibration", "test")


@dataclass(frozen=True)
class SplitSizes:
    """How many images the held-out splits take; every other image is a training image.

    Attributes
    ----------
    fit, calibration, test : int
    """

    fit: int
    calibration: int
    test: int

    def within(self, images: int, own_test: int = 0, own_validation: int = 0) -> SplitSizes:
        """Shrink to what a data set can spare.

        Test images beyond the data's own test split are given up. Without one, test takes at most a quarter of the
        images, and all three shrink in proportion until a third is left for training. Splits that come out of the
        data's own validation split shrink in proportion to what it holds.

        Parameters
        ----------
        images, own_test, own_validation : int
            Number of images, and how many of them are the data's own test and validation splits.

        Raises
        ------
        InputError
            If a split would become empty.
        """
        if own_test:
            learned = replace(self, test=0).within(images - own_test, own_validation=own_validation)
            return replace(learned, test=min(self.test, own_test))
        if own_validation:
            return self._shrunk((self.fit, self.calibration, self.test), own_validation, images)
        limit = images * 2 // 3
        if self.fit + self.calibration + self.test <= limit:
            return self
        return self._shrunk((self.fit, self.calibration, min(self.test, images // 4)), limit, images)

    def _shrunk(self, wanted: tuple[int, int, int], limit: int, images: int) -> SplitSizes:
        """Return what is wanted, or where that is more than the limit the whole limit in proportion."""
        held_out = _in_proportion(wanted, limit) if sum(wanted) > limit else wanted
        if any(
            size == 0 < asked for size, asked in zip(held_out, (self.fit, self.calibration, self.test), strict=True)
        ):
            raise InputError(f"{images} images are too few to learn from some of them and to test on others.")
        return SplitSizes(*held_out)


@dataclass(frozen=True)
class Splits:
    """Disjoint sets of image ids.

    Attributes
    ----------
    train, fit, calibration, test : array of int64, shape (n_split,)
        Ids in ascending order.

    Raises
    ------
    InputError
        If an array is not one-dimensional int64, holds a negative or repeated id, is not in ascending order, or
        shares an id with another.
    """

    train: IntArray
    fit: IntArray
    calibration: IntArray
    test: IntArray

    def __post_init__(self) -> None:
        for name, ids in self.to_arrays().items():
            if ids.dtype != np.int64 or ids.ndim != 1:
                raise InputError(f"The ids of split '{name}' must be a list of 64-bit integers.")
            if (ids < 0).any() or (np.diff(ids) <= 0).any():
                raise InputError(f"The ids of split '{name}' must be non-negative, in ascending order and unique.")
        everything = np.concatenate(list(self.to_arrays().values()))
        if len(np.unique(everything)) != len(everything):
            raise InputError("An image may belong to one split only.")

    @classmethod
    def draw(
        cls,
        labels: npt.NDArray[np.int64],
        sizes: SplitSizes,
        seed: int,
        own_test: int = 0,
        own_validation: int = 0,
    ) -> Splits:
        """Assign every image to a split, at random under a seed.

        Where the data bring a test split of their own, test images are drawn from it alone and the others from the
        rest; images of it that are not drawn belong to no split. Where they bring a validation split, whatever else
        is held out is drawn from it alone in the same way, and the training images are the data's own.

        Parameters
        ----------
        labels : array of int64, shape (n,)
            Class of every image; an image's id is its row.
        sizes : SplitSizes
            Met exactly. Within each class the share of a split differs from its share of all images by less than
            one image.
        seed : int
        own_test : int
            How many of the last images are the data's own test split.
        own_validation : int
            How many of the images before those are the data's own validation split.

        Raises
        ------
        InputError
            If there are no labels, or the held-out sizes are negative or leave no training image.
        """
        if own_test:
            return cls._draw_around_test(labels, sizes, seed, len(labels) - own_test, own_validation)
        if own_validation:
            return cls._draw_beside_train(labels, sizes, seed, len(labels) - own_validation)
        held_out = [sizes.fit, sizes.calibration, sizes.test]
        if labels.ndim != 1 or len(labels) == 0:
            raise InputError("Splits need at least one labelled image.")
        if min(held_out) < 0 or sum(held_out) >= len(labels):
            raise InputError(
                f"The held-out splits must be non-negative and leave training images: got {held_out} of {len(labels)}."
            )
        return cls(*_spread(labels, [len(labels) - sum(held_out), *held_out], seed))

    @classmethod
    def draw_within(
        cls,
        labels: npt.NDArray[np.int64],
        sizes: SplitSizes,
        seed: int,
        own_test: int = 0,
        own_validation: int = 0,
    ) -> Splits:
        """Draw as `draw` does, with sizes that shrink to what the data can spare (`SplitSizes.within`).

        Raises
        ------
        InputError
            If the images are too few.
        """
        within = sizes.within(len(labels), own_test, own_validation)
        return cls.draw(labels, within, seed, own_test, own_validation)

    @classmethod
    def _draw_around_test(
        cls, labels: npt.NDArray[np.int64], sizes: SplitSizes, seed: int, start: int, own_validation: int
    ) -> Splits:
        if sizes.test > len(labels) - start:
            raise InputError(f"The data bring {len(labels) - start} test images; {sizes.test} were asked for.")
        others = SplitSizes(sizes.fit, sizes.calibration, 0)
        learned = cls.draw(labels[:start], others, seed, own_validation=own_validation)
        if sizes.test == len(labels) - start:
            return replace(learned, test=np.arange(start, len(labels), dtype=np.int64))
        drawn = cls.draw(labels[start:], SplitSizes(0, 0, sizes.test), seed)
        return replace(learned, test=drawn.test + start)

    @classmethod
    def _draw_beside_train(cls, labels: npt.NDArray[np.int64], sizes: SplitSizes, seed: int, start: int) -> Splits:
        held_out = [sizes.fit, sizes.calibration, sizes.test]
        spare = len(labels) - start - sum(held_out)
        if start < 1 or min(held_out) < 0 or spare < 0:
            raise InputError(
                f"The data bring {start} training images and {len(labels) - start} for validation; {held_out} of these "
                "were asked for."
            )
        drawn = _spread(labels[start:], [spare, *held_out], seed)
        return cls(np.arange(start, dtype=np.int64), *(ids + start for ids in drawn[1:]))

    def thinned(self, labels: IntArray, train: int, sizes: SplitSizes, seed: int, each: int) -> Splits:
        """Keep fewer images of every split, at random under a seed, with every class in its share.

        Parameters
        ----------
        labels : array of int64, shape (n,)
            Class of every image, by id.
        train : int
            Training images to keep.
        sizes : SplitSizes
            Of the others; a split that is smaller stays as it is.
        seed : int
        each : int
            Training images that every class keeps, or all that it has.
        """
        held_out = {
            name: spread_over(labels, getattr(self, name), getattr(sizes, name), seed) for name in SPLIT_NAMES[1:]
        }
        return Splits(_some_of_each(labels, self.train, train, seed, each), **held_out)

    def to_arrays(self) -> dict[str, IntArray]:
        """Return the ids by split name, as stored in a bundle."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[np.generic]]) -> Splits:
        """Rebuild splits from stored arrays.

        Raises
        ------
        InputError
            If a split is absent, an unknown one present, or the ids are not valid.
        """
        if set(arrays) != set(SPLIT_NAMES):
            raise InputError(f"Stored splits must be {', '.join(SPLIT_NAMES)}; got {', '.join(sorted(arrays)) or '-'}.")
        return cls(**arrays)  # type: ignore[arg-type]  # __post_init__ checks the types


def spread_over(labels: IntArray, ids: IntArray, count: int, seed: int) -> IntArray:
    """Return at most `count` of the images, drawn under a seed with every class in its share, in ascending order.

    Parameters
    ----------
    labels : array of int64, shape (n,)
        Class of every image, by id.
    ids : array of int64, shape (m,)
    count, seed : int
    """
    if count >= len(ids):
        return ids
    return ids[_spread(labels[ids], [len(ids) - count, count], seed)[1]]


def _some_of_each(labels: IntArray, ids: IntArray, count: int, seed: int, each: int) -> IntArray:
    """Return `count` of the images, among them `each` of every class or all that it has."""
    rng = np.random.default_rng(seed)
    classes = (ids[labels[ids] == label] for label in np.unique(labels[ids]))
    first = np.concatenate([rng.permutation(members)[:each] for members in classes])
    return np.sort(np.concatenate([first, spread_over(labels, np.setdiff1d(ids, first), count - len(first), seed)]))


def _spread(labels: npt.NDArray[np.int64], counts: list[int], seed: int) -> list[IntArray]:
    """Draw parts of these sizes, evenly within each class, at random under a seed; ids in ascending order."""
    rng = np.random.default_rng(seed)
    classes, members = np.unique(labels, return_counts=True)
    allocation = _allocate(members, np.array(counts))
    parts: list[list[IntArray]] = [[] for _ in counts]
    for label, row in zip(classes, allocation, strict=True):
        ids = rng.permutation(np.flatnonzero(labels == label)).astype(np.int64)
        for part, chosen in zip(parts, np.split(ids, np.cumsum(row)[:-1]), strict=True):
            part.append(chosen)
    return [np.sort(np.concatenate(part)) for part in parts]


def _in_proportion(wanted: tuple[int, ...], total: int) -> tuple[int, ...]:
    """Return whole numbers in these proportions that sum to the total; the largest remainders are rounded up."""
    quotas = [divmod(size * total, sum(wanted)) for size in wanted]
    spare = total - sum(whole for whole, _ in quotas)
    by_remainder = sorted(range(len(wanted)), key=lambda place: -quotas[place][1])
    return tuple(whole + (place in by_remainder[:spare]) for place, (whole, _) in enumerate(quotas))


def _allocate(rows: IntArray, columns: IntArray) -> IntArray:
    """Round the proportional table with these margins to integers, keeping both margins exact.

    Every cell is its quota rounded down or up. Rounding each split on its own cannot promise that: small classes
    would be asked for more images than they have. Which cells round up is an integral flow from classes to splits,
    which exists because the fractional parts themselves are a fractional one.

    Parameters
    ----------
    rows, columns : array of int64, shapes (n_classes,) and (n_splits,), with equal sums

    Returns
    -------
    array of int64, shape (n_classes, n_splits)
    """
    products = np.outer(rows, columns)
    base, remainder = np.divmod(products, rows.sum())
    n_rows, n_columns = products.shape
    sink = n_rows + n_columns + 1
    capacity = np.zeros((sink + 1, sink + 1), dtype=np.int32)
    capacity[0, 1 : n_rows + 1] = rows - base.sum(1)
    capacity[1 : n_rows + 1, n_rows + 1 : sink] = remainder > 0
    capacity[n_rows + 1 : sink, sink] = columns - base.sum(0)
    flow = maximum_flow(csr_array(capacity), 0, sink).flow.toarray()
    return np.asarray(base + flow[1 : n_rows + 1, n_rows + 1 : sink], dtype=np.int64)
