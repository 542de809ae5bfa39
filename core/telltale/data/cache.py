"""Decoded image sets on disk, which every process maps into memory within milliseconds and shares with the others.

An entry is a folder with ``pixels.npy``, ``labels.npy`` and ``about.json``; its name is a hash of what tells the
source's content without decoding it. It appears whole or not at all, and whatever is wrong with it, or with the
cache's folder, only means that the source is decoded again.

Opening an entry checks that ``about.json`` is intact (its own checksum) and complete, that both arrays have exactly
the header and size of the stated shape and type, that the pixels were not written to since the entry was made (time
stamp), and the labels' SHA-256 and range. The pixels are not hashed again: that would take longer than everything
else together. The fingerprint is the one of the content at writing, so the cache belongs to one person, and its folder
is made with rights for nobody else.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import hashlib
import io
import json
import math
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from telltale.base.places import cache_folder
from telltale.data.image_set import NO_LABEL, ImageSet, LeftOut

FORMAT = 3
KEPT = 8
LEFTOVER_SECONDS = 24 * 3600.0
PIXELS_FILE, LABELS_FILE, ABOUT_FILE = "pixels.npy", "labels.npy", "about.json"
_ENTRY = re.compile(r"[0-9a-f]{64}")
_PARTIAL = ".partial-"

AnyArray: TypeAlias = npt.NDArray[Any]


def cached(contents: Callable[[], object], read: Callable[[], ImageSet]) -> ImageSet:
    """Return an image set from the cache, where it is put if it is not there.

    Several processes that need the same one at once wait for the first to decode it.

    Parameters
    ----------
    contents : callable
        Returns what tells the source's content from any other, as JSON can hold it. Asked again after reading: a
        source that changed meanwhile is not kept.
    read : callable
        Decodes the source.

    Returns
    -------
    ImageSet
        With pixels that cannot be written to where they come from the cache.
    """
    before = contents()
    entry = _entry(before)
    if entry is None:
        return read()
    found = entry.open()
    if found is not None:
        return found
    with entry.alone():
        found = entry.open()
        if found is not None:
            return found
        image_set = read()
        if contents() == before:
            entry.keep(image_set)
    return entry.open() or image_set


def scratch_folder() -> Path:
    """Return a new folder for something large that is written now: in the cache, else where the system keeps such.

    Raises
    ------
    OSError
        If nothing can be written anywhere.
    """
    with contextlib.suppress(OSError, RuntimeError):
        return Path(tempfile.mkdtemp(prefix=_PARTIAL, dir=_images()))
    return Path(tempfile.mkdtemp(prefix=_PARTIAL))


def _images() -> Path:
    folder = cache_folder() / "images"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


@functools.cache
def _decoders() -> list[str]:
    return [version(library) for library in ("datasets", "pillow")]


def _entry(contents: object) -> _Entry | None:
    """Return the entry of a source, or None where there can be no cache."""
    key = hashlib.sha256(json.dumps([FORMAT, _decoders(), contents]).encode()).hexdigest()
    try:
        return _Entry(_images() / key)
    except (OSError, RuntimeError):
        return None


@dataclass(frozen=True)
class _Entry:
    folder: Path

    def open(self) -> ImageSet | None:
        """Map the entry into memory, or return None where it is absent or not as it was written."""
        try:
            image_set = _open(self.folder)
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return None
        with contextlib.suppress(OSError):
            os.utime(self.folder)  # the entries used last are the ones that are kept
        return image_set

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Wait until no other process or thread is filling this entry; the system lets go of what a dead one held."""
        with contextlib.ExitStack() as held:
            with contextlib.suppress(OSError):  # a folder without locks: then both fill it, the last one stays
                lock = held.enter_context(self.folder.with_suffix(".lock").open("w"))
                fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def keep(self, image_set: ImageSet) -> None:
        """Write the entry, whole or not at all, and forget the ones used longest ago."""
        with contextlib.suppress(OSError):  # no room or no right to write: then there is no cache
            partial = Path(tempfile.mkdtemp(prefix=_PARTIAL, dir=self.folder.parent))
            try:
                _write(partial, image_set)
                shutil.rmtree(self.folder, ignore_errors=True)
                partial.rename(self.folder)
            finally:
                shutil.rmtree(partial, ignore_errors=True)
            _tidy(self.folder.parent)


