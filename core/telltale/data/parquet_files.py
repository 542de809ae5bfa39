"""Parquet files of images in the hub's layout, read without the hub's library: every row once, no guess about files.

Which split a file holds can only be told by its name: all files are named by their splits, or none is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from telltale.base.errors import InputError
from telltale.data.image_set import LeftOut
from telltale.data.listing import Listing
from telltale.data.split_names import OWN_SPLITS, split_of
from telltale.data.tables import Columns, Feature, Table, has_images, listed_rows, stated_classes
from telltale.data.walking import File, Walk

ROWS_AT_ONCE = 64
_SHARD = re.compile(r"(.+?)-\d{5}-of-\d{5}(?:-.*)?")


@dataclass(frozen=True)
class _Part:
    """A file, and the split that its name says."""

    file: File
    split: str | None

    @property
    def known(self) -> str | None:
        return None if self.split is None else split_of(self.split)


def parquet_files(walk: Walk) -> list[File]:
    """Return the parquet files below a folder."""
    return [file for file in walk.files if file.path.suffix.lower() == ".parquet"]


def holds_images(file: Path) -> bool:
    """Return whether a parquet file has a column of images.

    Raises
    ------
    InputError
        If it cannot be read, so that nobody knows.
    """
    return has_images(_features(file))


def list_tables(
    walk: Walk, files: Sequence[File], source: str, columns: Columns, configurations: Sequence[str]
) -> Listing:
    """List the rows of parquet files.

    Parameters
    ----------
    walk : Walk
    files : sequence of File
        Its parquet files.
    source : str
        As messages call it.
    columns : pair of sequences of str
        Columns of images and of labels to prefer over others of a fitting type.
    configurations : sequence of str
        Folders of which one, where it is there, alone is meant.

    Raises
    ------
    InputError
        If a file cannot be read, has no such columns, or names classes where others do not.
    """
    meant = next((c for c in configurations if any(file.inside(0) and file.parts[0] == c for file in files)), None)
    taken = [file for file in files if meant is None or file.parts[0] == meant]
    left_out = [*walk.left_out]
    left_out += [LeftOut(file.name, "another configuration") for file in files if file not in taken]
    paths = {file.path for file in files}
    left_out += [LeftOut(f.name, "beside tables of images") for f in walk.files if f.path not in paths]
    parts = _parts(taken)
    if any(part.known for part in parts):
        others = [part for part in parts if part.known is None]
        left_out += [LeftOut(part.file.name, f"of the split '{part.split}', which is not read") for part in others]
        parts = [part for part in parts if part.known]
        parts.sort(key=lambda part: OWN_SPLITS.index(part.known or ""))
    tables = [_table(part.file, part.known) for part in parts]
    names = stated_classes(tables, columns, source)
    for table in tables:
        table.image_column(columns[0], source)
    return Listing(
        walk.root.name,
        source,
        listed_rows(tables, columns, source),
        sum(table.count for table in tables),
        class_names=names,
        named=False,
        left_out=left_out,
    )


def _parts(files: Sequence[File]) -> list[_Part]:
    """Tell the split of every file, or of none."""
    shards = [_SHARD.fullmatch(file.path.stem) for file in files]
    if all(shards):
        return [_Part(file, shard.group(1)) for file, shard in zip(files, shards, strict=True) if shard]
    for word in (_own_word, _folder_word, _any_word):
        words = [word(file) for file in files]
        if all(words):
            return [_Part(file, found) for file, found in zip(files, words, strict=True)]
    return [_Part(file, None) for file in files]


def _own_word(file: File) -> str | None:
    shard = _SHARD.fullmatch(file.path.stem)
    name = shard.group(1) if shard else file.path.stem
    return name if split_of(name) else None


def _folder_word(file: File) -> str | None:
    return next((part for part in file.parts[:-1] if split_of(part)), None)


def _any_word(file: File) -> str | None:
    words = [word for word in re.split(r"[\W_]+", file.path.stem) if split_of(word)]
    return words[0] if len({split_of(word) for word in words}) == 1 else None


def _table(file: File, split: str | None) -> Table:
    import pyarrow.parquet as pq

    features = _features(file.path)
    return Table(file.name, split, features, partial(_rows, file), pq.read_metadata(file.path).num_rows)


def _features(file: Path) -> dict[str, Feature]:
    """Return what each column holds: as the hub's metadata say, or else by its type."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        schema = pq.read_schema(file)
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"'{file}' is no parquet file that can be read.") from error
    try:
        described = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))["info"]["features"]
    except (ValueError, KeyError, TypeError):
        described = {}
    return {field.name: _feature(described, field) for field in schema}


def _feature(described: Any, field: Any) -> Feature:
    import pyarrow as pa

    told = described.get(field.name) if isinstance(described, Mapping) else None
    if isinstance(told, Mapping):
        return told
    if pa.types.is_struct(field.type):
        return {inner.name: {} for inner in field.type}
    return {"dtype": "binary"} if pa.types.is_binary(field.type) or pa.types.is_large_binary(field.type) else {}


def _rows(file: File, image: str, label: str) -> Iterator[tuple[Any, Any]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(file.path) as opened:
            for batch in opened.iter_batches(ROWS_AT_ONCE, columns=[image, label]):
                rows = batch.to_pydict()
                yield from zip(rows[image], rows[label], strict=True)
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"'{file.name}' is damaged: its rows cannot be read.") from error
