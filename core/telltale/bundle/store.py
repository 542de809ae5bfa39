"""How a bundle lies on disk: arrays, tables and JSON without pickle, and folders that appear whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from telltale.base.errors import InputError
from telltale.base.files import PARTIAL_SUFFIX, file_sha256
from telltale.bundle.manifest import MANIFEST_FILE, FileEntry, Manifest, check_name

REPLACED_SUFFIX = ".replaced"
HASHED_AT_LOAD = 32 * 2**20


def write_bundle(folder: Path, fill: Callable[[Path], Manifest]) -> Manifest:
    """Create or replace a bundle's folder as a whole.

    Everything is written to the sibling ``NAME.partial``, flushed to disk, hashed into the manifest, which is
    written last, and then renamed into place. A bundle that is being replaced waits as ``NAME.replaced``, where
    readers still find it (`find_folder`), so that a kill at any moment leaves either the old bundle or the new one.

    Parameters
    ----------
    folder : Path
        Where the bundle will lie; its last part is the bundle's name.
    fill : callable
        Given an empty folder, writes every file but the manifest into it and returns the manifest; `files` is filled
        in afterwards.

    Returns
    -------
    Manifest
        With its list of files.

    Raises
    ------
    InputError
        If the name is not a bundle's name, the manifest bears another, or the folder holds something else.
    """
    check_name(folder.name)
    folder.parent.mkdir(parents=True, exist_ok=True)
    _clear_the_way(folder)
    partial = _sibling(folder, PARTIAL_SUFFIX)
    partial.mkdir()
    try:
        manifest = fill(partial)
        check_folder(folder, manifest.name)
        manifest = manifest.with_files({name: _seal(partial / name) for name in list_files(partial)})
        _write_durably(partial / MANIFEST_FILE, manifest.to_text())
        for directory in [partial, *(path for path in partial.rglob("*") if path.is_dir())]:
            _flush(directory)
        _put_in_place(partial, folder)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return manifest


def check_folder(folder: Path, name: str) -> None:
    """Refuse a folder that is not called as the bundle in it, by which it is found.

    Raises
    ------
    InputError
    """
    if folder.name != name:
        raise InputError(f"The folder of the bundle '{name}' must be called '{name}'. Got '{folder}' instead.")


def find_folder(folder: Path) -> Path | None:
    """Return where the bundle can be read from: its folder, or the replaced one if a kill fell between two renames."""
    candidates = (folder, _sibling(folder, REPLACED_SUFFIX))
    return next((path for path in candidates if (path / MANIFEST_FILE).is_file()), None)


def list_files(folder: Path) -> list[str]:
    """Return the relative path of every file under a bundle's folder but its manifest, in order."""
    paths = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir())
    return sorted(path for path in paths if path != MANIFEST_FILE)


def read_manifest(folder: Path) -> Manifest:
    """Read a bundle's manifest.

    Raises
    ------
    InputError
        If there is none, or it has another format version.
    DamagedBundleError
        If it is damaged.
    """
    return Manifest.parse(read_manifest_bytes(folder).decode("utf-8", errors="replace"))


def read_manifest_bytes(folder: Path) -> bytes:
    """Read the bytes of a bundle's manifest.

    Raises
    ------
    InputError
        If there is none.
    """
    try:
        return (folder / MANIFEST_FILE).read_bytes()
    except OSError as error:
        raise InputError(f"'{folder}' is not a bundle: it has no {MANIFEST_FILE}.") from error


def _sibling(folder: Path, suffix: str) -> Path:
    return folder.with_name(folder.name + suffix)


def _clear_the_way(folder: Path) -> None:
    """Undo what an earlier kill left behind; refuse to replace a folder that is not a bundle."""
    replaced = _sibling(folder, REPLACED_SUFFIX)
    if replaced.exists() and not folder.exists():
        replaced.rename(folder)
    if folder.exists() and not (folder / MANIFEST_FILE).is_file() and (folder.is_file() or any(folder.iterdir())):
        raise InputError(f"'{folder}' exists and is not a bundle; it was left as it is.")
    shutil.rmtree(replaced, ignore_errors=True)
    shutil.rmtree(_sibling(folder, PARTIAL_SUFFIX), ignore_errors=True)


def _put_in_place(partial: Path, folder: Path) -> None:
    replaced = _sibling(folder, REPLACED_SUFFIX)
    if folder.exists():
        folder.rename(replaced)
    partial.rename(folder)
    _flush(folder.parent)
    shutil.rmtree(replaced, ignore_errors=True)


def _seal(path: Path) -> FileEntry:
    _flush(path)
    return FileEntry(file_sha256(path), path.stat().st_size)


def _write_durably(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
    _flush(path)


def _flush(path: Path) -> None:
    """Ask the system to put a file or a folder's entries on disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
