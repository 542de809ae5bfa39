"""A table of ``path, label[, split]``, with paths relative to it: a CSV, or a parquet file without images in it."""

from __future__ import annotations

import csv
import io
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from telltale.base.errors import InputError
from telltale.data.image_set import LeftOut
from telltale.data.listing import NO_LABEL_REASON, Listed, Listing, class_name, shown
from telltale.data.opening import read_bytes
from telltale.data.split_names import OWN_SPLITS, split_of
from telltale.data.walking import File, has_image_suffix

PATH, LABEL, SPLIT = "path", "label", "split"
SUFFIXES = (".csv", ".parquet")
_DELIMITERS = ",;\t"
_NUMBER = re.compile(r"0|-?[1-9][0-9]*")


@dataclass(frozen=True)
class Index:
    """The rows of an index, as they stand there.

    Attributes
    ----------
    file : Path
    columns : tuple of str
        In lower case.
    rows : list of (str, list of str)
        What a row is called, and its cells.
    """

    file: Path
    columns: tuple[str, ...]
    rows: list[tuple[str, list[str]]]

    @property
    def is_one(self) -> bool:
        """Whether it has the columns of an index."""
        return {PATH, LABEL} <= set(self.columns)

    def state(self) -> list[object]:
        """Return what tells the index and its images from any others without reading the images."""
        found: list[object] = []
        for path in (self.file, *(self.file.parent / name for name in self._cells(PATH))):
            try:
                state = path.stat()
                found.append([str(path), state.st_size, state.st_mtime_ns, state.st_ctime_ns])
            except (OSError, ValueError):
                found.append([str(path)])
        return [*found, self._beside()]

    def _beside(self) -> list[str]:
        """Return the images in the folders of those that rows name: some may be new, and named by no row."""
        root = self.file.parent
        found: list[str] = []
        for folder in sorted({(root / name).parent for name in self._cells(PATH)}):
            try:
                if folder.resolve().is_relative_to(root.resolve()):
                    found += sorted(str(path) for path in folder.iterdir() if has_image_suffix(path.name))
            except (OSError, ValueError, RuntimeError):
                continue
        return found

    def _cells(self, column: str) -> Iterator[str]:
        if column in self.columns:
            place = self.columns.index(column)
            yield from (cells[place] for _, cells in self.rows if len(cells) > place)


def read_index(file: Path) -> Index:
    """Read an index.

    Raises
    ------
    InputError
        If it cannot be read, or is no table.
    """
    try:
        return _read_parquet(file) if file.suffix.lower() == ".parquet" else _read_csv(file)
    except UnicodeDecodeError as error:
        raise InputError(f"'{file}' is no UTF-8 text.") from error
    except csv.Error as error:
        raise InputError(f"'{file}' is no CSV: {error}.") from error
    except OSError as error:
        raise InputError(f"'{file}' cannot be read: {error.strerror}.") from error


def list_index(index: Index, source: str) -> Listing:
    """List the images that an index names, in its order.

    Rows that name no image of their own are left out by name: those without a label or with an unknown split, those
    whose file is missing, lies outside the index's folder or was named before; and all those that give one file
    several labels. So are the other images in the folders of those that it names, and columns that are not read.

    Raises
    ------
    InputError
        If a column is missing or there twice.
    """
    _check_columns(index, source)
    found: list[Listed] = []
    left_out = [LeftOut(f"column '{name}'", "not read") for name in index.columns if name not in (PATH, LABEL, SPLIT)]
    labels: dict[Path, set[str]] = {}
    rows: list[tuple[str, Path, str, str | None]] = []
    for name, cells in index.rows:
        row = _row(index, name, cells)
        if isinstance(row, LeftOut):
            left_out.append(row)
            continue
        rows.append(row)
        labels.setdefault(row[1], set()).add(row[2])
    named: dict[Path, str] = {}
    root = index.file.parent.resolve()
    for name, path, label, split in rows:
        written = shown(path.relative_to(root).as_posix())
        if len(labels[path]) > 1:
            given = " and ".join(f"'{label}'" for label in sorted(labels[path]))
            left_out.append(LeftOut(f"{name}, {written}", f"the rows give it several labels: {given}"))
        elif path in named:
            left_out.append(LeftOut(f"{name}, {written}", f"named before, in {named[path]}"))
        else:
            named[path] = name
            found.append(Listed(written, split, label, partial(read_bytes, path)))
    left_out += _unnamed(root, {path for _, path, _, _ in rows}, index.file)
    found.sort(key=lambda image: OWN_SPLITS.index(image.split) if image.split else 0)
    return Listing(index.file.stem, source, _numbered(found), len(found), left_out=left_out)


