"""What takes minutes to make for a large reference set, as files beside it: neighbour indices, tables for influence.

A small set has none: what is made in a moment is not worth a file.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from telltale.base.files import load_arrays, open_array, save_array, save_arrays
from telltale.evidence.approximate import ApproximateIndex
from telltale.evidence.by_size import influence_kind, make_index, searched_approximately
from telltale.evidence.curvature import ConjugateInfluence, fit_blocks
from telltale.evidence.influence import HeadInfluence, SoftmaxHead
from telltale.evidence.most_influential import Influence
from telltale.evidence.neighbours import PROCESSINGS, NeighbourIndex, Processing
from telltale.evidence.sparse_influence import SparseInfluence
from telltale.evidence.sparse_tables import SparseTables

Floats = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]

FOLDER = "prepared"


@dataclass(frozen=True)
class Prepared:
    """The files that were made for one reference set; whoever opens a bundle's has verified their checksums.

    Attributes
    ----------
    folder : Path
        In which `FOLDER` lies.
    names : frozenset of str
        Relative to it.
    """

    folder: Path
    names: frozenset[str] = frozenset()

    @classmethod
    def among(cls, folder: Path, names: Iterable[str]) -> Prepared:
        """Choose from the names of all files of a folder."""
        return cls(folder, frozenset(name for name in names if name.startswith(f"{FOLDER}/")))

    @classmethod
    def found_in(cls, folder: Path) -> Prepared:
        """Take all files that are there."""
        return cls.among(folder, (f"{FOLDER}/{file.name}" for file in (folder / FOLDER).glob("*")))

    def index(self, place: int, activations: Floats, processing: Processing) -> NeighbourIndex | None:
        """Open the index of the layer at `place`, its lists mapped into memory; None where none was made.

        Raises
        ------
        DamagedBundleError
            If it belongs to other activations or cannot be read.
        """
        name = _index_name(place, processing)
        if name not in self.names:
            return None
        about = load_arrays(self.folder / _about(name))
        return ApproximateIndex.reopen(self.folder / name, activations, processing, about)

    def influence(self, head: SoftmaxHead, hidden: Floats, labels: Rows) -> Influence | None:
        """Open the tables for influence, mapped into memory; None where none were made."""
        prefix = f"{FOLDER}/influence."
        names = [name for name in self.names if name.startswith(prefix)]
        if not names:
            return None
        tables = {name.removeprefix(prefix).removesuffix(".npy"): open_array(self.folder / name) for name in names}
        if set(tables) == {"factors"}:
            return ConjugateInfluence(head, hidden, labels, tables["factors"])
        return SparseInfluence(head, hidden, labels, SparseTables.from_arrays(tables))


def save_prepared(folder: Path, layers: Sequence[Floats], head: SoftmaxHead | None, labels: Rows) -> None:
    """Make what the size calls for and write it into `FOLDER`; nothing for a small set.

    Parameters
    ----------
    folder : Path
    layers : sequence of L arrays of float32, shape (N, d)
        Activations, the hidden states last.
    head : SoftmaxHead or None
        None where nothing has an influence through it.
    labels : array of int64, shape (N,)
    """
    for place, activations in enumerate(layers):
        if searched_approximately(len(activations)):
            for processing in PROCESSINGS:  # detectors choose among all of them
                _save_index(folder, place, make_index(activations, processing))
    tables = {} if head is None else _influence_tables(head, layers[-1], labels)
    for name, table in tables.items():
        file = folder / FOLDER / f"influence.{name}.npy"
        file.parent.mkdir(exist_ok=True)
        save_array(file, table)


def _save_index(folder: Path, place: int, index: NeighbourIndex) -> None:
    assert isinstance(index, ApproximateIndex)
    name = _index_name(place, index.processing)
    (folder / FOLDER).mkdir(exist_ok=True)
    index.save(folder / name)
    save_arrays(folder / _about(name), index.about())


def _influence_tables(head: SoftmaxHead, hidden: Floats, labels: Rows) -> dict[str, npt.NDArray[Any]]:
    kind = influence_kind(head.weights.size, len(hidden))
    if kind is HeadInfluence:
        return {}
    if kind is ConjugateInfluence:
        return {"factors": fit_blocks(head, hidden, labels).factors}
    return SparseTables.build(head, hidden, labels).to_arrays()


def _index_name(place: int, processing: Processing) -> str:
    return f"{FOLDER}/index-{place}-{processing}.faiss"


def _about(index_name: str) -> str:
    return index_name.replace(".faiss", ".safetensors")
