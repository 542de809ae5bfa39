"""Content addresses of requests, and a cache of results bounded by the bytes it holds."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Generic, TypeVar

import numpy as np

from telltale.base.errors import InputError

Value = TypeVar("Value")

_OVERHEAD = 64  # rough bytes of one small Python object


def fingerprint(value: object) -> str:
    """Return the SHA-256 of a request's content, in hex.

    Arrays count with their dtype, shape and every byte, so that a change of one pixel changes the address. Lists and
    tuples with equal items are the same content, as are mappings with equal entries in any order.

    Raises
    ------
    InputError
        If something inside has no defined content, such as an open file or an array of objects.
    """
    digest = hashlib.sha256()
    for piece in _pieces(value):
        # Lengths keep neighbours apart: ("ab", "c") must not meet ("a", "bc").
        digest.update(len(piece).to_bytes(8, "little"))
        digest.update(piece)
    return digest.hexdigest()


def _pieces(value: object) -> Iterator[bytes | memoryview]:
    if isinstance(value, np.ndarray | np.generic):
        yield from _array_pieces(np.asarray(value))
    elif value is None or isinstance(value, bool | int | str):
        yield f"{type(value).__name__}:{value}".encode("utf-8", "surrogatepass")
    elif isinstance(value, float):
        yield f"float:{value.hex()}".encode()
    elif isinstance(value, bytes):
        yield b"bytes"
        yield value
    else:
        yield from _container_pieces(value)


def _array_pieces(array: np.ndarray) -> Iterator[bytes | memoryview]:
    if array.dtype.hasobject:
        raise InputError("An array of Python objects cannot be part of a request; use numbers.")
    yield f"array:{array.dtype.str}:{array.shape}".encode()
    yield np.ascontiguousarray(array).tobytes()


def _container_pieces(value: object) -> Iterator[bytes | memoryview]:
    if isinstance(value, Mapping):
        entries = sorted(((fingerprint(key), item) for key, item in value.items()), key=lambda entry: entry[0])
        yield f"mapping:{len(entries)}".encode()
        for key, item in entries:
            yield key.encode()
            yield from _pieces(item)
    elif isinstance(value, list | tuple):
        yield f"sequence:{len(value)}".encode()
        for item in value:
            yield from _pieces(item)
    elif is_dataclass(value) and not isinstance(value, type):
        yield f"dataclass:{type(value).__module__}.{type(value).__qualname__}".encode()
        yield from _pieces({field.name: getattr(value, field.name) for field in fields(value)})
    else:
        raise InputError(f"A {type(value).__name__} cannot be part of a request; use numbers, text and arrays.")


def parts(value: object) -> Iterator[object]:
    """Yield `value` and everything reachable from it through containers and dataclasses."""
    yield value
    if isinstance(value, Mapping):
        children: list[object] = [*value.keys(), *value.values()]
    elif isinstance(value, list | tuple | set | frozenset):
        children = list(value)
    elif is_dataclass(value) and not isinstance(value, type):
        children = [getattr(value, field.name) for field in fields(value)]
    else:
        return
    for child in children:
        yield from parts(child)


def content_size(value: object) -> int:
    """Return roughly how many bytes `value` holds; exact for the arrays, which dominate."""
    total = 0
    for part in parts(value):
        total += _OVERHEAD
        if isinstance(part, np.ndarray):
            total += part.nbytes
        elif isinstance(part, str | bytes):
            total += len(part)
    return total


def freeze(value: Value) -> Value:
    """Make every array inside `value` read-only: one result is handed to many sessions at once."""
    for part in parts(value):
        if isinstance(part, np.ndarray):
            part.flags.writeable = False
    return value


class ResultCache(Generic[Value]):
    """Least-recently-used results, bounded by their total bytes; safe to use from several threads.

    Parameters
    ----------
    max_bytes : int
        Bound on the sum of the stored results' sizes. A larger single result is not stored.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._entries: OrderedDict[str, tuple[Value, int]] = OrderedDict()
        self._total = 0
        self._lock = threading.Lock()

    @property
    def total_bytes(self) -> int:
        """Bytes held now."""
        return self._total

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: str) -> Value | None:
        """Return the result stored under `key`, or None."""
        with self._lock:
            entry = self._entries.get(key)
            if entry is None:
                return None
            self._entries.move_to_end(key)
            return entry[0]

    def put(self, key: str, value: Value) -> None:
        """Store a result and drop the least recently used ones that no longer fit."""
        size = content_size(value)
        with self._lock:
            self._drop(key)
            if size > self._max_bytes:
                return
            self._entries[key] = (value, size)
            self._total += size
            while self._total > self._max_bytes:
                self._drop(next(iter(self._entries)))

    def _drop(self, key: str) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            self._total -= entry[1]
