"""Images that a data set holds more than once: in several splits, within one, or under two labels."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

Group = tuple[int, ...]


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
