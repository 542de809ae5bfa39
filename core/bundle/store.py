"""How a bundle lies on disk: arrays, tables and JSON without pickle, and folders that appear whole or not at all."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load as load_safetensors
from safetensors.numpy import save as save_safetensors

from core.bundle.manifest import MANIFEST_FILE, FileEntry, Manifest, check_name
from core.errors import DamagedBundleError, InputError

AnyArray: TypeAlias = npt.NDArray[Any]

PARTIAL_SUFFIX = ".partial"
REPLACED_SUFFIX = ".replaced"
HASHED_AT_LOAD = 32 * 2**20


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Yield another path to write to; what lies there takes this one's place at the end, or goes after an error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}-{os.getpid()}{PARTIAL_SUFFIX}")
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def save_arrays(path: Path, arrays: Mapping[str, AnyArray], metadata: Mapping[str, str] | None = None) -> None:
    """Write named arrays, and words about them, as safetensors; equal ones give equal bytes.

    Raises
    ------
    InputError
        If an array holds anything but numbers or truth values.
    """
    for name, array in arrays.items():
        if array.dtype.kind not in "biuf":
            raise InputError(f"Array '{name}' holds {array.dtype}; a bundle stores numbers and truth values only.")
    ordered = {name: np.asarray(arrays[name], order="C") for name in sorted(arrays)}
    path.write_bytes(save_safetensors(ordered, dict(metadata) if metadata else None))


def load_arrays(path: Path) -> dict[str, AnyArray]:
    """Read named arrays written by `save_arrays`.

    Raises
    ------
    DamagedBundleError
        If the file is missing or not safetensors.
    """
    try:
        return load_safetensors(path.read_bytes())
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise _unreadable(path) from error


def load_metadata(path: Path) -> dict[str, str]:
    """Read the words that `save_arrays` wrote beside the arrays.

    Raises
    ------
    DamagedBundleError
        If the file is missing or not safetensors.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            return dict(file.metadata() or {})
    except (OSError, SafetensorError) as error:
        raise _unreadable(path) from error


def save_array(path: Path, array: AnyArray) -> None:
    """Write one array as ``.npy``, without pickle; for arrays too large to be read whole.

    Raises
    ------
    InputError
        If the array holds Python objects.
    """
    try:
        np.save(path, array, allow_pickle=False)
    except ValueError as error:
        raise InputError(f"An array for '{path.name}' holds Python objects; a bundle stores numbers only.") from error


def open_array(path: Path) -> AnyArray:
    """Map one ``.npy`` array into memory, read-only and without pickle.

    Raises
    ------
    DamagedBundleError
        If the file is missing or not such an array.
    """
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)  # type: ignore[no-any-return]
    except (OSError, ValueError, EOFError) as error:
        raise _unreadable(path) from error


def save_table(path: Path, table: pa.Table) -> None:
    """Write a table as parquet, the bytes of its floating-point columns in the order that compresses best."""
    numbers = [field.name for field in table.schema if pa.types.is_floating(field.type)]
    rest = [name for name in table.column_names if name not in numbers]
    pq.write_table(table, path, compression="zstd", use_dictionary=rest, use_byte_stream_split=numbers)


def load_table(path: Path) -> pa.Table:
    """Read a table written by `save_table`.

    Raises
    ------
    DamagedBundleError
        If the file is missing or not parquet.
    """
    try:
        return pq.read_table(path, memory_map=False, partitioning=None)
    except (OSError, pa.ArrowException) as error:
        raise _unreadable(path) from error


def save_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write a JSON object with sorted keys.

    Raises
    ------
    InputError
        If a value cannot be written as JSON or a number is not finite.
    """
    try:
        path.write_text(json.dumps(value, indent=1, sort_keys=True, allow_nan=False) + "\n", encoding="utf-8")
    except (TypeError, ValueError) as error:
        raise InputError(f"'{path.name}' cannot be written as JSON: {error}.") from error


def load_json(path: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises
    ------
    DamagedBundleError
        If the file is missing, not JSON, or not an object.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise _unreadable(path) from error
    if not isinstance(value, dict):
        raise _unreadable(path)
    return value


def file_sha256(path: Path) -> str:
    """SHA-256 (hex) of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


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
        if manifest.name != folder.name:
            raise InputError(f"The manifest names bundle '{manifest.name}', but its folder is '{folder.name}'.")
        manifest = manifest.with_files({name: _seal(partial / name) for name in list_files(partial)})
        _write_durably(partial / MANIFEST_FILE, manifest.to_text())
        for directory in [partial, *(path for path in partial.rglob("*") if path.is_dir())]:
            _flush(directory)
        _put_in_place(partial, folder)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return manifest


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


def _unreadable(path: Path) -> DamagedBundleError:
    state = "damaged" if path.is_file() else "missing"
    return DamagedBundleError(f"The bundle's file '{path.name}' in '{path.parent}' is {state}; build the bundle again.")


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
