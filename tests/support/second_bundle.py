"""A second model beside the shipped one: its bundle under another name, reading some images otherwise."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa

from telltale.base.files import save_table
from telltale.bundle import load_bundle

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
    manifest = json.loads((copy / "manifest.json").read_text())
    written = (copy / "scores.parquet").read_bytes()
    manifest["files"]["scores.parquet"] = {"sha256": hashlib.sha256(written).hexdigest(), "bytes": len(written)}
    manifest["name"] = NAME
    if fingerprint is not None:
        manifest["data"]["fingerprint"] = fingerprint
    (copy / "manifest.json").write_text(json.dumps(manifest))
    return copy
