"""Files without pickle: arrays, tables and JSON, each whole or not there at all."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
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

from telltale.base.errors import DamagedBundleError, InputError

AnyArray: TypeAlias = npt.NDArray[Any]

PARTIAL_SUFFIX = ".partial"


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


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Yield another folder to write to, which takes this one's place at the end, or goes after an error.

    Raises
    ------
    OSError
        If it cannot be made, or something lies in the place that is no empty folder.
    """
    partial = path.with_name(f".{path.name}-{os.getpid()}{PARTIAL_SUFFIX}")
    try:
        partial.mkdir(parents=True)
        yield partial
        partial.rename(path)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


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


def load_one_array(path: Path, name: str) -> AnyArray:
    """Read one of the arrays written by `save_arrays`, and no other.

    Raises
    ------
    DamagedBundleError
        If the file is missing, not safetensors, or lacks the array.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            return np.asarray(file.get_tensor(name))
    except (OSError, SafetensorError) as error:
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


def _unreadable(path: Path) -> DamagedBundleError:
    state = "damaged" if path.is_file() else "missing"
    return DamagedBundleError(f"The bundle's file '{path.name}' in '{path.parent}' is {state}; build the bundle again.")
