"""The file of a SQLite store: whether it is still the one that was opened, and room to delete on a full disk."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

ROOM_BYTES = 2**20  # more than the log may hold (`LOG_PAGES`) and a deletion adds to it
LOG_PAGES = 100
LOG_SUFFIXES = ("-wal", "-shm")
ROOM_SUFFIX = "-room"

_Identity = tuple[int, int] | None


class SqliteFile:
    """A database's file while it is open.

    Parameters
    ----------
    path : Path
        There already.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._room = path.with_name(path.name + ROOM_SUFFIX)
        self._opened = _identity(path)
        self._log: _Identity = None
        self.keep_room()

    @property
    def moved(self) -> bool:
        """Whether the file was removed or another lies in its place; who writes to the old one writes to nowhere."""
        return _identity(self._path) != self._opened

    def note_log(self) -> None:
        """Remember which log is this file's."""
        self._log = _identity(_log_of(self._path))

    def forget_log(self) -> None:
        """Remove this file's log, which stays behind when the file is moved: SQLite would add it to the next one."""
        if self._log is not None and self._log == _identity(_log_of(self._path)):
            _remove_log(self._path)

    def keep_room(self) -> None:
        """Take some of the disk, as far as there is any, for whoever wants to delete when it is full."""
        try:
            if not self._room.exists():
                self._room.write_bytes(os.urandom(ROOM_BYTES))  # zeros would take no room on some disks
        except OSError:
            self.use_room()  # half of it is of no use

    def use_room(self) -> bool:
        """Give it back; return whether there was any."""
        try:
            self._room.unlink()
        except OSError:
            return False
        return True


def forget_log_of_none(path: Path) -> None:
    """Remove what is left beside a file that is gone."""
    if not path.exists():
        _remove_log(path)


def _remove_log(path: Path) -> None:
    for suffix in LOG_SUFFIXES:
        with contextlib.suppress(OSError):
            path.with_name(path.name + suffix).unlink()


def _log_of(path: Path) -> Path:
    return path.with_name(path.name + LOG_SUFFIXES[0])


def _identity(path: Path) -> _Identity:
    try:
        about = path.stat()
    except OSError:
        return None
    return about.st_dev, about.st_ino
