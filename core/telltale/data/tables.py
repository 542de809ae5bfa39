"""Tables whose rows hold an encoded image and a label, as the Hugging Face hub's data sets are stored."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from telltale.base.errors import InputError
from telltale.data.image_set import LeftOut
from telltale.data.listing import NO_LABEL_REASON, Listed, class_name
from telltale.data.opening import read_bytes

IMAGE_COLUMNS = ("image", "img")
LABEL_COLUMNS = ("label", "fine_label")

# What a cell holds, as the hub's metadata describe it: {"_type": "ClassLabel", "names": [...]} and the like.
Feature: TypeAlias = Mapping[str, Any]
Columns: TypeAlias = tuple[Sequence[str], Sequence[str]]


@dataclass(frozen=True)
class Table:
    """Rows of one split in one file.

    Attributes
    ----------
    name : str
        Of the file, or of the split.
    split : str or None
    features : mapping of str to Feature
        By column.
    rows : callable
        Takes the columns of image and label; goes through the rows.
    count : int
    paths_lead : bool
        Whether a row may name an image file instead of holding one, because a library has put the file there.
    """

    name: str
    split: str | None
    features: Mapping[str, Feature]
    rows: Callable[[str, str], Iterable[tuple[Any, Any]]]
    count: int
    paths_lead: bool = False

    def image_column(self, preferred: Sequence[str], source: str) -> str:
        """Return the column of images: a preferred one, or else the first of a fitting type."""
        return self._column(preferred, _holds_image, "images", source)

    def label_column(self, preferred: Sequence[str], source: str) -> str:
        """Return the column of class labels: a preferred one, or else the first of a fitting type."""
        return self._column(preferred, _is_label, "class labels", source)

    def class_names(self, column: str) -> tuple[str, ...] | None:
        """Return the names that the numbers in a column stand for."""
        names = _told(self.features[column]).get("names")
        return tuple(class_name(str(name)) for name in names) if isinstance(names, list | tuple) else None

    def _column(self, preferred: Sequence[str], fits: Callable[[Feature], bool], what: str, source: str) -> str:
        typed = [name for name, feature in self.features.items() if fits(feature)]
        choices = [name for name in preferred if name in self.features] + typed
        if not choices:
            raise InputError(f"No column of '{source}' holds {what}; it has {', '.join(self.features)}.")
        return choices[0]


def has_images(features: Mapping[str, Feature]) -> bool:
    """Return whether a table has a column whose type is that of images."""
    return any(_holds_image(feature) for feature in features.values())


def stated_classes(tables: Sequence[Table], columns: Columns, source: str) -> tuple[str, ...] | None:
    """Return the class names of all tables, those of the first one first, or None where numbers have no names.

    Raises
    ------
    InputError
        If some tables name the classes that their numbers stand for and others do not.
    """
    stated = [table.class_names(table.label_column(columns[1], source)) for table in tables]
    named = [names for names in stated if names is not None]
    if not named:
        return None
    if len(named) < len(stated):
        first = tables[stated.index(None)].name
        raise InputError(f"Some tables of '{source}' say which classes their labels stand for, and '{first}' does not.")
    return tuple(dict.fromkeys(name for names in named for name in names))


def listed_rows(tables: Sequence[Table], columns: Columns, source: str) -> Iterator[Listed | LeftOut]:
    """Go through the rows of tables, one table after the other."""
    for table in tables:
        image, label = table.image_column(columns[0], source), table.label_column(columns[1], source)
        names = table.class_names(label)
        for number, (picture, value) in enumerate(table.rows(image, label)):
            called = f"{table.name}, row {number}"
            found = _label(value, names)
            if isinstance(found, LeftOut):
                yield LeftOut(called, found.reason)
            else:
                yield Listed(called, table.split, found, _reader(picture, table.paths_lead))


def _label(value: object, names: tuple[str, ...] | None) -> str | int | LeftOut:
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # whole numbers beside missing ones, as pandas stores them
    if value is None or value == "" or value != value or (names is not None and value == -1):
        return LeftOut("", NO_LABEL_REASON)
    if isinstance(value, bool) or not isinstance(value, int | str):
        return LeftOut("", f"{NO_LABEL_REASON}: neither a number nor a name")
    if names is None:
        return class_name(value) if isinstance(value, str) else value
    if isinstance(value, str):
        return class_name(value) if class_name(value) in names else LeftOut("", f"'{value}' is no class of its table")
    return names[value] if 0 <= value < len(names) else LeftOut("", f"{value} is no class of its table")


def _reader(picture: object, paths_lead: bool) -> Callable[[], bytes]:
    def read() -> bytes:
        data, path = picture, None
        if isinstance(picture, Mapping):
            data, path = picture.get("bytes"), picture.get("path")
        if isinstance(data, bytes) and data:
            return data
        if paths_lead and isinstance(path, str):
            return read_bytes(Path(path))
        raise InputError("The row holds no image.")

    return read


def _holds_image(feature: Feature) -> bool:
    told = _told(feature)
    return told.get("_type") == "Image" or told.get("dtype") == "binary" or "bytes" in told


def _is_label(feature: Feature) -> bool:
    return _told(feature).get("_type") == "ClassLabel"


def _told(feature: object) -> Mapping[str, Any]:
    return feature if isinstance(feature, Mapping) else {}  # lists stand for columns of lists
