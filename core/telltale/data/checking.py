"""What a source holds, counted: classes and splits, sizes, duplicates, and what is left out and why."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from telltale.base.errors import InputError
from telltale.base.progress import Progress, silent
from telltale.data.decoding import left_over, number_labels, pictures
from telltale.data.duplicates import Group, find_duplicates, same_content
from telltale.data.image_set import LeftOut
from telltale.data.listing import Listing
from telltale.data.split_names import OWN_SPLITS

ALL = "all"
NO_CLASS = "no label"


@dataclass(frozen=True)
class DataReport:
    """What was read of a source.

    Attributes
    ----------
    source : str
    images : int
    class_names : tuple of str
        In the order of their indices; empty without labels.
    counts : dict of str to dict of str to int
        Images by class and split; ``"no label"`` and ``"all"`` stand for classes and splits where there are none.
    splits : tuple of str
    sizes : dict of (int, int) to int
        Images by width and height.
    grey : int
        Images without colour.
    across, conflicting : tuple of tuple of str
        Images that are the same: in several splits; under several labels. Each is called by its name in the source
        and its class.
    repeated : dict of str to int
        Images of a split that are there before in the same split.
    left_out : tuple of LeftOut
    """

    source: str
    images: int
    class_names: tuple[str, ...]
    counts: dict[str, dict[str, int]]
    splits: tuple[str, ...]
    sizes: dict[tuple[int, int], int]
    grey: int
    across: tuple[tuple[str, ...], ...]
    conflicting: tuple[tuple[str, ...], ...]
    repeated: dict[str, int]
    left_out: tuple[LeftOut, ...]

    def to_json(self) -> dict[str, object]:
        """Return it as JSON holds it."""
        return {
            "source": self.source,
            "images": self.images,
            "classes": list(self.class_names),
            "splits": list(self.splits),
            "counts": self.counts,
            "sizes": [{"width": w, "height": h, "images": n} for (w, h), n in sorted(self.sizes.items())],
            "grey": self.grey,
            "across_splits": [list(group) for group in self.across],
            "conflicting_labels": [list(group) for group in self.conflicting],
            "repeated_within_splits": self.repeated,
            "left_out": [{"name": left.name, "reason": left.reason} for left in self.left_out],
        }


def check(listing: Listing, progress: Progress = silent) -> DataReport:
    """Decode everything that a source lists, and count.

    Memory: one picture, and a few bytes for each.

    Raises
    ------
    InputError
        If no image can be read.
    """
    sizes: Counter[tuple[int, int]] = Counter()
    labels: list[str | int | None] = []
    names: list[str] = []
    splits: list[str] = []
    contents: list[bytes] = []
    left_out, grey = list(listing.left_out), 0
    for found in pictures(listing, progress):
        if isinstance(found, LeftOut):
            left_out.append(found)
            continue
        sizes[found.image.size] += 1
        grey += found.image.mode == "L"
        labels.append(found.listed.label)
        names.append(found.listed.name)
        splits.append(found.listed.split or ALL)
        contents.append(found.content())
    if not labels:
        named = "".join(f" '{left.name}': {left.reason}." for left in left_out[:3])
        raise InputError(f"No image of '{listing.source}' can be read.{named}")
    indices, class_names = number_labels(labels, listing)
    classes = [class_names[index] if class_names else NO_CLASS for index in indices]
    same = find_duplicates(same_content(contents), splits, classes)

    def called(groups: tuple[Group, ...]) -> tuple[tuple[str, ...], ...]:
        return tuple(tuple(f"{names[i]} ({splits[i]}, {classes[i]})" for i in group) for group in groups)

    return DataReport(
        source=listing.source,
        images=len(labels),
        class_names=class_names,
        counts=_counts(class_names or (NO_CLASS,), classes, splits),
        splits=_order(splits),
        sizes=dict(sizes),
        grey=grey,
        across=called(same.across),
        conflicting=called(same.conflicting),
        repeated=same.repeated,
        left_out=(*left_out, *left_over(listing.class_folders, labels)),
    )


def _order(splits: list[str]) -> tuple[str, ...]:
    return tuple(split for split in (*OWN_SPLITS, ALL) if split in splits)


def _counts(class_names: tuple[str, ...], classes: list[str], splits: list[str]) -> dict[str, dict[str, int]]:
    counted = Counter(zip(classes, splits, strict=True))
    return {name: {split: counted[name, split] for split in _order(splits)} for name in class_names}
