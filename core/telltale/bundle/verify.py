"""Whether a bundle holds exactly the files it was built with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from telltale.base.errors import DamagedBundleError
from telltale.base.files import file_sha256
from telltale.bundle.manifest import FileEntry, Manifest
from telltale.bundle.store import HASHED_AT_LOAD, list_files, read_manifest

FileState: TypeAlias = Literal["ok", "damaged", "missing", "unexpected"]


@dataclass(frozen=True)
class FileReport:
    """State of one file.

    Attributes
    ----------
    file : str
        Path relative to the bundle's folder.
    state : {"ok", "damaged", "missing", "unexpected"}
    """

    file: str
    state: FileState


def verify_bundle(folder: Path) -> list[FileReport]:
    """Compare every file with the manifest, byte for byte.

    Parameters
    ----------
    folder : Path

    Returns
    -------
    list of FileReport
        Listed files in order, then files that the manifest does not know.

    Raises
    ------
    InputError
        If the folder has no manifest or it has another format version.
    DamagedBundleError
        If the manifest itself is damaged.
    """
    manifest = read_manifest(folder)
    reports = [FileReport(name, _state(folder / name, entry, True)) for name, entry in sorted(manifest.files.items())]
    return reports + [FileReport(name, "unexpected") for name in list_files(folder) if name not in manifest.files]


def check_at_load(folder: Path, manifest: Manifest, hashed: bool = True) -> None:
    """Check that every file is there at its size and, where `hashed`, the content of those under 32 MB.

    Raises
    ------
    DamagedBundleError
        Naming the first file that is missing or damaged.
    """
    for name, entry in sorted(manifest.files.items()):
        _require(folder, manifest, name, hashed and entry.bytes < HASHED_AT_LOAD)


def check_content(folder: Path, manifest: Manifest, name: str) -> None:
    """Check the content of one listed file, however large.

    Raises
    ------
    DamagedBundleError
        If it is missing or damaged.
    """
    _require(folder, manifest, name, hashed=True)


def _require(folder: Path, manifest: Manifest, name: str, hashed: bool) -> None:
    state = _state(folder / name, manifest.files[name], hashed)
    if state != "ok":
        raise DamagedBundleError(f"The file '{name}' of bundle '{manifest.name}' is {state}; build it again.")


def _state(path: Path, entry: FileEntry, hashed: bool) -> FileState:
    if not path.is_file():
        return "missing"
    if path.stat().st_size != entry.bytes:
        return "damaged"
    return "damaged" if hashed and file_sha256(path) != entry.sha256 else "ok"
