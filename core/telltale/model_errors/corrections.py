"""Corrections of training images: what is removed or relabelled and why, kept as values and as CSV.

A correction names an image of a bundle's reference set by its data-set id. The CSV is meant to be read and edited by
people: classes stand in it by name, every bad row is refused with one sentence, and all others are taken.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from telltale.base.csv_cells import as_text, as_written
from telltale.base.errors import InputError

if TYPE_CHECKING:
    from telltale.bundle.bundle import Bundle
    from telltale.model_errors.suspicious import SuspiciousImages

Ids = npt.NDArray[np.int64]

REMOVE, RELABEL = "remove", "relabel"
REMOVED = -1  # stands for a new label where an image is removed
COLUMNS = (
    "image_id",
    "class",
    "action",
    "new_class",
    "reason",
    "self_influence",
    "disagreement",
    "neighbours_say",
)
FILE = "file"
NEEDED = ("image_id", "action")
MOST_BYTES = 16_000_000
NAMED_CLASSES = 12  # classes that a sentence lists


@dataclass(frozen=True)
class LabelEvidence:
    """What speaks for a correction, as far as it is known.

    Attributes
    ----------
    self_influence : float or None
        In nats: by how much the loss of the given label would rise without the image.
    disagreement : float or None
        Share of the nearest other training images, on the last layer, that carry another label.
    neighbours_say : int or None
        The most frequent other label among them.
    """

    self_influence: float | None = None
    disagreement: float | None = None
    neighbours_say: int | None = None


@dataclass(frozen=True)
class Correction:
    """One training image that is removed, or gets another label.

    Attributes
    ----------
    image_id : int
        Data-set id.
    label : int
        The label it was given.
    new_label : int or None
        The label it gets; None where it is removed.
    reason : str
        Where and why it was picked, in words.
    evidence : LabelEvidence
    """

    image_id: int
    label: int
    new_label: int | None = None
    reason: str = ""
    evidence: LabelEvidence = field(default_factory=LabelEvidence)

    @property
    def action(self) -> str:
        """``"remove"`` or ``"relabel"``."""
        return REMOVE if self.new_label is None else RELABEL


@dataclass(frozen=True)
class TrainingSet:
    """The training images that can be corrected.

    Attributes
    ----------
    ids, labels : array of int64, shape (N,)
        Data-set ids and given labels.
    class_names : sequence of str
    """

    ids: Ids
    labels: Ids
    class_names: Sequence[str]

    @classmethod
    def of_bundle(cls, bundle: Bundle) -> TrainingSet:
        """Return the reference set of a bundle: all training images, or those that a compact one keeps."""
        return cls(bundle.splits.train, bundle.training_labels, bundle.class_names)

    @cached_property
    def _order(self) -> Ids:
        return np.argsort(self.ids, kind="stable")

    def rows(self, ids: npt.ArrayLike) -> Ids:
        """Return the places of images (k,); -1 for one that is no training image."""
        asked = np.asarray(ids, dtype=np.int64)
        if not len(self.ids):
            return np.full(asked.shape, -1, dtype=np.int64)
        found = self._order[np.minimum(np.searchsorted(self.ids[self._order], asked), len(self.ids) - 1)]
        return np.asarray(np.where(self.ids[found] == asked, found, -1), dtype=np.int64)

    def label_of(self, image_id: int) -> int | None:
        """Return an image's label, or None where it is no training image."""
        (row,) = self.rows([image_id])
        return None if row < 0 else int(self.labels[row])


@dataclass(frozen=True)
class ReadCorrections:
    """What was found in a CSV.

    Attributes
    ----------
    corrections : tuple of Correction
        Of the good rows, in their order.
    problems : tuple of str
        One sentence for every bad row.
    """

    corrections: tuple[Correction, ...]
    problems: tuple[str, ...]


def proposed(found: SuspiciousImages, count: int, relabel: bool) -> tuple[Correction, ...]:
    """Return a correction for each of the most suspicious training images, for somebody to look through.

    Parameters
    ----------
    found : SuspiciousImages
    count : int
        How many.
    relabel : bool
        Whether each gets the label that most of its neighbours carry, or is removed.
    """
    return tuple(
        Correction(
            int(found.ids[row]),
            int(found.labels[row]),
            int(found.neighbour_labels[row]) if relabel else None,
            f"suspicious label, rank {row + 1:,} of {len(found):,}",
            LabelEvidence(
                float(found.self_influence[row]), float(found.disagreement[row]), int(found.neighbour_labels[row])
            ),
        )
        for row in range(min(count, len(found)))
    )


def as_arrays(corrections: Iterable[Correction]) -> tuple[Ids, Ids]:
    """Return image ids, ascending, and their new labels, `REMOVED` where an image goes; shapes (k,)."""
    pairs = sorted((c.image_id, REMOVED if c.new_label is None else c.new_label) for c in corrections)
    ids, labels = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    return ids.copy(), labels.copy()


def summary(corrections: Sequence[Correction]) -> str:
    """Return in words how many images are removed and relabelled."""
    removed = sum(c.new_label is None for c in corrections)
    parts = [(removed, "removed"), (len(corrections) - removed, "relabelled")]
    return " and ".join(f"{count:,} {word}" for count, word in parts if count) or "nothing corrected"


