"""Which files a job reads and where it writes, found by walking its fields, and the same job with other places."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from telltale.base.files import PARTIAL_SUFFIX


@runtime_checkable
class ReadsFiles(Protocol):
    """Part of a job that names a folder of which it reads some files and no others."""

    def files_read(self) -> Iterable[Path]:
        """Return the files, whether they are there or not."""


def places(value: object) -> Iterator[Path]:
    """Yield every path in a job: files that it reads, files that it writes, folders in which it does either."""
    if isinstance(value, Path):
        yield value
    for part in _parts(value):
        yield from places(part)


def files_read(value: object) -> list[Path]:
    """Return the files that a job reads, of those that are there: what it names, and all that lies in named folders."""
    return sorted({file for file in _read(value) if file.is_file()})


def _read(value: object) -> Iterator[Path]:
    if isinstance(value, ReadsFiles) and not isinstance(value, type):
        yield from value.files_read()
        return
    if isinstance(value, Path):
        yield from (file for file in value.rglob("*") if file.suffix != PARTIAL_SUFFIX) if value.is_dir() else [value]
    for part in _parts(value):
        yield from _read(part)


def _parts(value: object) -> Iterator[object]:
    if isinstance(value, Mapping):
        yield from value.values()
    elif isinstance(value, list | tuple):
        yield from value
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        yield from (getattr(value, field.name) for field in dataclasses.fields(value))


def moved(value: Any, move: Callable[[Path], Path]) -> Any:
    """Return a job with every path replaced; parts without paths stay the objects that they are."""
    if isinstance(value, Path):
        return move(value)
    if next(places(value), None) is None:
        return value
    if isinstance(value, Mapping):
        return {key: moved(part, move) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(moved(part, move) for part in value)
    changed = {field.name: moved(getattr(value, field.name), move) for field in dataclasses.fields(value)}
    return dataclasses.replace(value, **changed)
