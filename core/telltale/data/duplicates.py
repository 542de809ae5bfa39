"""Images that a data set holds more than once: in several splits, within one, or under two labels."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from telltale.data.image_set import ImageSet
    from telltale.data.splits import Splits

Group = tuple[int, ...]
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Duplicates:
    """Groups of images that are the same pixel by pixel, each with the ids of its members.

    Attributes
    ----------
    across : tuple of tuple of int
        Groups with members in several splits: what is tested or chosen on was learned.
    conflicting : tuple of tuple of int
        Groups with several labels.
    repeated : dict of str to int
        How many images of each split are there before in the same split.
    """

    across: tuple[Group, ...]
    conflicting: tuple[Group, ...]
    repeated: dict[str, int]


def find_duplicates(groups: Iterable[Group], splits: Sequence[str], labels: Sequence[object]) -> Duplicates:
    """Tell which groups of equal images matter, and how.

    Parameters
    ----------
    groups : iterable of tuple of int
        As `telltale.data.image_set.ImageSet.duplicates` has them.
    splits : sequence of str
        Of every image.
    labels : sequence
        Of every image.
    """
    kept = tuple(groups)
    repeated: dict[str, int] = {}
    for group in kept:
        held = [splits[image] for image in group]
        for split in set(held):
            repeated[split] = repeated.get(split, 0) + held.count(split) - 1
    return Duplicates(
        across=tuple(group for group in kept if len({splits[image] for image in group}) > 1),
        conflicting=tuple(group for group in kept if len({labels[image] for image in group}) > 1),
        repeated={split: count for split, count in sorted(repeated.items()) if count},
    )


def same_content(contents: Sequence[bytes]) -> tuple[Group, ...]:
    """Return the groups of images whose contents, or digests of them, are equal."""
    places: dict[bytes, list[int]] = {}
    for image, content in enumerate(contents):
        places.setdefault(content, []).append(image)
    return tuple(tuple(images) for images in places.values() if len(images) > 1)


def shared_between(groups: Iterable[Group], splits: Splits) -> dict[str, int]:
    """Count the images of each split that are in another one as well, pixel by pixel.

    Parameters
    ----------
    groups : iterable of tuple of int
        As `telltale.data.image_set.ImageSet.duplicates` has them.
    splits : Splits

    Returns
    -------
    dict of str to int
        Of the splits that share any.
    """
    split_of = {int(image): name for name, ids in splits.to_arrays().items() for image in ids}
    shared: dict[str, int] = dict.fromkeys(splits.to_arrays(), 0)
    for group in groups:
        held = [split_of[image] for image in group if image in split_of]
        if len(set(held)) > 1:
            for split in held:
                shared[split] += 1
    return {split: count for split, count in shared.items() if count}


def warn_of_shared(image_set: ImageSet, splits: Splits) -> None:
    """Log a warning where images of one split are in another one as well: what is tested on was learned."""
    if shared := shared_between(image_set.duplicates, splits):
        counted = ", ".join(f"{count} of {split}" for split, count in shared.items())
        _log.warning(
            "Images of '%s' are in several splits, pixel by pixel: %s. Figures on them are too good; 'telltale data "
            "check' names images that are there several times.",
            image_set.name,
            counted,
        )
