"""Where image sets come from: the built-in digits and signs, a folder or table, or a data set on Hugging Face's hub."""

from __future__ import annotations

import logging
import os
import re
from abc import ABC, abstractmethod
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from telltale.base.errors import InputError
from telltale.base.progress import Progress, silent
from telltale.data import index_files, signs
from telltale.data.cache import cached
from telltale.data.decoding import decode
from telltale.data.folders import list_folder_or_tables
from telltale.data.image_set import ImageSet
from telltale.data.listing import HIDDEN, NOT_AN_IMAGE, Listing
from telltale.data.sizing import Sizing
from telltale.data.tables import IMAGE_COLUMNS, LABEL_COLUMNS, Columns
from telltale.data.walking import Walk

DATA_VARIABLE = "TELLTALE_DATA"
DIGITS, SIGNS = "digits", "signs"
BUILT_IN = (DIGITS, SIGNS)
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
_FILE_SUFFIX = re.compile(r"\.(?=\w*[A-Za-z])[A-Za-z0-9]+")  # ".csv" and ".7z", not the ".0" of a version
_log = logging.getLogger(__name__)


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


def load_image_set(
    source: str, download: bool = True, sizing: Sizing | None = None, progress: Progress = silent
) -> ImageSet:
    """Load an image set.

    The splits train, validation and test, as far as present, follow one another in that order, so that an image's id
    is the same on every machine; other splits are left out unless there are only others. Decoded images are kept on
    disk (`telltale.data.cache`) and mapped into memory. What is left out is named in `ImageSet.left_out`, and told
    as a warning of the logger of this module.

    Parameters
    ----------
    source : str
        ``"digits"``, ``"signs"``, a key of `KNOWN_SOURCES`, a folder (of parquet files, with one folder of images per
        class, with folders of splits that hold those, or of images without labels), a CSV or parquet table of paths
        and labels, or a hub id ``owner/name``. Short names and relative paths are also looked for in the folders listed
        in the environment variable ``TELLTALE_DATA``.
    download : bool
        Whether the hub may be asked. Otherwise only folders and what was downloaded before are read.
    sizing : Sizing, optional
        Brings pictures to a classifier's size, one by one. Left out, all must have one size.
    progress : callable, optional
        Told the fraction of the images that are decoded.

    Returns
    -------
    ImageSet
        Grey where every image is grey and nothing else is asked for, otherwise RGB.

    Raises
    ------
    InputError
        If there is no such source, the hub cannot be reached, no column holds images or labels, folders may mean
        several things, images differ in size, or none can be read.
    """
    image_set = _places_or_refusal(source)[0].load(download, sizing, progress)
    _warn(source, image_set)
    return image_set


def list_images(source: str, download: bool = False) -> Listing:
    """List what a source holds without decoding it; see `load_image_set`.

    Raises
    ------
    InputError
        If there is no such source, or it cannot be told what it holds.
    """
    return _places_or_refusal(source)[0].find(download).listing()


def find_image_set(fingerprint: str, *sources: str, sizing: Sizing | None = None) -> ImageSet | None:
    """Look for an image set on this machine: in every place where one of the sources may lie, never on the network.

    Parameters
    ----------
    fingerprint : str
        `ImageSet.fingerprint` of the one that is wanted.
    *sources : str
        As `load_image_set` takes them.
    sizing : Sizing, optional
        Through which it was loaded.

    Returns
    -------
    ImageSet or None
        None where the places hold other data.

    Raises
    ------
    InputError
        If nothing can be read; the message is about the first source.
    """
    problems, others = [], False
    for source in sources:
        places = _places(source)
        if not places:
            problems.append(InputError(f"{_absent(source)}."))
        for place in places:
            try:
                image_set = place.look(sizing)
            except InputError as error:
                problems.append(error)
                continue
            if image_set.fingerprint == fingerprint:
                return image_set
            others = True
    if not others:
        raise problems[0]
    return None


def lasting_source(source: str) -> str:
    """Name a source so that it is found again from any working folder: a known name, an absolute path or a hub id."""
    if source in BUILT_IN or source in KNOWN_SOURCES:
        return source
    place = _at_home(source)
    if _is_place(place):
        return str(place.resolve())
    return next((name for name, known in KNOWN_SOURCES.items() if known.hub_id == source), source)


class _Found(Protocol):
    """A source that is there."""

    def state(self) -> object:
        """Return what tells its content from any other's without decoding it, as JSON can hold it."""

    def listing(self) -> Listing:
        """List what it holds."""


@dataclass(frozen=True)
class _Place(ABC):
    """Somewhere that an image set may lie."""

    source: str

    @abstractmethod
    def find(self, download: bool) -> _Found:
        """Find it, on the network only if `download`."""

    def load(self, download: bool, sizing: Sizing | None, progress: Progress) -> ImageSet:
        """Read it, from the network only if `download`."""
        found = self.find(download)
        through = None if sizing is None else [sizing.key, sizing.channels]
        return cached(lambda: [found.state(), through], lambda: decode(found.listing(), sizing, progress))

    def look(self, sizing: Sizing | None) -> ImageSet:
        """Read it for somebody who wants a few of its images, never from the network."""
        return self.load(False, sizing, silent)


