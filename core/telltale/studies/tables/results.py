"""Stored results of full runs: one parquet file per table, read without torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from telltale.base.errors import DamagedBundleError, InputError
from telltale.base.files import load_table, save_table, whole
from telltale.base.places import PRECOMPUTED, newest, writable
from telltale.studies.tables.table import Cell

RESULTS = PRECOMPUTED / "results"
NETWORK = b"network"
SCHEMA = pa.schema(
    {
        "row": pa.string(),
        "column": pa.string(),
        "paper": pa.float64(),
        "ours": pa.float64(),
        "low": pa.float64(),
        "high": pa.float64(),
        "n": pa.int64(),
        "note": pa.string(),
        "fpr": pa.list_(pa.float32()),
        "tpr": pa.list_(pa.float32()),
    }
)


def save_results(name: str, cells: Sequence[Cell], folder: Path = RESULTS, network: str | None = None) -> Path:
    """Write a table's cells; the file appears whole or not at all, outside an installed package.

    Parameters
    ----------
    name : str
    cells : sequence of Cell
    folder : Path
    network : str, optional
        What the cells were computed with, in words: a bundle may get another network later.
    """
    folder = writable(folder)
    folder.mkdir(parents=True, exist_ok=True)
    columns = {key: [getattr(cell, key) for cell in cells] for key in SCHEMA.names}
    file = folder / f"{name}.parquet"
    with whole(file) as partial:
        known = {} if network is None else {NETWORK: network.encode()}
        save_table(partial, pa.table(columns, schema=SCHEMA.with_metadata(known)))
    return file


def load_results(name: str, folder: Path = RESULTS) -> tuple[Cell, ...]:
    """Read the cells of a full run.

    Raises
    ------
    InputError
        If there is none of that table.
    DamagedBundleError
        If the file is not such a table.
    """
    table = _read(name, folder)
    return tuple(Cell(**row | {key: np.array(row[key]) for key in ("fpr", "tpr")}) for row in table.to_pylist())


def stored_network(name: str, folder: Path = RESULTS) -> str | None:
    """Return the network behind a full run, in words; None where it was not noted. Raises as `load_results`."""
    noted = (_read(name, folder).schema.metadata or {}).get(NETWORK)
    return None if noted is None else noted.decode(errors="replace")


def stored_results(folder: Path = RESULTS) -> tuple[str, ...]:
    """Return the names of all tables with a stored run."""
    return tuple(sorted({file.stem for place in (writable(folder), folder) for file in place.glob("*.parquet")}))


def _read(name: str, folder: Path) -> pa.Table:
    file = newest(folder / f"{name}.parquet")
    if not file.exists():
        raise InputError(f"No full run of '{name}' is stored; leave out --stored to compute it.")
    table = load_table(file)
    if table.schema.remove_metadata() != SCHEMA:
        raise DamagedBundleError(f"The file '{file.name}' does not hold a table's cells.")
    return table
