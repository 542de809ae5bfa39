"""A page as a browser holds it, element by element in its place, in a form in which two of them can be compared.

What is left out of the comparison, and why:

- the frame of progress and *Cancel* (a container named after a random job), and with it its number in the order of its
  neighbours: only whoever had to wait has seen it, and it is empty once the result is there;
- what is shown transiently while a script runs: it is gone when the page is drawn;
- the figure under *Time* of an attack: a measured wall time;
- the address of a picture or a file: the SHA-256 of the bytes that lie there stands in its place;
- the five random characters by which the style sheet of a coloured table names that table.

Everything else is compared as it was sent: texts, widgets and their ids, figures with every number of theirs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from streamlit.proto.Delta_pb2 import Delta
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

Path = tuple[int, ...]
Leaf = str | bytes | int | bool
Fields = dict[str, Leaf]

MEDIA = "/media/"
WAITING = "-waiting-"
MEASURED = ("metric", "Time")
MEASURED_FIELDS = ("body", "delta")
STYLER = "arrow_data.styler."
PARTS = ("main", "sidebar", "event", "bottom")


@dataclass(frozen=True)
class Drawn:
    """The last thing that was drawn at one place.

    Attributes
    ----------
    delta : Delta
    run : int
        Which run of the page's script drew it.
    """

    delta: Delta
    run: int


class Drawing:
    """A page while its script draws it: whatever comes later at a place replaces what was there."""

    def __init__(self) -> None:
        self._drawn: dict[Path, Drawn] = {}
        self._run = 0
        self._fragments: tuple[str, ...] = ()

    def begin(self, fragments: tuple[str, ...]) -> None:
        """Note that a run has begun, of these fragments alone or, where there are none, of the whole page."""
        self._run += 1
        self._fragments = fragments

    def take(self, message: ForwardMsg) -> None:
        """Put what a message brings in its place; what stood below an element's place goes with it."""
        path, delta = tuple(message.metadata.delta_path), message.delta
        kind = delta.WhichOneof("type")
        if kind == "new_transient":
            return
        before = self._drawn.get(path)
        if kind == "new_element" or (before is not None and before.delta.WhichOneof("type") == "new_element"):
            for below in [other for other in self._drawn if len(other) > len(path) and other[: len(path)] == path]:
                del self._drawn[below]
        self._drawn[path] = Drawn(delta, self._run)

    def finish(self) -> None:
        """Take away what the run that has ended did not draw again, as browsers do."""
        fragments = self._fragments
        self._drawn = {
            path: drawn
            for path, drawn in self._drawn.items()
            if drawn.run == self._run or (fragments and drawn.delta.fragment_id not in fragments)
        }

    def deltas(self) -> dict[Path, Delta]:
        """Return what stands where, the frames of progress left out and their neighbours numbered anew."""
        kept = {path: drawn.delta for path, drawn in self._drawn.items()}
        for frame in sorted((path for path, delta in kept.items() if _is_frame(delta)), reverse=True):
            if all(_is_empty(delta) for path, delta in kept.items() if path[: len(frame)] == frame and path != frame):
                kept = dict(_without(kept, frame))
        return dict(sorted(kept.items()))

    def addresses(self) -> set[str]:
        """Return the addresses of all pictures and files on the page."""
        return {
            leaf
            for delta in self.deltas().values()
            for _, leaf in leaves(delta)
            if isinstance(leaf, str) and leaf.startswith(MEDIA)
        }


def _is_frame(delta: Delta) -> bool:
    return delta.WhichOneof("type") == "add_block" and WAITING in delta.add_block.id


def _is_empty(delta: Delta) -> bool:
    return delta.WhichOneof("type") == "new_element" and delta.new_element.WhichOneof("type") == "empty"


def _without(kept: Mapping[Path, Delta], gone: Path) -> Iterator[tuple[Path, Delta]]:
    """Yield what is left without one place and all below it; later neighbours move up by one."""
    depth = len(gone) - 1
    for path, delta in kept.items():
        if path[: depth + 1] == gone:
            continue
        later = len(path) > depth and path[:depth] == gone[:depth] and path[depth] > gone[depth]
        yield ((*path[:depth], path[depth] - 1, *path[depth + 1 :]) if later else path), delta


@dataclass(frozen=True)
class Page:
    """A drawn page in the form in which it is compared.

    Attributes
    ----------
    parts : dict of path to fields
        What stands at each place: one entry for each field of its message that is set.
    """

    parts: dict[Path, Fields]

    @classmethod
    def of(cls, drawing: Drawing, files: Mapping[str, str], known: dict[str, str] | None = None) -> Page:
        """Return a page.

        Parameters
        ----------
        drawing : Drawing
        files : mapping of str to str
            What stands for the bytes at each of the drawing's addresses.
        known : dict, optional
            Long texts that pages share, kept once.
        """
        known = {} if known is None else known
        return cls({path: _fields(delta, files, known) for path, delta in drawing.deltas().items()})

    def texts(self, field: str) -> list[tuple[Path, str]]:
        """Return (path, text) of every element that has a text in this field, in the order of the page."""
        return [(path, str(fields[field])) for path, fields in self.parts.items() if field in fields]

    def every_text(self) -> Iterator[str]:
        """Yield everything on the page that is text, ids and figures too."""
        for fields in self.parts.values():
            yield from (leaf for leaf in fields.values() if isinstance(leaf, str))


def _fields(delta: Delta, files: Mapping[str, str], known: dict[str, str]) -> Fields:
    element = delta.new_element
    measured = element.WhichOneof("type") == MEASURED[0] and element.metric.label == MEASURED[1]
    table = element.dataframe.arrow_data.styler.uuid or element.table.arrow_data.styler.uuid
    found: Fields = {}
    for name, leaf in leaves(delta):
        if measured and name.rpartition(".")[2] in MEASURED_FIELDS:
            continue
        if isinstance(leaf, str):
            if table and STYLER in name:
                leaf = leaf.replace(table, "(random)")
            leaf = files[leaf] if leaf.startswith(MEDIA) else known.setdefault(leaf, leaf)
        found[name] = leaf
    return found


def leaves(message: Message, before: str = "") -> Iterator[tuple[str, Leaf]]:
    """Yield (name, value) of every field of a message that is set, however deep; numbers to their last bit."""
    empty = True
    for field, value in message.ListFields():
        empty = False
        name = f"{before}.{field.name}" if before else field.name
        if _is_map(field):
            for key in sorted(value):
                yield from _of_value(value[key], f"{name}[{key}]")
        elif _is_repeated(value):
            for index, item in enumerate(value):
                yield from _of_value(item, f"{name}[{index}]")
        else:
            yield from _of_value(value, name)
    if empty and before:
        yield before, "(empty)"  # which kind of element it is shows even where nothing is set in it


def _is_map(field: FieldDescriptor) -> bool:
    kind = field.message_type
    return bool(kind is not None and kind.GetOptions().map_entry)


def _is_repeated(value: Any) -> bool:
    return not isinstance(value, (str, bytes, int, float, Message))


def _of_value(value: Any, name: str) -> Iterator[tuple[str, Leaf]]:
    if isinstance(value, Message):
        yield from leaves(value, name)
    else:
        yield name, value.hex() if isinstance(value, float) else value


def place(path: Path) -> str:
    """Return a path as people read it: ``main.3.0``."""
    return ".".join([PARTS[path[0]], *map(str, path[1:])]) if path else ""