def _write(folder: Path, image_set: ImageSet) -> None:
    _put(folder / PIXELS_FILE, np.asarray(image_set.pixels))
    labels = _save(folder / LABELS_FILE, image_set.labels)
    about = {
        "name": image_set.name,
        "shape": list(image_set.pixels.shape),
        "class_names": list(image_set.class_names),
        "own_test": image_set.own_test,
        "own_validation": image_set.own_validation,
        "names": list(image_set.names),
        "left_out": [[left.name, left.reason] for left in image_set.left_out],
        "duplicates": [list(group) for group in image_set.duplicates],
        "fingerprint": image_set.fingerprint,
        "labels_sha256": hashlib.sha256(labels.data).hexdigest(),
        "pixels_written": (folder / PIXELS_FILE).stat().st_mtime_ns,
    }
    (folder / ABOUT_FILE).write_text(json.dumps({"checksum": _checksum(about), "about": about}), encoding="utf-8")


def _put(path: Path, pixels: AnyArray) -> None:
    """Write pixels; a finished file that was written in this cache is taken as it is."""
    base = pixels.base
    if isinstance(base, np.memmap) and base.shape == pixels.shape:
        written = Path(str(base.filename))
        if written.name == PIXELS_FILE and written.parent.name.startswith(_PARTIAL):
            with contextlib.suppress(OSError):  # another disk, or one without links
                os.link(written, path)
                return
    _save(path, pixels)


def _save(path: Path, array: AnyArray) -> AnyArray:
    whole = np.ascontiguousarray(array)
    with path.open("wb") as file:
        np.save(file, whole, allow_pickle=False)
        file.flush()
        os.fsync(file.fileno())  # or a power failure could leave a file of the right size full of zeros
    return whole


def _open(folder: Path) -> ImageSet:
    about = _about(json.loads((folder / ABOUT_FILE).read_text(encoding="utf-8")))
    pixels_file = folder / PIXELS_FILE
    if pixels_file.stat().st_mtime_ns != about["pixels_written"]:
        raise ValueError("written to")
    shape = tuple(about["shape"])
    labels = _map(folder / LABELS_FILE, np.dtype(np.int64), shape[:1])
    if hashlib.sha256(labels.data).hexdigest() != about["labels_sha256"]:
        raise ValueError("labels")
    lowest = 0 if about["class_names"] else NO_LABEL
    if labels.min() < lowest or labels.max() >= max(len(about["class_names"]), lowest + 1):
        raise ValueError("classes")
    return ImageSet(
        about["name"],
        _map(pixels_file, np.dtype(np.uint8), shape),
        labels,
        tuple(about["class_names"]),
        about["own_test"],
        about["fingerprint"],
        about["own_validation"],
        tuple(about["names"]),
        tuple(LeftOut(name, reason) for name, reason in about["left_out"]),
        tuple(tuple(group) for group in about["duplicates"]),
    )


def _about(stored: dict[str, Any]) -> dict[str, Any]:
    """Return the description of an entry if it is intact and possible."""
    about: dict[str, Any] = stored["about"]
    shape = about["shape"]
    sound = (
        stored["checksum"] == _checksum(about)
        and len(shape) == 4
        and all(type(side) is int and side > 0 for side in shape)
        and shape[1] in (1, 3)
        and all(type(name) is str for name in [about["name"], *about["class_names"], *about["names"]])
        and len(about["names"]) in (0, shape[0])
        and all(type(about[own]) is int and about[own] >= 0 for own in ("own_test", "own_validation"))
        and about["own_test"] + about["own_validation"] < shape[0]
        and all(type(part) is str for left in about["left_out"] for part in left)
        and all(type(image) is int and 0 <= image < shape[0] for group in about["duplicates"] for image in group)
        and re.fullmatch(r"[0-9a-f]{64}", about["fingerprint"])
    )
    if not sound:
        raise ValueError("description")
    return about


def _map(path: Path, dtype: np.dtype[Any], shape: tuple[int, ...]) -> AnyArray:
    """Map a ``.npy`` file that must have exactly this type, shape and size."""
    expected = io.BytesIO()
    np.lib.format.write_array_header_1_0(expected, {"descr": dtype.str, "fortran_order": False, "shape": shape})
    header = expected.getvalue()
    with path.open("rb") as file:
        found = file.read(len(header))
    if found != header or path.stat().st_size != len(header) + dtype.itemsize * math.prod(shape):
        raise ValueError("array")
    return np.memmap(path, dtype, "r", len(header), shape).view(np.ndarray)


def _checksum(about: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()


def _tidy(folder: Path) -> None:
    """Remove all but the entries used last, and what killed processes left. Readers keep what they have mapped."""
    used = {path: path.stat().st_mtime for path in folder.iterdir() if not path.name.endswith(".lock")}
    entries = sorted((path for path in used if _ENTRY.fullmatch(path.name)), key=used.__getitem__, reverse=True)
    left = [p for p, at in used.items() if p.name.startswith(_PARTIAL) and time.time() - at > LEFTOVER_SECONDS]
    for path in [*entries[KEPT:], *left]:
        shutil.rmtree(path, ignore_errors=True)
        path.with_suffix(".lock").unlink(missing_ok=True)
