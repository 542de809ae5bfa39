"""A parquet table that carries with it what it came from, as a JSON object among its metadata."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from telltale.base.errors import DamagedBundleError
from telltale.base.files import load_table, save_table, whole

NOTE = b"telltale"


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


def load_noted(file: Path, schema: pa.Schema, what: str) -> tuple[pa.Table, dict[str, Any]]:
    """Read a table written by `save_noted`, and its note.

    Parameters
    ----------
    file : Path
    schema : pyarrow.Schema
    what : str
        What the table holds, for the sentence of the error.

    Raises
    ------
    DamagedBundleError
        If the file is not such a table.
    """
    table = load_table(file)
    if table.schema.remove_metadata() != schema:
        raise DamagedBundleError(f"The file '{file.name}' does not hold {what}.")
    try:
        note = json.loads((table.schema.metadata or {})[NOTE])
    except (KeyError, ValueError) as error:
        raise noteless(file) from error
    if not isinstance(note, dict):
        raise noteless(file)
    return table, note


def noteless(file: Path) -> DamagedBundleError:
    """Return the error for a table whose note is missing or lacks something."""
    return DamagedBundleError(f"The file '{file.name}' does not say what its figures came from.")
