"""A job on another machine: its files are laid out there as they lie here, and what it has written is handed back."""

from __future__ import annotations

import hashlib
import os
import shutil
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from telltale.base.calls import Call, do
from telltale.base.errors import InputError
from telltale.base.outcomes import Outcome
from telltale.base.places import cache_folder
from telltale.base.remote.job_files import moved, places
from telltale.base.remote.store import Store

ROOM_VARIABLE = "TELLTALE_SENT_MB"
ROOM_MB = 4096


@dataclass(frozen=True)
class Content:
    """A file that a job reads: its absolute path where the job was made, and what is in it."""

    path: Path
    sha256: str


@dataclass(frozen=True)
class Errand:
    """A call for a worker that shares no disk with whoever asks.

    Attributes
    ----------
    session : str
        Whoever asks; errands of one session find each other's files.
    call : Call
        All its paths are absolute ones of the machine that asks.
    files : tuple of Content
        What it reads.
    """

    session: str
    call: Call
    files: tuple[Content, ...]


@dataclass(frozen=True)
class Written:
    """A file that a job has written: its absolute path where it is wanted, and its bytes."""

    path: Path
    sha256: str
    data: bytes


@dataclass(frozen=True)
class Lacking:
    """What a worker must be sent before it can begin: SHA-256 of files."""

    worker: str
    sha256s: tuple[str, ...]


def run_errand(errand: Errand) -> Outcome:
    """Do one call in a worker.

    Returns
    -------
    Outcome
        Its value is `Lacking`, or the tuple of all `Written` files in the order in which they were written.
    """
    from distributed import get_worker

    worker = get_worker()
    tree = _tree(Path(worker.local_directory), errand.session)
    lacking = tree.lay_out(errand.files)
    if lacking:
        return Outcome(value=Lacking(str(worker.address), lacking))
    for place in places(errand.call.argument):
        tree.place(place).parent.mkdir(parents=True, exist_ok=True)
    outcome = do(Call(errand.call.function, moved(errand.call.argument, tree.place)))
    written = tree.collect()
    if outcome.error is not None:
        return Outcome(error=_as_seen_from_home(outcome.error, tree.root, f"{worker.name}"))
    return Outcome(value=written)


def _as_seen_from_home(error: BaseException, root: Path, worker: str) -> BaseException:
    """Say where an error comes from, and name places as they are called where the job was made."""
    words = [arg.replace(str(root), "") if isinstance(arg, str) else arg for arg in error.args]
    if words and isinstance(words[0], str):
        words[0] = f"On the worker {worker}: {words[0]}"
    again = type(error)(*words)
    for note in getattr(error, "__notes__", ()):
        again.add_note(note)
    return again


def lacks(sha256s: tuple[str, ...]) -> tuple[str, ...]:
    """Return which files must be sent to this worker."""
    return tuple(sha256 for sha256 in sha256s if not store().holds(sha256))


def take_piece(sha256: str, offset: int, piece: bytes, last: bool) -> None:
    """Take in a piece of a file; see `Store.take`."""
    store().take(sha256, offset, piece, last)


_stores: dict[Path, Store] = {}


def store() -> Store:
    """Return this machine's store of files that were sent.

    Raises
    ------
    InputError
        If ``TELLTALE_SENT_MB`` is no whole number.
    OSError
        If nothing can be kept.
    """
    folder = cache_folder() / "sent"
    if folder not in _stores:
        room = os.environ.get(ROOM_VARIABLE, "").strip() or str(ROOM_MB)
        if not room.isascii() or not room.isdigit():
            raise InputError(f"The environment variable {ROOM_VARIABLE} must be a whole number. Got {room!r}.")
        _stores[folder] = Store(folder, int(room) << 20)
    return _stores[folder]


class _Tree:
    """The files of one session, in a folder that stands for the root of the disk that they come from."""

    def __init__(self, root: Path, store: Store) -> None:
        self.root = root
        self._store = store
        self._laid: dict[Path, tuple[str, object]] = {}  # what lies where, and the mark that tells if it was changed

    def place(self, path: Path) -> Path:
        """Return where a path of the session's machine lies here."""
        return self.root / path.relative_to(path.anchor)

    def lay_out(self, files: tuple[Content, ...]) -> tuple[str, ...]:
        """Let exactly these files lie here, and return the content of those that this machine lacks."""
        wanted = {self.place(file.path): file.sha256 for file in files}
        for place in [place for place in self._laid if place not in wanted]:
            del self._laid[place]
            place.unlink(missing_ok=True)
        return tuple(sorted({sha256 for place, sha256 in wanted.items() if not self._lay(place, sha256)}))

    def _lay(self, place: Path, sha256: str) -> bool:
        if place in self._laid and self._laid[place][0] == sha256:
            return True
        if not self._store.lay(sha256, place):
            return False
        self._laid[place] = (sha256, _mark(place))
        return True

    def collect(self) -> tuple[Written, ...]:
        """Take away and return every file that is new or was changed."""
        new = sorted(self._changed(), key=lambda file: file.stat().st_mtime_ns)
        written = tuple(self._taken(file) for file in new)
        for file in new:
            file.unlink()
        return written

    def _changed(self) -> Iterator[Path]:
        for file in self.root.rglob("*"):
            laid = self._laid.get(file)
            if not file.is_file() or (laid is not None and laid[1] == _mark(file)):
                continue
            if laid is not None:
                self._store.drop(laid[0])  # it may have been written to in place
                del self._laid[file]
            yield file

    def _taken(self, file: Path) -> Written:
        data = file.read_bytes()
        return Written(Path("/") / file.relative_to(self.root), hashlib.sha256(data).hexdigest(), data)


def _mark(file: Path) -> object:
    about = file.stat()
    return about.st_ino, about.st_size, about.st_mtime_ns


_trees: dict[str, _Tree] = {}


def _tree(folder: Path, session: str) -> _Tree:
    """Return the session's files here; those of another session that came before are gone then."""
    if session not in _trees:
        for other in _trees.values():
            shutil.rmtree(other.root, ignore_errors=True)
        _trees.clear()
        _trees[session] = _Tree(folder / f"telltale-{session}", store())
    return _trees[session]


def put_in_place(argument: Any, written: tuple[Written, ...]) -> None:
    """Put everything that a job has written where it belongs, or nothing.

    Parameters
    ----------
    argument : object
        Of the job; files that lie nowhere that it names are refused.
    written : tuple of Written

    Raises
    ------
    ValueError
        If a file has not arrived as it was sent, or does not belong to the job.
    """
    named = set(places(argument))
    for file in written:
        if hashlib.sha256(file.data).hexdigest() != file.sha256:
            raise ValueError(f"'{file.path}' has not arrived from the worker as it was sent.")
        if ".." in file.path.parts or not named & {file.path, *file.path.parents}:
            raise ValueError(f"A worker has sent '{file.path}', which its job does not name.")
    partials = [(file.path.with_name(f".{file.path.name}-{uuid.uuid4().hex}.partial"), file) for file in written]
    try:
        for partial, file in partials:
            partial.parent.mkdir(parents=True, exist_ok=True)
            partial.write_bytes(file.data)
        for partial, file in partials:
            partial.replace(file.path)
    finally:
        for partial, _ in partials:
            partial.unlink(missing_ok=True)