def to_csv(corrections: Iterable[Correction], class_names: Sequence[str], files: Sequence[str] = ()) -> str:
    """Return corrections as CSV with the columns `COLUMNS`; what is not known is left empty.

    Parameters
    ----------
    corrections : iterable of Correction
    class_names : sequence of str
    files : sequence of str
        Of every image, by its id: one more column, for people who look them through. Reading passes over it.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*COLUMNS, FILE] if files else COLUMNS)
    for correction in corrections:
        evidence = correction.evidence
        row: list[object] = [
            correction.image_id,
            class_names[correction.label],
            correction.action,
            _name(correction.new_label, class_names),
            correction.reason,
            *("" if value is None else value for value in (evidence.self_influence, evidence.disagreement)),
            _name(evidence.neighbours_say, class_names),
            *([files[correction.image_id]] if files else []),
        ]
        writer.writerow(map(as_text, row))
    return text.getvalue()


def from_csv(data: str | bytes, training: TrainingSet) -> ReadCorrections:
    """Read corrections; a row that is wrong is left out and said, all others are taken.

    Parameters
    ----------
    data : str or bytes
        With a line of column names, of which ``image_id`` and ``action`` must be there, and ``new_class`` for rows that
        relabel. A ``class``, where given, must be the label that the image has.
    training : TrainingSet

    Raises
    ------
    InputError
        If it is not CSV at all, too large, or lacks a column.
    """
    if len(data) > MOST_BYTES:
        raise InputError(f"The corrections are larger than {MOST_BYTES // 10**6} MB, which no list of images is.")
    try:
        text = data.decode("utf-8-sig") if isinstance(data, bytes) else data.removeprefix("\ufeff")
        rows = list(csv.DictReader(io.StringIO(text, newline=""), strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError("The corrections are not a CSV file in UTF-8.") from error
    columns = next(csv.reader(io.StringIO(text, newline="")), [])
    missing = [name for name in NEEDED if name not in columns]
    if missing:
        raise InputError(f"The corrections lack the column '{missing[0]}'; the first line must name the columns.")
    found: dict[int, Correction] = {}
    problems = []
    for number, row in enumerate(rows, 2):  # the line of column names is row 1, as spreadsheets count
        try:
            correction = _read(
                {key: as_written((value or "").strip()) for key, value in row.items() if key in COLUMNS}, training
            )
            if correction.image_id in found:
                raise InputError(f"image {correction.image_id} is corrected above already.")
        except InputError as error:
            problems.append(f"Row {number}: {error}")
            continue
        found[correction.image_id] = correction
    return ReadCorrections(tuple(found.values()), tuple(problems))


def require_corrections(data: str | bytes, training: TrainingSet) -> tuple[Correction, ...]:
    """Read corrections of which every row must be good; see `from_csv`.

    Raises
    ------
    InputError
        If it is no such CSV, or a row is wrong; the first such row's sentence.
    """
    read = from_csv(data, training)
    if read.problems:
        more = len(read.problems) - 1
        rows = "1 more row is" if more == 1 else f"{more:,} more rows are"
        raise InputError(
            read.problems[0] + (f" {rows} wrong: 'telltale corrections check' lists them all." if more else "")
        )
    return read.corrections


def _read(row: dict[str, str], training: TrainingSet) -> Correction:
    text, action = row["image_id"], row["action"].lower()
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise InputError(f"image_id must be a whole number; got '{text[:40]}'.")
    label = training.label_of(int(text))
    if label is None:
        raise InputError(f"image {text} is not among the training images.")
    given, names = row.get("class", ""), training.class_names
    if given and given != names[label]:
        raise InputError(f"image {text} is of class '{names[label]}' here, not '{given[:40]}'.")
    if action not in (REMOVE, RELABEL):
        raise InputError(f"action must be '{REMOVE}' or '{RELABEL}'; got '{action[:40]}'.")
    new_label = None
    if action == RELABEL:
        new_label = _class(row.get("new_class", ""), names)
        if new_label == label:
            raise InputError(f"image {text} is of class '{names[label]}' already.")
    elif row.get("new_class"):
        raise InputError(f"image {text} cannot be removed and get a new class at once.")
    says = row.get("neighbours_say", "")
    evidence = LabelEvidence(
        _number(row, "self_influence"), _number(row, "disagreement"), _class(says, names) if says else None
    )
    return Correction(int(text), label, new_label, row.get("reason", ""), evidence)


def _class(name: str, names: Sequence[str]) -> int:
    if name in names:
        return list(names).index(name)
    listed = ", ".join(names[:NAMED_CLASSES]) + (", ..." if len(names) > NAMED_CLASSES else "")
    raise InputError(f"there is no class '{name[:40]}'; the classes are {listed}.")


def _number(row: dict[str, str], column: str) -> float | None:
    text = row.get(column, "")
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not np.isfinite(value):
        raise InputError(f"{column} must be a number; got '{text[:40]}'.")
    return value


def _name(label: int | None, names: Sequence[str]) -> str:
    return "" if label is None else names[label]
