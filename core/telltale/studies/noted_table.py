"""A parquet table that carries with it what it came from, as a JSON object among its metadata."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa

from telltale.base.errors import DamagedBundleError
from telltale.base.files import load_table, save_table, whole
from telltale.base.places import newest

NOTE = b"telltale"
Stored = TypeVar("Stored")


def save_noted(file: Path, table: pa.Table, note: Mapping[str, Any], schema: pa.Schema) -> None:
    """Write a table with its note; the file appears whole or not at all.

    Parameters
    ----------
    file : Path
        Folders on the way are made.
    table : pyarrow.Table
        Cast to `schema`.
    note : mapping
        Written as JSON.
    schema : pyarrow.Schema
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(note, sort_keys=True).encode()
    with whole(file) as partial:
        save_table(partial, table.cast(schema).replace_schema_metadata({NOTE: text}))


def load_noted(file: Path, schema: pa.Schema, what: str, make: Callable[[pa.Table, dict[str, Any]], Stored]) -> Stored:
    """Read a table written by `save_noted`, and make what it stands for.

    Parameters
    ----------
    file : Path
    schema : pyarrow.Schema
    what : str
        What the table holds, for the sentence of the error.
    make : callable
        Takes the table and its note; may let any error of a note that lacks something through.

    Raises
    ------
    DamagedBundleError
        If the file is not such a table.
    """
    table = load_table(file)
    if table.schema.remove_metadata() != schema:
        raise DamagedBundleError(f"The file '{file.name}' does not hold {what}.")
    try:
        return make(table, dict(json.loads((table.schema.metadata or {})[NOTE])))
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise DamagedBundleError(f"The file '{file.name}' does not say what its figures came from.") from error


def newest_of(folder: Path, name: str, load: Callable[[Path], Stored]) -> Stored | None:
    """Load the table of a name, the person's own before the shipped one; None where there is neither.

    Parameters
    ----------
    folder : Path
        Of the shipped ones.
    name : str
    load : callable
        Reads one.
    """
    file = newest(folder / f"{name}.parquet")
    return load(file) if file.exists() else None
