"""A second model beside the shipped one: its bundle under another name, reading some images otherwise."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pyarrow as pa

from telltale.base.files import file_sha256, save_table
from telltale.bundle import load_bundle
from telltale.bundle.manifest import FileEntry
from telltale.bundle.store import read_manifest

NAME = "other"


def write_second(folder: Path, read: Mapping[int, int], fingerprint: str | None = None) -> Path:
    """Write a copy of the digits' bundle as `folder`/other.

    Parameters
    ----------
    folder : Path
    read : mapping of int to int
        By image, another class than the shipped model reads.
    fingerprint : str, optional
        Of other data than the shipped model's.
    """
    shipped = load_bundle("digits")
    copy = folder / NAME
    shutil.copytree(shipped.folder, copy)
    rows = shipped.scores.to_pylist()
    for row in rows:
        if row["kind"].startswith("natural") and row["image_id"] in read:
            row["prediction"] = read[row["image_id"]]
            row["kind"] = "natural" if row["prediction"] == row["label"] else "natural_error"
    save_table(copy / "scores.parquet", pa.Table.from_pylist(rows, schema=shipped.scores.schema))
    manifest = read_manifest(copy)
    written = FileEntry(file_sha256(copy / "scores.parquet"), (copy / "scores.parquet").stat().st_size)
    data = manifest.data if fingerprint is None else replace(manifest.data, fingerprint=fingerprint)
    changed = replace(manifest, name=NAME, data=data, files={**manifest.files, "scores.parquet": written})
    (copy / "manifest.json").write_text(changed.to_text())
    return copy