class _Digits(_Place):
    def find(self, download: bool) -> _Found:
        del download
        # Here and not above: it brings scikit-learn and scikit-image, a second that readers of bundles need not wait.
        from telltale.data import digits

        return digits

    def load(self, download: bool, sizing: Sizing | None, progress: Progress) -> ImageSet:
        if sizing is not None:
            return super().load(download, sizing, progress)
        from telltale.data import digits

        return digits.load()


class _Signs(_Place):
    def find(self, download: bool) -> _Found:
        del download
        return signs

    def load(self, download: bool, sizing: Sizing | None, progress: Progress) -> ImageSet:
        if sizing is not None:
            return super().load(download, sizing, progress)
        return signs.load(progress)

    def look(self, sizing: Sizing | None) -> ImageSet:
        return signs.look() if sizing is None else super().look(sizing)


@dataclass(frozen=True)
class _Folder(_Place):
    path: Path
    known: KnownSource | None

    def find(self, download: bool) -> _Found:
        del download
        return self

    def state(self) -> object:
        if self.path.is_file():
            return ["index", index_files.read_index(self.path).state()]
        return [Walk.below(self.path).state(), _columns(self.known)]

    def listing(self) -> Listing:
        if self.path.is_file():
            return index_files.list_index(index_files.read_index(self.path), self.source)
        configurations = [known.configuration for known in KNOWN_SOURCES.values() if known.configuration]
        return list_folder_or_tables(Walk.below(self.path), self.source, _columns(self.known), configurations)


@dataclass(frozen=True)
class _Hub(_Place):
    hub_id: str
    known: KnownSource | None

    def find(self, download: bool) -> _Found:
        from telltale.data import hub

        configuration = self.known.configuration if self.known else None
        return hub.find(self.source, self.hub_id, configuration, _columns(self.known), download)


def _places(source: str) -> list[_Place]:
    """Return where a source may lie, in the order in which to look."""
    if source == DIGITS:
        return [_Digits(source)]
    if source == SIGNS:
        return [_Signs(source)]
    known = KNOWN_SOURCES.get(source)
    candidates = _candidates(source)
    places: list[_Place] = [_Folder(source, path, known) for path in candidates if _is_place(path)]
    namesake = next((other for other in KNOWN_SOURCES.values() if other.hub_id == source), None)
    if known is not None:
        places.append(_Hub(source, known.hub_id, known))
    elif namesake is not None or (_HUB_ID.fullmatch(source) and not _names_a_path(source)):
        places.append(_Hub(source, source, namesake))
    return places


def _candidates(source: str) -> list[Path]:
    """Return the paths that a source may mean, in the order in which to look; a known name means none of its own."""
    listed = (_at_home(place) for place in os.environ.get(DATA_VARIABLE, "").split(os.pathsep) if place)
    within = [folder / source for folder in listed]
    return within if source in KNOWN_SOURCES else [_at_home(source), *within]


def _names_a_path(source: str) -> bool:
    """Whether a source can only be meant as a path: it ends like a file, or its first part is a folder that is there.

    ``photos/labels.csv`` and ``photos/holiday`` beside a folder ``photos`` look like ids of the hub, and are none.
    """
    if _FILE_SUFFIX.fullmatch(Path(source).suffix):
        return True
    return Path(source).parent != Path() and any(_is_folder(path.parent) for path in _candidates(source))


def _places_or_refusal(source: str) -> list[_Place]:
    places = _places(source)
    if not places:
        raise _unknown(source)
    return places


def _at_home(written: str) -> Path:
    """Return a path; a ``~`` without a home folder stays as it is."""
    try:
        return Path(written).expanduser()
    except RuntimeError:
        return Path(written)


def _is_place(path: Path) -> bool:
    return _is_folder(path) or (path.suffix.lower() in index_files.SUFFIXES and _is_file(path))


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:
        return False


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:
        return False


def _unknown(source: str) -> InputError:
    names = ", ".join([*BUILT_IN, *KNOWN_SOURCES])
    return InputError(
        f"{_absent(source)}; use {names}, a folder of images, a CSV or parquet table of paths and labels, or a hub id "
        "owner/name."
    )


def _absent(source: str) -> str:
    """Say that a source lies nowhere, and where it was looked for."""
    if any(map(_is_file, _candidates(source))):
        return f"The file '{source}' is no table of images"
    if not _names_a_path(source):
        return f"There is no data set or folder '{source}'"
    within = "" if Path(source).is_absolute() else f" here or in a folder of {DATA_VARIABLE}"
    return f"There is no file or folder '{source}'{within}"


def _columns(known: KnownSource | None) -> Columns:
    return ((known.image,), (known.label,)) if known else (IMAGE_COLUMNS, LABEL_COLUMNS)


def _warn(source: str, image_set: ImageSet) -> None:
    """Tell how many images were left out; what is no image at all is not worth a line."""
    reasons = Counter(left.reason for left in image_set.left_out if left.reason not in (NOT_AN_IMAGE, HIDDEN))
    if reasons:
        most = "; ".join(f"{count} × {reason}" for reason, count in reasons.most_common(3))
        _log.warning(
            "Left out of '%s': %d (%s). 'telltale data check' names them.", source, sum(reasons.values()), most
        )
