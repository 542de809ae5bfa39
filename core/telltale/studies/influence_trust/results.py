"""The stored study: the correlation of every method on every test image; one parquet file, read without torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from telltale.base.places import PRECOMPUTED, writable
from telltale.studies.noted_table import load_noted, newest_of, save_noted

if TYPE_CHECKING:
    from telltale.bundle import Bundle

RESULTS = PRECOMPUTED / "results" / "influence_trust"

METHOD, IMAGE_ID, CORRELATION = "method", "image_id", "correlation"
# One row per method and test image: Spearman's correlation over subsets, whose mean over images is the score.
SCHEMA = pa.schema({METHOD: pa.string(), IMAGE_ID: pa.int64(), CORRELATION: pa.float64()})


@dataclass(frozen=True)
class Origin:
    """What a table came from.

    Attributes
    ----------
    recipe : str
    data_fingerprint : str
        Of the data set, before its images were averaged down.
    code_sha256 : str
        Of Telltale's own code.
    training_images, images : int
        How many there were of either.
    plan : mapping
        `Plan`, field by field.
    """

    recipe: str
    data_fingerprint: str
    code_sha256: str
    training_images: int
    images: int
    plan: Mapping[str, int]


@dataclass(frozen=True)
class Retraining:
    """How well and how alike the retrained networks read the test images.

    Attributes
    ----------
    accuracy, accuracy_of_halves : float
        Share of the test images that the explained network reads correctly, and the retrained ones on average.
    agreement : float or None
        Mean rank correlation of the margins of two networks retrained on the same subsets; None with one repeat.
    subset_errors : mapping of str to float
        Standard error of every method's score that comes from which subsets were drawn, by method.
    """

    accuracy: float
    accuracy_of_halves: float
    agreement: float | None
    subset_errors: Mapping[str, float]


@dataclass(frozen=True)
class StoredTrust:
    """A table with the columns of `SCHEMA`, its origin, and what is known about the retrained networks."""

    table: pa.Table
    origin: Origin
    retraining: Retraining


def stored_at(recipe: str) -> Path:
    """Return where the table of a recipe is written, outside an installed package."""
    return writable(RESULTS / f"{recipe}.parquet")


def trust_command(recipe: str) -> str:
    """Return the command that measures and stores what a page shows."""
    return f"telltale influence-lds {recipe}"


def save_trust(file: Path, found: StoredTrust) -> None:
    """Write a table with its note; the file appears whole or not at all."""
    save_noted(file, found.table, {"origin": asdict(found.origin), "retraining": asdict(found.retraining)}, SCHEMA)


def load_trust(file: Path) -> StoredTrust:
    """Read a table written by `save_trust`.

    Raises
    ------
    DamagedBundleError
        If the file is not such a table.
    """

    def made(table: pa.Table, note: dict[str, Any]) -> StoredTrust:
        return StoredTrust(table, Origin(**note["origin"]), _retraining(**note["retraining"]))

    return load_noted(file, SCHEMA, "a study of influence", made)


def stored_trust(recipe: str) -> StoredTrust | None:
    """Return what is stored about a recipe; None where there is nothing."""
    return newest_of(RESULTS, recipe, load_trust)


def trust_of(bundle: Bundle) -> StoredTrust | None:
    """Return what is stored about a bundle's data, by its name; None where there is nothing, or it is of other data."""
    found = stored_trust(bundle.name)
    same = found is not None and found.origin.data_fingerprint == bundle.manifest.data.fingerprint
    return found if same else None


def _retraining(accuracy: Any, accuracy_of_halves: Any, agreement: Any, subset_errors: Mapping[str, Any]) -> Retraining:
    errors = {name: float(error) for name, error in subset_errors.items()}
    agreed = None if agreement is None else float(agreement)
    return Retraining(float(accuracy), float(accuracy_of_halves), agreed, errors)
