"""Folders of image files: one folder per class, perhaps inside folders of splits, or no folders and no labels.

What a folder is follows from what it holds, never from a word in its name: *train* and *test* are splits only where
they themselves hold folders of images, and then everything beside them must be no class.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial

from telltale.base.errors import InputError
from telltale.data.image_set import LeftOut
from telltale.data.listing import NO_LABEL_REASON, NOT_AN_IMAGE, Listed, Listing, class_name, shown
from telltale.data.opening import read_bytes
from telltale.data.split_names import OWN_SPLITS, split_of
from telltale.data.walking import File, Walk

OTHER_SPLIT = "a split other than train, validation and test"


def list_folder(walk: Walk, source: str) -> Listing:
    """List the image files below a folder.

    Parameters
    ----------
    walk : Walk
        Of the folder.
    source : str
        As messages call it.

    Returns
    -------
    Listing
        Without labels where no image lies in a folder; empty where there is no image.

    Raises
    ------
    InputError
        If folders may be classes or splits, or lie one level deeper than classes do.
    """
    images = [file for file in walk.files if file.looks_like_image()]
    taken = {file.parts for file in images}
    left_out = [*walk.left_out, *(LeftOut(f.name, NOT_AN_IMAGE) for f in walk.files if f.parts not in taken)]
    tops = _tops(images)
    if not tops:
        files = [Listed(file.name, None, None, partial(read_bytes, file.path)) for file in images]
        return Listing(walk.root.name, source, files, len(files), labelled=False, left_out=left_out)
    splits = _splits(tops, source)
    depth = 1 if splits else 0
    _check_depth(images, splits, source)
    listed: list[Listed] = []
    for file in images:
        found = _listed(file, splits)
        if isinstance(found, LeftOut):
            left_out.append(found)
        else:
            listed.append(found)
    listed.sort(key=lambda image: OWN_SPLITS.index(image.split) if image.split else 0)
    folders = {p[depth] for p in walk.folders if len(p) == depth + 1 and (not splits or splits.get(p[0]))}
    classes = tuple(sorted({_class(folder) for folder in folders}))
    return Listing(walk.root.name, source, listed, len(listed), left_out=left_out, class_folders=classes)


@dataclass(frozen=True)
class _Top:
    """A folder that comes first on the way to some images.

    Attributes
    ----------
    loose : bool
        Whether it holds images itself.
    folders : frozenset of str
        The folders of images that it holds.
    """

    name: str
    loose: bool
    folders: frozenset[str]

    @property
    def may_be_split(self) -> bool:
        return bool(self.folders) and split_of(self.name) is not None


def _tops(images: Iterable[File]) -> list[_Top]:
    loose: set[str] = set()
    folders: dict[str, set[str]] = {}
    for file in images:
        if not file.inside(0):
            continue
        below = folders.setdefault(file.parts[0], set())
        if file.inside(1):
            below.add(file.parts[1])
        else:
            loose.add(file.parts[0])
    return [_Top(name, name in loose, frozenset(below)) for name, below in sorted(folders.items())]


def _splits(tops: Sequence[_Top], source: str) -> dict[str, str | None]:
    """Return which split each folder is, or no folders at all where they are classes.

    A folder of None is a split that is not read, or images whose labels are withheld.
    """
    splits = [top for top in tops if top.may_be_split]
    others = [top for top in tops if not top.may_be_split]
    if not splits or (others and all(top.loose for top in splits)):
        _check_nearly_splits(tops, source)
        return {}
    classes = frozenset[str]().union(*(top.folders for top in splits))
    found: dict[str, str | None] = {top.name: split_of(top.name) for top in splits}
    for other in others:
        another_split = not other.loose and other.folders & classes
        unlabelled = other.loose and not other.folders and split_of(other.name) is not None
        if not (another_split or unlabelled):
            raise InputError(
                f"In '{source}' the folder '{splits[0].name}' holds folders of images, as a split does, and "
                f"'{shown(other.name)}' is no such split; name the folder that holds one folder per class."
            )
        found[other.name] = None
    return found


def _check_nearly_splits(tops: Sequence[_Top], source: str) -> None:
    """Refuse folders like *training_set* and *test_set* that hold the same folders and nothing else."""
    alike = len(tops) > 1 and not any(top.loose for top in tops) and frozenset.intersection(*(t.folders for t in tops))
    if alike and all(any(map(split_of, re.split(r"[\W_]+", top.name))) for top in tops):
        named = " and ".join(f"'{shown(top.name)}'" for top in tops)
        raise InputError(
            f"In '{source}' the folders {named} hold the same folders of images, so they may be splits or classes; "
            f"for splits call them {', '.join(OWN_SPLITS)}, else name one of them."
        )


def _check_depth(images: Iterable[File], splits: dict[str, str | None], source: str) -> None:
    """Refuse one folder that holds nothing but folders: those are the classes, or nobody knows."""
    depth = 1 if splits else 0
    inside = [file for file in images if file.inside(depth) and (not splits or splits.get(file.parts[0]))]
    if len({file.parts[depth] for file in inside}) == 1 and all(file.inside(depth + 1) for file in inside):
        only = shown("/".join(inside[0].parts[: depth + 1]))
        raise InputError(
            f"'{source}' holds one folder of images, '{only}', which holds nothing but folders; "
            f"name the folder that holds one folder per class, perhaps '{source.rstrip('/')}/{only}'."
        )


def _listed(file: File, splits: dict[str, str | None]) -> Listed | LeftOut:
    depth = 1 if splits else 0
    split = splits.get(file.parts[0]) if splits else None
    if splits and file.inside(0) and file.parts[0] in splits and split is None:
        withheld = split_of(file.parts[0]) is not None
        return LeftOut(file.name, f"{NO_LABEL_REASON}: it lies in no folder of a class" if withheld else OTHER_SPLIT)
    if not file.inside(depth):
        return LeftOut(file.name, f"{NO_LABEL_REASON}: it lies in no folder of a class")
    return Listed(file.name, split, _class(file.parts[depth]), partial(read_bytes, file.path))


def _class(folder: str) -> str:
    return class_name(folder)
