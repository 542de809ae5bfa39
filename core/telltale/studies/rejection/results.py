"""Stored attacks at growing budgets: one parquet file per bundle, with what it came from, read without torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from telltale.base.places import PRECOMPUTED, writable
from telltale.scores.rejection import SCHEMA
from telltale.studies.noted_table import load_noted, newest_of, save_noted

if TYPE_CHECKING:
    from telltale.bundle import Bundle

RESULTS = PRECOMPUTED / "results" / "rejection"


@dataclass(frozen=True)
class Origin:
    """What a table of attacks came from.

    Attributes
    ----------
    bundle, bundle_id : str
        Name and content id of the bundle that was attacked.
    data_fingerprint : str
        Of the data set that the images are from.
    code_sha256 : str
        Of Telltale's own code that attacked them.
    seed : int
        Of the choice of images and of the attacks.
    detector : str or None
        What the adaptive attacker hides from; None where there was no adaptive attacker.
    parameters : mapping of str to mapping
        Of every attack, besides its budget and what follows from it.
    """

    bundle: str
    bundle_id: str
    data_fingerprint: str
    code_sha256: str
    seed: int
    detector: str | None
    parameters: Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class StoredRejection:
    """A table of attacks with its origin.

    Attributes
    ----------
    table : pyarrow.Table
        With the columns of `telltale.scores.rejection.SCHEMA`.
    origin : Origin
    """

    table: pa.Table
    origin: Origin


def stored_at(bundle: Bundle) -> Path:
    """Return where the table of a bundle is written, outside an installed package."""
    return writable(RESULTS / f"{bundle.name}.parquet")


def full_command(bundle: Bundle) -> str:
    """Return the one command that computes what a bundle's page shows, and stores it there.

    Grey images are attacked within larger budgets than coloured ones, as in their fields; of the latter, whose networks
    are larger, fewer are attacked. A step that hides from all detectors takes long, so there are fewer than by default.
    """
    budgets, images = ("0,8,16,26,51", 100) if bundle.image_shape[0] == 1 else ("0,1,2,4,8", 40)
    named = f"telltale rejection {bundle.name} --eps {budgets} --attacks fgsm,pgd,apgd_ce,apgd_dlr --images {images}"
    return f"{named} --adaptive --set steps=40 --set restarts=1"


def save_rejection(file: Path, found: StoredRejection) -> None:
    """Write a table with its origin; the file appears whole or not at all."""
    save_noted(file, found.table, asdict(found.origin), SCHEMA)


def load_rejection(file: Path) -> StoredRejection:
    """Read a table written by `save_rejection`.

    Raises
    ------
    DamagedBundleError
        If the file is not such a table.
    """
    return load_noted(file, SCHEMA, "a table of attacks", lambda table, note: StoredRejection(table, Origin(**note)))


def stored_rejection(bundle: Bundle) -> StoredRejection | None:
    """Return what is stored about exactly this bundle; None where there is nothing, or it is about another build."""
    found = newest_of(RESULTS, bundle.name, load_rejection)
    return found if found is not None and found.origin.bundle_id == bundle.id else None
