"""Where image sets come from: the built-in digits, a folder, or a data set on the Hugging Face hub."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from telltale.base.errors import InputError
from telltale.data.cache import cached
from telltale.data.decoding import IMAGE_COLUMNS, LABEL_COLUMNS, HubData, decode
from telltale.data.image_set import ImageSet

DATA_VARIABLE = "TELLTALE_DATA"
BUILT_IN = "digits"
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
_SPLITS = ("train", "validation", "test")


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
    """Load a labelled image set.

    The splits train, validation and test, as far as present, follow one another in that order, so that an image's id
    is the same on every machine; other splits are left out unless there are only others. Decoded images are kept on
    disk (`telltale.data.cache`) and mapped into memory.

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
    places = _places(source)
    if not places:
        raise _unknown(source)
    return places[0].load(download)


def find_image_set(fingerprint: str, *sources: str) -> ImageSet | None:
    """Look for an image set on this machine: in every place where one of the sources may lie, never on the network.

    Parameters
    ----------
    fingerprint : str
        `ImageSet.fingerprint` of the one that is wanted.
    *sources : str
        As `load_image_set` takes them.

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
            problems.append(_unknown(source))
        for place in places:
            try:
                image_set = place.load(download=False)
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
    """Name a source so that it is found again from any working folder: a known name, an absolute folder or a hub id."""
    if source == BUILT_IN or source in KNOWN_SOURCES:
        return source
    folder = Path(source).expanduser()
    if folder.is_dir():
        return str(folder.resolve())
    return next((name for name, known in KNOWN_SOURCES.items() if known.hub_id == source), source)


class _Place(Protocol):
    """Somewhere that an image set may lie."""

    def load(self, download: bool) -> ImageSet:
        """Read it, from the network only if `download`."""


class _BuiltIn:
    def load(self, download: bool) -> ImageSet:
        del download
        # Here and not above: it brings scikit-learn and scikit-image, a second that readers of bundles need not wait.
        from telltale.data import digits

        return digits.load()


@dataclass(frozen=True)
class _Folder:
    source: str
    folder: Path
    known: KnownSource | None

    def load(self, download: bool) -> ImageSet:
        del download
        return cached(lambda: _contents(self.folder), self._decode)

    def _decode(self) -> ImageSet:
        # The library's own copy would stay for ever, and be taken for the folder's content after that has changed.
        with tempfile.TemporaryDirectory() as scratch:
            try:
                splits = _load_splits(False, str(_data_folder(self.folder)), cache_dir=scratch)
            except _CannotLoad as error:
                raise InputError(
                    f"The folder '{self.source}' holds no readable data set: parquet files, or one folder of images "
                    "per class."
                ) from error
            return decode(splits, self.folder.resolve().name, self.source, *_columns(self.known))


@dataclass(frozen=True)
class _Hub:
    source: str
    hub_id: str
    known: KnownSource | None

    def load(self, download: bool) -> ImageSet:
        configuration = self.known.configuration if self.known else None
        try:
            splits = _load_splits(download, self.hub_id, configuration)
        except _CannotLoad as error:
            if not download:
                raise InputError(f"The data set '{self.source}' was not downloaded before.") from error
            raise InputError(
                f"The data set '{self.source}' could not be fetched: the hub cannot be reached or has no such data set."
            ) from error
        tables = [(name, split._fingerprint, len(split)) for name, split in splits.items()]
        name = self.hub_id.rpartition("/")[2]
        return cached(
            lambda: [self.hub_id, configuration, tables],
            lambda: decode(splits, name, self.source, *_columns(self.known)),
        )


def _places(source: str) -> list[_Place]:
    """Return where a source may lie, in the order in which to look."""
    if source == BUILT_IN:
        return [_BuiltIn()]
    known = KNOWN_SOURCES.get(source)
    listed = (Path(place).expanduser() for place in os.environ.get(DATA_VARIABLE, "").split(os.pathsep) if place)
    folders = [folder / source for folder in listed]
    if known is None:
        folders.insert(0, Path(source).expanduser())
    places: list[_Place] = [_Folder(source, folder, known) for folder in folders if folder.is_dir()]
    if known is not None:
        places.append(_Hub(source, known.hub_id, known))
    elif _HUB_ID.fullmatch(source):
        namesake = next((other for other in KNOWN_SOURCES.values() if other.hub_id == source), None)
        places.append(_Hub(source, source, namesake))
    return places


def _unknown(source: str) -> InputError:
    names = ", ".join([BUILT_IN, *KNOWN_SOURCES])
    return InputError(f"There is no data set or folder '{source}'; use {names}, a folder, or a hub id owner/name.")


def _columns(known: KnownSource | None) -> tuple[Sequence[str], Sequence[str]]:
    return ((known.image,), (known.label,)) if known else (IMAGE_COLUMNS, LABEL_COLUMNS)


def _data_folder(folder: Path) -> Path:
    """Return the part of a copied hub repository that holds the configuration which is meant."""
    configurations = [known.configuration for known in KNOWN_SOURCES.values() if known.configuration]
    return next((folder / name for name in configurations if (folder / name).is_dir()), folder)


def _contents(folder: Path) -> list[object]:
    """Return what tells a folder's content from any other's without reading it."""
    root = folder.resolve()
    files = []
    for place, folders, names in os.walk(root, followlinks=True):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(name for name in names if not name.startswith(".")):
            file = Path(place, name)
            with contextlib.suppress(FileNotFoundError):  # a link into nowhere
                state = file.stat()
                files.append([file.relative_to(root).as_posix(), state.st_size, state.st_mtime_ns, state.st_ctime_ns])
    return [str(root), files]


class _CannotLoad(Exception):
    """The `datasets` library found nothing that it can read."""


def _load_splits(download: bool, *which: str | None, **options: str) -> dict[str, HubData]:
    import datasets

    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
    datasets.utils.logging.set_verbosity_error()
    datasets.utils.logging.disable_progress_bar()
    try:
        with _hub_access(download):
            splits = datasets.load_dataset(*which, **options)
    except Exception as error:
        # The library lets errors of its HTTP client, of parquet and of its own through; all mean the same here.
        raise _CannotLoad from error
    named = {name: splits[name] for name in _SPLITS if name in splits}
    return named or dict(splits)


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