def _row(index: Index, name: str, cells: Sequence[str]) -> LeftOut | tuple[str, Path, str, str | None]:
    """Return a row's name, file, label and split, or why it is left out."""
    if len(cells) != len(index.columns):
        return LeftOut(name, f"it has {len(cells)} cells, and the table {len(index.columns)} columns")
    row = dict(zip(index.columns, cells, strict=True))
    written, label = row[PATH], class_name(row[LABEL].strip())
    called = f"{name}, {shown(written)}"
    path = _inside(index.file.parent.resolve(), written)
    if isinstance(path, str):
        return LeftOut(called, path)
    if not label:
        return LeftOut(called, NO_LABEL_REASON)
    split = split_of(row[SPLIT]) if SPLIT in row else None
    if SPLIT in row and split is None:
        return LeftOut(called, f"its split '{shown(row[SPLIT])}' is none of {', '.join(OWN_SPLITS)}")
    return name, path, label, split


def _inside(root: Path, written: str) -> Path | str:
    """Return the file that is meant, or why there is none; only files below the index's folder are ever opened."""
    if not written.strip():
        return "no path"
    try:
        path = (root / written).resolve()
        if not path.is_relative_to(root):
            return "leads out of the table's folder"
        return path if path.is_file() else "there is no such file"
    except (OSError, ValueError, RuntimeError):  # names that are too long, null bytes, loops of links
        return "no path of a file"


def _check_columns(index: Index, source: str) -> None:
    listed = ", ".join(shown(column) for column in index.columns) or "none"
    missing = [column for column in (PATH, LABEL) if column not in index.columns]
    if missing:
        raise InputError(
            f"'{source}' needs columns {PATH} and {LABEL}, and may have {SPLIT}; '{index.file.name}' has {listed}."
        )
    if any(index.columns.count(name) > 1 for name in (PATH, LABEL, SPLIT)):
        raise InputError(f"A column of '{source}' is there twice: {listed}.")


def _unnamed(root: Path, named: set[Path], table: Path) -> list[LeftOut]:
    """Return the images beside those that the table names."""
    found = []
    for folder in sorted({path.parent for path in named}):
        try:
            beside = sorted(folder.iterdir())
        except OSError:  # a folder may be entered and yet not be listed
            continue
        for path in beside:
            file = File(path, path.relative_to(root).parts)
            if file.has_image_suffix and path.is_file() and path.resolve() not in named:
                found.append(LeftOut(file.name, f"no row of '{table.name}' that is read names it"))
    return found


def _numbered(found: list[Listed]) -> list[Listed]:
    """Return the images with numbers for labels where every label is one, so that class 10 follows class 9."""
    if not all(_NUMBER.fullmatch(str(image.label)) for image in found):
        return found
    return [Listed(image.name, image.split, int(str(image.label)), image.read) for image in found]


def _read_csv(file: Path) -> Index:
    text = file.read_bytes().decode("utf-8-sig")
    head = next((line for line in text.splitlines() if line.strip()), "")
    delimiter = next((d for d in _DELIMITERS if {PATH, LABEL} <= set(_header(head.split(d)))), ",")
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True, strict=True)
    columns: tuple[str, ...] = ()
    rows = []
    for cells in reader:
        if not columns:
            columns = _header(cells)
        elif cells:
            rows.append((f"line {reader.line_num}", cells))
    return Index(file, columns, rows)


def _header(cells: Sequence[str]) -> tuple[str, ...]:
    return tuple(cell.strip().strip('"').lower() for cell in cells)


def _read_parquet(file: Path) -> Index:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        names = pq.read_schema(file).names
        wanted = [name for name in names if name.strip().lower() in (PATH, LABEL, SPLIT)]
        table: list[Mapping[str, object]] = pq.ParquetFile(file).read(columns=wanted).to_pylist()
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"'{file}' is no parquet file that can be read.") from error
    rows = [(f"row {n}", [_text(row.get(name)) for name in names]) for n, row in enumerate(table)]
    return Index(file, _header(names), rows)


def _text(cell: object) -> str:
    if cell is None or cell != cell:
        return ""
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))  # whole numbers beside missing ones, as pandas stores them
    return os.fsdecode(cell) if isinstance(cell, bytes) else str(cell)
