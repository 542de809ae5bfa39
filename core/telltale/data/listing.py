"""What a source holds, before anything is decoded: its images one by one, and what is not among them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from telltale.data.image_set import LeftOut

NOT_AN_IMAGE = "not an image"
HIDDEN = "hidden"
NO_LABEL_REASON = "no label"
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


@dataclass(frozen=True)
class Listed:
    """One image that a source names.

    Attributes
    ----------
    name : str
        A path relative to the source, or a row of a table.
    split : str or None
        One of `telltale.data.split_names.OWN_SPLITS`, or None where the source is not split.
    label : str, int or None
        A class name, or a number where the source names no classes; None in a source without labels.
    read : callable
        Returns the encoded file.
    """

    name: str
    split: str | None
    label: str | int | None
    read: Callable[[], bytes]


@dataclass
class Listing:
    """The images of a source, in the order of their ids.

    Attributes
    ----------
    name : str
        Of the image set.
    source : str
        As messages call it.
    images : iterable of Listed or LeftOut
        Split after split. Tables are read while it is gone through, so that what they hold beside images comes
        along.
    count : int
        Of the images, for progress.
    class_names : tuple of str, optional
        Stated by the source; otherwise the classes are those of the images that can be read.
    labelled : bool
    named : bool
        Whether names of images are paths worth keeping.
    left_out : list of LeftOut
        What is known before any image is read.
    class_folders : tuple of str
        Classes that ought to have images; one without any that can be read is left out by name.
    """

    name: str
    source: str
    images: Iterable[Listed | LeftOut]
    count: int
    class_names: tuple[str, ...] | None = None
    labelled: bool = True
    named: bool = True
    left_out: list[LeftOut] = field(default_factory=list)
    class_folders: tuple[str, ...] = ()


def class_name(written: str) -> str:
    """Return a class name that can be shown, so that two ways of writing the same characters are one class."""
    return shown(unicodedata.normalize("NFC", written))


def shown(name: str) -> str:
    """Return a name that can be printed and stored, whatever bytes it holds.

    Control characters are written out: a terminal would obey them.
    """
    text = name.encode("utf-8", "backslashreplace").decode("utf-8")
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)
