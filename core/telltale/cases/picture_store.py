"""Pixels that are too many for a link: kept by what they hold, within bounds, for every session of a server.

A link names them by the SHA-256 of `telltale.base.images.image_sha256`, which the pages show as the fingerprint. What
was not asked for longest makes room, so that nobody can fill the disk by uploading.
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import os
import re
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from telltale.base.errors import InputError, StorageError
from telltale.base.files import PARTIAL_SUFFIX, whole
from telltale.base.images import FloatImages, image_sha256
from telltale.base.places import data_home
from telltale.cases.pixels import read_png
from telltale.cases.settings import read_only
from telltale.data.plain_png import MOST_PIXELS
from telltale.data.uploads import png_bytes

FOLDER_VARIABLE, SIZE_VARIABLE = "TELLTALE_PICTURES", "TELLTALE_PICTURES_MB"
MEGABYTE = 2**20
ABANDONED_SECONDS = 3600.0  # a file that was not finished by then belongs to a process that ended

_DIGEST = re.compile(r"[0-9a-f]{64}")
_ONE_AT_A_TIME = threading.Lock()  # threads of one process share the lock of a file


class GonePictureError(InputError):
    """The pixels that a link names are not kept here: they have made room for others, or never were here."""


@dataclass(frozen=True)
class Bounds:
    """How much is kept at most.

    Attributes
    ----------
    pictures : int
    bytes : int
        Of all files together.
    """

    pictures: int = 4000
    bytes: int = 256 * MEGABYTE


class PictureStore:
    """Exact pixels in one folder, one PNG each; safe to use from several threads and processes.

    A picture is there whole or not at all, and what is read is held against its name, so that a damaged file is never
    taken for the picture. Writing or reading a picture makes it the most recently used one.

    Parameters
    ----------
    folder : Path
        Made when the first picture is kept.
    bounds : Bounds
    """

    def __init__(self, folder: Path, bounds: Bounds | None = None) -> None:
        self.folder = folder
        self.bounds = bounds or Bounds()

    def keep(self, image: FloatImages) -> str:
        """Keep one image, shape (C, H, W) with values in [0, 1], and return its SHA-256.

        Raises
        ------
        InputError
            If it has more than a megapixel, or alone takes more bytes than are kept.
        StorageError
            If it cannot be written.
        """
        digest = image_sha256(image)
        if self._held(digest) is not None:
            return digest
        data = png_bytes(image)
        if image.shape[1] * image.shape[2] > MOST_PIXELS or len(data) > self.bounds.bytes:
            raise InputError(
                f"A picture of {image.shape[2]} × {image.shape[1]} pixels ({len(data) / MEGABYTE:.1f} MB) is too large "
                f"to be kept: at most {MOST_PIXELS // 10**6} megapixel and {self._size_words()} are."
            )
        with self._alone():
            with whole(self._file(digest)) as partial:
                partial.write_bytes(data)
            self._make_room()
        return digest

    def read(self, digest: str) -> FloatImages:
        """Return a kept image, shape (C, H, W), by its SHA-256.

        Raises
        ------
        GonePictureError
            If it is not here, or its file holds something else.
        """
        image = self._held(digest) if _DIGEST.fullmatch(digest) else None
        if image is None:
            raise GonePictureError(
                "The picture of this link is no longer on this server, which keeps the pictures used last, at most "
                f"{self.bounds.pictures:,} and {self._size_words()}."
            )
        return image

    def _held(self, digest: str) -> FloatImages | None:
        """Return an image whose file is here and holds what its name says."""
        file = self._file(digest)
        try:
            image = read_png(file.read_bytes())
        except (OSError, InputError):
            return None
        if image_sha256(image) != digest:
            return None
        with contextlib.suppress(OSError):  # another process may just have removed it
            os.utime(file)
        return image

    def _file(self, digest: str) -> Path:
        return self.folder / f"{digest}.png"

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep other threads and processes from writing; reading needs no lock, because files appear whole."""
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with _ONE_AT_A_TIME, (self.folder / ".lock").open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                yield
        except OSError as error:
            raise StorageError(
                f"The picture cannot be kept in '{self.folder}': {error.strerror or error}. ({FOLDER_VARIABLE} names "
                "another folder.)"
            ) from error

    def _make_room(self) -> None:
        """Remove what was not used longest until the bounds hold, and what a process that ended has left half done."""
        now = time.time()
        for partial in self.folder.glob(f".*{PARTIAL_SUFFIX}"):
            if now - partial.stat().st_mtime > ABANDONED_SECONDS:
                partial.unlink(missing_ok=True)
        files = [(file.stat(), file) for file in self.folder.glob("*.png")]
        latest_first = sorted(files, key=lambda entry: entry[0].st_mtime_ns, reverse=True)
        total = 0
        for place, (state, file) in enumerate(latest_first):
            total += state.st_size
            if place >= self.bounds.pictures or total > self.bounds.bytes:
                file.unlink(missing_ok=True)

    def _size_words(self) -> str:
        return f"{self.bounds.bytes / MEGABYTE:.0f} MB"


def picture_store(environment: Mapping[str, str] = os.environ) -> PictureStore:
    """Return the store that the environment names: ``pictures`` beside the saved cases where it names none.

    On a read-only server it is a folder of this process that ends with it.

    Raises
    ------
    InputError
        If ``TELLTALE_PICTURES_MB`` is no whole number of at least 1.
    """
    chosen = environment.get(FOLDER_VARIABLE, "").strip()
    if read_only(environment):
        folder = _passing_folder()
    else:
        folder = Path(chosen).expanduser().absolute() if chosen else data_home(environment) / "pictures"
    size = environment.get(SIZE_VARIABLE, "").strip()
    if not size:
        return PictureStore(folder)
    if not size.isascii() or not size.isdigit() or int(size) < 1:
        raise InputError(
            f"The environment variable {SIZE_VARIABLE} must be a whole number of at least 1. Got {size!r}."
        )
    return PictureStore(folder, Bounds(bytes=int(size) * MEGABYTE))


@cache
def _passing_folder() -> Path:
    folder = tempfile.TemporaryDirectory(prefix="telltale-pictures-", ignore_cleanup_errors=True)
    atexit.register(folder.cleanup)
    return Path(folder.name)
