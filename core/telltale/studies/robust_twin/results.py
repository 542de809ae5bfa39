"""The stored table: every image that was judged, and by which defence; one parquet file, read without torch."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import pyarrow as pa

from telltale.base.places import PRECOMPUTED, writable
from telltale.studies.noted_table import load_noted, newest_of, save_noted

RESULTS = PRECOMPUTED / "results" / "robust_twin"

DEFENCE, CONDITION, KNOWLEDGE, EPS, IMAGE_ID = "defence", "condition", "knowledge", "eps", "image_id"
WRONG, SECOND_WRONG, SCORE, P_VALUE = "wrong", "second_wrong", "score", "p_value"
NATURAL = "natural"

# One row per defence, condition, budget (in levels of 255) and image. A condition is a natural shift, with knowledge
# "natural", or an attack, with "none" or "adaptive". `wrong` is about the classifier, `second_wrong` about the twin.
SCHEMA = pa.schema(
    {
        DEFENCE: pa.string(),
        CONDITION: pa.string(),
        KNOWLEDGE: pa.string(),
        EPS: pa.int64(),
        IMAGE_ID: pa.int64(),
        WRONG: pa.bool_(),
        SECOND_WRONG: pa.bool_(),
        SCORE: pa.float64(),
        P_VALUE: pa.float64(),
    }
)


@dataclass(frozen=True)
class Origin:
    """What a table came from.

    Attributes
    ----------
    recipe : str
    weights_sha256 : str
        Of the classifier and its twin.
    data_fingerprint : str
    code_sha256 : str
        Of Telltale's own code.
    train_eps : list of int
        Budgets of the fine-tuning, in levels of 255.
    epochs : int
    learning_rate : float
    training_images : int
    eps : list of int
        Budgets of the attacks, in levels of 255.
    images, natural, steps, seed : int
        Attacked images, natural ones, steps of every attack that has steps, and seed.
    """

    recipe: str
    weights_sha256: str
    data_fingerprint: str
    code_sha256: str
    train_eps: list[int]
    epochs: int
    learning_rate: float
    training_images: int
    eps: list[int]
    images: int
    natural: int
    steps: int
    seed: int


@dataclass(frozen=True)
class StoredDefence:
    """A table with the columns of `SCHEMA`, and its origin."""

    table: pa.Table
    origin: Origin


def stored_at(recipe: str) -> Path:
    """Return where the table of a recipe is written, outside an installed package."""
    return writable(RESULTS / f"{recipe}.parquet")


def save_defence(file: Path, found: StoredDefence) -> None:
    """Write a table with its origin; the file appears whole or not at all."""
    save_noted(file, found.table, asdict(found.origin), SCHEMA)


def load_defence(file: Path) -> StoredDefence:
    """Read a table written by `save_defence`.

    Raises
    ------
    DamagedBundleError
        If the file is not such a table.
    """
    return load_noted(file, SCHEMA, "a table of defences", lambda table, note: StoredDefence(table, Origin(**note)))


def stored_defence(recipe: str) -> StoredDefence | None:
    """Return what is stored about a recipe's twin; None where there is nothing."""
    return newest_of(RESULTS, recipe, load_defence)
