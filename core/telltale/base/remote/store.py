"""Files that were sent to this machine: named by their SHA-256, checked on arrival, as many as there is room for."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from pathlib import Path

from telltale.base.errors import InputError
from telltale.base.files import PARTIAL_SUFFIX, file_sha256

_NAME = re.compile(r"[0-9a-f]{64}")


class Store:
    """A folder that all workers of one person on one machine share.

    Parameters
    ----------
    folder : Path
        Made where it is missing, with rights for nobody else.
    most_bytes : int
        Beyond this the files that were used longest ago make room.
    """

    def __init__(self, folder: Path, most_bytes: int) -> None:
        self.folder = folder
        self._most_bytes = most_bytes
        self._verified: set[str] = set()
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def holds(self, sha256: str) -> bool:
        """Whether a file is here; its content is looked at the first time that this process asks for it."""
        file = self._file(sha256)
        try:
            if sha256 not in self._verified and file_sha256(file) != sha256:
                file.unlink()
                return False
            os.utime(file)
        except OSError:
            self._verified.discard(sha256)
            return False
        self._verified.add(sha256)
        return True

    def take(self, sha256: str, offset: int, piece: bytes, last: bool) -> None:
        """Take in a piece of a file; pieces come in order.

        Raises
        ------
        InputError
            If a piece is missing, or the whole is not what it was announced as.
        OSError
            If it cannot be written.
        """
        partial = self.folder / f".{self._file(sha256).name}-{os.getpid()}{PARTIAL_SUFFIX}"
        with partial.open("wb" if offset == 0 else "ab") as file:
            if file.tell() != offset:
                raise InputError(f"A piece of a file is missing before byte {offset}; send it again.")
            file.write(piece)
        if not last:
            return
        if file_sha256(partial) != sha256:
            partial.unlink()
            raise InputError("A file has arrived with another content than announced: it changed on the way.")
        partial.replace(self._file(sha256))
        self._verified.add(sha256)
        self._make_room(sha256)

    def lay(self, sha256: str, place: Path) -> bool:
        """Put a file at `place`, sharing its disk; return whether it is here."""
        if not self.holds(sha256):
            return False
        place.parent.mkdir(parents=True, exist_ok=True)
        place.unlink(missing_ok=True)
        try:
            os.link(self._file(sha256), place)
        except FileNotFoundError:  # it has made room for another meanwhile
            return False
        except OSError:  # another disk
            shutil.copyfile(self._file(sha256), place)
        return True

    def drop(self, sha256: str) -> None:
        """Forget a file, because somebody has written to it."""
        self._verified.discard(sha256)
        self._file(sha256).unlink(missing_ok=True)

    def _file(self, sha256: str) -> Path:
        if not _NAME.fullmatch(sha256):
            raise InputError("A file is named by its SHA-256, 64 hexadecimal digits.")
        return self.folder / sha256

    def _make_room(self, kept: str) -> None:
        found = []
        for file in self.folder.iterdir():
            with contextlib.suppress(OSError):
                found.append((file.stat().st_mtime_ns, file.stat().st_size, file))
        total = sum(size for _, size, _ in found)
        for _, size, file in sorted(found):
            if total <= self._most_bytes:
                return
            if file.name != kept:
                file.unlink(missing_ok=True)
                total -= size
