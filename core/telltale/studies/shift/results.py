"""Stored alarms under natural shift: one parquet file per bundle, with what it came from, read without torch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from telltale.base.places import PRECOMPUTED, writable
from telltale.scores.rates import Rate
from telltale.scores.shift import AlarmsUnderShift, ShiftAlarms
from telltale.studies.noted_table import load_noted, newest_of, save_noted

if TYPE_CHECKING:
    from telltale.bundle import Bundle

RESULTS = PRECOMPUTED / "results" / "shift"
SCHEMA = pa.schema(
    {"shift": pa.string(), "title": pa.string(), "kept": pa.int64(), "name": pa.string(), "alarms": pa.int64()}
)


def shift_command(name: str) -> str:
    """Return the command that measures and stores the alarms of a bundle."""
    return f"telltale leaderboard {name} --shift --store"


def save_shift(bundle: Bundle, found: ShiftAlarms) -> Path:
    """Write a bundle's alarms, outside an installed package; the file appears whole or not at all."""
    file = writable(RESULTS / f"{bundle.name}.parquet")
    rows = [
        {"shift": shift.name, "title": shift.title, "kept": shift.kept, "name": name, "alarms": rate.count}
        for shift in found.shifts
        for name, rate in shift.alarms.items()
    ]
    origin = {"bundle_id": bundle.id, "alpha": found.alpha, "images": found.images}
    save_noted(file, pa.Table.from_pylist(rows, schema=SCHEMA), origin, SCHEMA)
    return file


def stored_shift(bundle: Bundle) -> ShiftAlarms | None:
    """Return what is stored about exactly this bundle; None where there is nothing, or it is about another build.

    Raises
    ------
    DamagedBundleError
        If the file is not such a table.
    """

    def made(table: pa.Table, origin: dict[str, Any]) -> tuple[str, ShiftAlarms]:
        return origin["bundle_id"], _from_rows(table, float(origin["alpha"]), int(origin["images"]))

    def load(file: Path) -> tuple[str, ShiftAlarms]:
        return load_noted(file, SCHEMA, "alarms under natural shift", made)

    found = newest_of(RESULTS, bundle.name, load)
    return found[1] if found is not None and found[0] == bundle.id else None


def _from_rows(table: pa.Table, alpha: float, images: int) -> ShiftAlarms:
    rows = table.to_pylist()
    kinds = dict.fromkeys((row["shift"], row["title"], row["kept"]) for row in rows)
    shifts = tuple(
        AlarmsUnderShift(
            name, title, kept, {row["name"]: Rate(row["alarms"], kept) for row in rows if row["shift"] == name}
        )
        for name, title, kept in kinds
    )
    return ShiftAlarms(alpha, images, tuple(dict.fromkeys(row["name"] for row in rows)), shifts)
