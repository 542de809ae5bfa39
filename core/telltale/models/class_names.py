"""Which of a network's outputs a folder of images is about: found by name, never by position."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from telltale.base.errors import InputError
from telltale.data.listing import class_name

_WNID = re.compile(r"(n\d{8})(?:[\s_-]+(.*))?", re.DOTALL)
MOST_NAMED = 8


@dataclass(frozen=True)
class ClassMap:
    """Folders and outputs.

    Attributes
    ----------
    outputs : dict of str to int
        Output of each folder that has one, in the order of the folders.
    unmatched : tuple of str
        Folders that no output is named like.
    ambiguous : dict of str to tuple of int
        Folders that several outputs are named like.
    """

    outputs: dict[str, int]
    unmatched: tuple[str, ...] = ()
    ambiguous: dict[str, tuple[int, ...]] = field(default_factory=dict)


def match_classes(
    folders: Sequence[str],
    class_names: Sequence[str],
    synonyms: Sequence[Sequence[str]] = (),
    given: Mapping[str, str | int] | None = None,
) -> ClassMap:
    """Find the output that each folder is about.

    Case, underscores and hyphens do not matter. A class whose name lists synonyms, with commas between them, is found
    by each; one with a WordNet id by that too, also where a folder is called by id and word. Nothing is guessed: a
    folder whose name fits several classes, or none, is said to.

    Parameters
    ----------
    folders : sequence of str
        Names of the data's classes.
    class_names : sequence of str
        In the order of the outputs.
    synonyms : sequence of sequence of str
        Further names of every output.
    given : mapping of str to str or int, optional
        Outputs that the person has chosen for some folders, by name or index.

    Raises
    ------
    InputError
        If nothing fits, a choice names no output, or two folders mean the same one.
    """
    chosen = {folder: _chosen(folder, wanted, class_names) for folder, wanted in (given or {}).items()}
    exact, loose = _tables(class_names, synonyms)
    outputs: dict[str, int] = {}
    unmatched, ambiguous = [], {}
    for folder in folders:
        fitting = {chosen[folder]} if folder in chosen else _fitting(folder, exact, loose)
        if len(fitting) == 1:
            outputs[folder] = next(iter(fitting))
        elif fitting:
            ambiguous[folder] = tuple(sorted(fitting))
        else:
            unmatched.append(folder)
    _check(outputs, folders, class_names)
    return ClassMap(outputs, tuple(unmatched), ambiguous)


def plain(name: str) -> str:
    """Return a name without what does not matter in it."""
    return re.sub(r"[\s_-]+", " ", name).strip().casefold()


def _tables(class_names: Sequence[str], synonyms: Sequence[Sequence[str]]) -> tuple[Mapping[str, set[int]], ...]:
    """Return the outputs that have a name as their whole one, and those that have it among others."""
    exact: dict[str, set[int]] = defaultdict(set)
    loose: dict[str, set[int]] = defaultdict(set)
    for output, name in enumerate(class_names):
        exact[plain(name)].add(output)
        exact[plain(class_name(name))].add(output)  # as the data write what cannot be shown
        for also in (name, *(synonyms[output] if synonyms else ())):
            ids = _by_id(also)
            for word in (*ids, *(part for text in (also, *ids[1:]) for part in text.split(","))):
                loose[plain(word)].add(output)
    return exact, loose


def _fitting(folder: str, *tables: Mapping[str, set[int]]) -> set[int]:
    """Return the outputs that fit best: by the whole name, by the id in it, or by one of several names."""
    ids = _by_id(folder)
    for name in (folder, *ids[:1]):
        for table in tables:
            if table.get(plain(name)):
                return table[plain(name)]
    words = [word for part in ids[1:] for word in (part, *part.split(","))] or folder.split(",")
    found: set[int] = set()
    for word in words:
        found |= tables[-1].get(plain(word), set())
    return found


def _by_id(name: str) -> list[str]:
    """Return the WordNet id that a name begins with and what follows it; nothing where it begins with none."""
    found = _WNID.fullmatch(name.strip())
    return [] if found is None else [part for part in found.groups() if part]


def _chosen(folder: str, wanted: str | int, class_names: Sequence[str]) -> int:
    if isinstance(wanted, int) and not isinstance(wanted, bool) and 0 <= wanted < len(class_names):
        return wanted
    if isinstance(wanted, str) and wanted in class_names:
        return list(class_names).index(wanted)
    raise InputError(
        f"The class '{folder}' is given the output {wanted!r}; outputs are 0 to {len(class_names) - 1} or their names."
    )


def _check(outputs: Mapping[str, int], folders: Sequence[str], class_names: Sequence[str]) -> None:
    if not outputs:
        raise InputError(
            f"No class of the data is named like an output of the network: the data's are {listed(folders)}; the "
            f"network's {listed(class_names)}. The outputs' own names, in their order, are given by --classes, or as "
            "classes=[...]."
        )
    first: dict[int, str] = {}
    for folder, output in outputs.items():
        if output in first:
            other = f"'{first[output]}' and '{folder}'"
            raise InputError(f"The classes {other} of the data both mean the output '{class_names[output]}'.")
        first[output] = folder


def listed(names: Sequence[str]) -> str:
    """Return some names in a sentence, and how many more there are."""
    shown = ", ".join(names[:MOST_NAMED])
    return shown if len(names) <= MOST_NAMED else f"{shown}, … ({len(names)})"
