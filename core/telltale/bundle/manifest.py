"""A bundle's manifest: what it is, how it was made, and the checksum of every file."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias, TypeVar

from telltale.base.errors import DamagedBundleError, InputError

SCHEMA_VERSION = 1
MANIFEST_FILE = "manifest.json"

JsonObject: TypeAlias = dict[str, Any]
T = TypeVar("T")

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
_FILE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class DataReference:
    """The data a bundle was built on, by name and fingerprint; the images themselves are not in the bundle.

    Attributes
    ----------
    source : str
        What `telltale.data.sources.load_image_set` takes.
    fingerprint : str
        `ImageSet.fingerprint`.
    n : int
        Number of images.
    class_names : tuple of str
    image_shape : tuple of int
        (C, H, W).
    """

    source: str
    fingerprint: str
    n: int
    class_names: tuple[str, ...]
    image_shape: tuple[int, int, int]


@dataclass(frozen=True)
class FileEntry:
    """Checksum and size of one file.

    Attributes
    ----------
    sha256 : str
        Hexadecimal.
    bytes : int
    """

    sha256: str
    bytes: int


@dataclass(frozen=True)
class Manifest:
    """Everything a reader must know before opening any other file. Holds no time stamps: builds are repeatable.

    Attributes
    ----------
    name, title : str
        Folder name and the name shown to people.
    seed : int
        Seed of the whole build.
    data : DataReference
    layers : tuple of str, length L
    architecture : dict
        What `telltale.models.spec.ClassifierSpec.from_json` reads.
    accuracies : dict of str to float
        Share of correct predictions per split.
    attacks : tuple of dict
        Attacks behind the stored scores: name, parameters and what the build noted about them.
    detectors : dict of str to dict
        ``{"parameters": {...}, "selected_by": str}`` per detector.
    versions : dict of str to str
        Versions of Python and the libraries that built it.
    files : dict of str to FileEntry
        Every other file of the bundle by its path relative to the folder, with ``/`` between parts.
    notes : dict
        Free-form JSON.
    schema_version : int
    """

    name: str
    title: str
    seed: int
    data: DataReference
    layers: tuple[str, ...]
    architecture: JsonObject
    accuracies: dict[str, float]
    attacks: tuple[JsonObject, ...]
    detectors: dict[str, JsonObject]
    versions: dict[str, str]
    files: dict[str, FileEntry] = field(default_factory=dict)
    notes: JsonObject = field(default_factory=dict)
    schema_version: int = SCHEMA_VERSION

    def with_files(self, files: Mapping[str, FileEntry]) -> Manifest:
        """Return the manifest with its list of files replaced."""
        return replace(self, files=dict(files))

    def to_text(self) -> str:
        """Return the one JSON text of this manifest; it carries its own checksum.

        Raises
        ------
        InputError
            If a value cannot be written as JSON or a number is not finite.
        """
        body = self._body()
        return _dump({**body, "checksum": _checksum(body)})

    @classmethod
    def parse(cls, text: str) -> Manifest:
        """Read a manifest back.

        Raises
        ------
        InputError
            If it was written by another version of the format.
        DamagedBundleError
            If it is not JSON, lacks a key, holds a value of a wrong type or an unsafe file name, or was changed.
        """
        try:
            raw = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise DamagedBundleError(f"{MANIFEST_FILE} is not valid JSON; build the bundle again.") from error
        if not isinstance(raw, dict):
            raise _damaged("its top level", "an object")
        version = _take(raw, "schema_version", int)
        if version != SCHEMA_VERSION:
            raise InputError(
                f"The bundle has format version {version}; this Telltale reads version {SCHEMA_VERSION}: "
                "build the bundle again."
            )
        manifest = cls._from_body(raw)
        if manifest.to_text() != text:
            raise DamagedBundleError(f"{MANIFEST_FILE} was changed after the bundle was built; build the bundle again.")
        return manifest

    def _body(self) -> JsonObject:
        return {
            "schema_version": self.schema_version,
            "name": self.name,
            "title": self.title,
            "seed": self.seed,
            "data": {
                "source": self.data.source,
                "fingerprint": self.data.fingerprint,
                "n": self.data.n,
                "class_names": list(self.data.class_names),
                "image_shape": list(self.data.image_shape),
            },
            "layers": list(self.layers),
            "architecture": self.architecture,
            "accuracies": {name: float(value) for name, value in self.accuracies.items()},
            "attacks": list(self.attacks),
            "detectors": self.detectors,
            "versions": self.versions,
            "files": {name: {"sha256": entry.sha256, "bytes": entry.bytes} for name, entry in self.files.items()},
            "notes": self.notes,
        }

    @classmethod
    def _from_body(cls, raw: JsonObject) -> Manifest:
        return cls(
            name=check_name(_take(raw, "name", str)),
            title=_take(raw, "title", str),
            seed=_take(raw, "seed", int),
            data=_parse_data(_take(raw, "data", dict)),
            layers=tuple(_list_of(raw, "layers", str)),
            architecture=_take(raw, "architecture", dict),
            accuracies={name: float(v) for name, v in _mapping_of(raw, "accuracies", (int, float)).items()},
            attacks=tuple(_list_of(raw, "attacks", dict)),
            detectors=_parse_detectors(_mapping_of(raw, "detectors", dict)),
            versions=_mapping_of(raw, "versions", str),
            files={name: _parse_file(name, entry) for name, entry in _mapping_of(raw, "files", dict).items()},
            notes=_take(raw, "notes", dict),
            schema_version=SCHEMA_VERSION,
        )


def check_name(name: str) -> str:
    """Return a bundle's name if it is safe as the name of a folder.

    Raises
    ------
    InputError
        If it is empty or holds anything but letters, digits, ``_`` and ``-``.
    """
    if not _NAME.fullmatch(name):
        raise InputError(f"A bundle's name is made of letters, digits, '_' and '-'; got {name!r}.")
    return name


def check_file_name(name: str) -> str:
    """Return the relative path of a bundle's file if it stays inside the folder.

    Raises
    ------
    DamagedBundleError
        If it is absolute, climbs out of the folder or is the manifest itself.
    """
    if not _FILE.fullmatch(name) or name == MANIFEST_FILE:
        raise DamagedBundleError(f"{MANIFEST_FILE} lists the unsafe file name {name!r}; do not use this bundle.")
    return name


def _dump(value: JsonObject) -> str:
    try:
        # Through JSON once first: keys that are not text sort differently before and after they become text.
        value = json.loads(json.dumps(value, allow_nan=False))
        return json.dumps(value, indent=1, sort_keys=True, allow_nan=False, ensure_ascii=False) + "\n"
    except (TypeError, ValueError) as error:
        raise InputError(f"The manifest cannot be written as JSON: {error}.") from error


def _checksum(body: JsonObject) -> str:
    return hashlib.sha256(_dump(body).encode()).hexdigest()


def _damaged(what: str, expected: str) -> DamagedBundleError:
    return DamagedBundleError(f"{MANIFEST_FILE} is damaged: {what} must be {expected}.")


def _is(value: object, kind: type | tuple[type, ...]) -> bool:
    # JSON's true is a Python int; nothing in a manifest's own keys is a truth value.
    if isinstance(value, bool) or not isinstance(value, kind):
        return False
    return not isinstance(value, float) or math.isfinite(value)


def _words(kind: type | tuple[type, ...]) -> str:
    return "a number" if isinstance(kind, tuple) else {str: "text", int: "an integer", dict: "an object"}[kind]


def _take(raw: JsonObject, key: str, kind: type[T]) -> T:
    if key not in raw:
        raise DamagedBundleError(f"{MANIFEST_FILE} is damaged: '{key}' is missing.")
    value = raw[key]
    if not _is(value, kind):
        raise _damaged(f"'{key}'", _words(kind) if kind is not list else "a list")
    return value  # type: ignore[no-any-return]


def _list_of(raw: JsonObject, key: str, kind: type) -> list[Any]:
    values = _take(raw, key, list)
    if not all(_is(value, kind) for value in values):
        raise _damaged(f"every entry of '{key}'", _words(kind))
    return values


def _mapping_of(raw: JsonObject, key: str, kind: type | tuple[type, ...]) -> dict[str, Any]:
    values = _take(raw, key, dict)
    if not all(_is(value, kind) for value in values.values()):
        raise _damaged(f"every entry of '{key}'", _words(kind))
    return values


def _parse_data(raw: JsonObject) -> DataReference:
    shape = _list_of(raw, "image_shape", int)
    if len(shape) != 3 or min(shape) < 1:
        raise _damaged("'image_shape'", "three positive integers")
    return DataReference(
        source=_take(raw, "source", str),
        fingerprint=_take(raw, "fingerprint", str),
        n=_take(raw, "n", int),
        class_names=tuple(_list_of(raw, "class_names", str)),
        image_shape=(shape[0], shape[1], shape[2]),
    )


def _parse_detectors(raw: dict[str, JsonObject]) -> dict[str, JsonObject]:
    for entry in raw.values():
        _take(entry, "parameters", dict)
        _take(entry, "selected_by", str)
    return raw


def _parse_file(name: str, raw: JsonObject) -> FileEntry:
    entry = FileEntry(_take(raw, "sha256", str), _take(raw, "bytes", int))
    if not _SHA256.fullmatch(entry.sha256) or entry.bytes < 0:
        raise _damaged(f"the entry of '{name}'", "a SHA-256 and a size in bytes")
    check_file_name(name)
    return entry
