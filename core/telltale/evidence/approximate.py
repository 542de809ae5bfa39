"""Approximate neighbours among very many training images: FAISS proposes, exact distances decide.

An inverted file keeps the images in lists around centres, 8 bits per coordinate, and a search looks into the lists
whose centres are nearest. How many is chosen when the index is trained, so that the measured recall reaches a target.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import numpy.typing as npt
from sklearn.decomposition import PCA

from telltale.base.errors import DamagedBundleError
from telltale.evidence.distances import Block
from telltale.evidence.neighbours import NeighbourIndex, Neighbours, Processing, fit_pca

Floats = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]

SEED = 0
SAMPLED_PER_LIST = 64
SAMPLED_FOR_PCA = 65_536
ROUNDS = 10
CHUNK = 16_384
# Eight bits misplace neighbours near the k-th place: so many more are proposed and measured exactly.
PROPOSED, SPARE = 1.25, 64
RECALL_TARGET, RECALL_AT, RECALL_QUERIES = 0.99, 1000, 64


@dataclass(frozen=True)
class Recall:
    """How many of the true neighbours an index finds, measured against a search through everything.

    Attributes
    ----------
    share : float
        Mean share of the k true neighbours that are found, in [0, 1].
    k, queries : int
    held_out : bool
        Whether the queries are not training images; else each is left out of its own neighbours.
    """

    share: float
    k: int
    queries: int
    held_out: bool


class ApproximateIndex(NeighbourIndex):
    """Approximate search among one layer's processed training activations; distances are exact.

    Parameters
    ----------
    activations : array of float32, shape (N, d)
        May be mapped from a file; only proposed rows of it are read.
    processing : {"none", "l2", "pca_whiten"}
        Whitening is fitted on a fixed random sample of the rows.
    index : faiss.Index
        Over the processed activations.
    recall : Recall
    pca : sklearn.decomposition.PCA, optional
        The fitted whitening, where there is one and it need not be fitted anew.
    """

    def __init__(
        self,
        activations: Floats,
        processing: Processing,
        index: faiss.Index,
        recall: Recall,
        pca: PCA | None = None,
    ) -> None:
        self._prepare(activations, processing, pca)
        self._index = index
        self.recall = recall

    @classmethod
    def train(
        cls,
        activations: Floats,
        processing: Processing = "none",
        queries: Floats | None = None,
        factory: str | None = None,
    ) -> ApproximateIndex:
        """Build an index and choose how many of its lists are searched.

        Parameters
        ----------
        activations : array of float32, shape (N, d)
        processing : {"none", "l2", "pca_whiten"}
        queries : array of float32, shape (n, d), optional
            Held-out activations on which the recall is measured; some training rows where left out.
        factory : str, optional
            FAISS's name of the kind of index; ``IVFx,SQ8`` with about 2 sqrt(N) lists where left out.
        """
        index = cls.__new__(cls)
        index._prepare(activations, processing)
        lists = 2 ** round(np.log2(2.0 * np.sqrt(len(activations))))
        index._index = faiss.index_factory(index._width, factory or f"IVF{lists},SQ8")
        index._fill(SAMPLED_PER_LIST * lists)
        index.recall = index._choose_lists(queries)
        return index

    @classmethod
    def open(
        cls, path: Path, activations: Floats, processing: Processing, recall: Recall, pca: PCA | None = None
    ) -> ApproximateIndex:
        """Open an index written by `save`, with its lists mapped into memory.

        FAISS trusts what it reads: open only files whose checksum was verified, as a bundle's are.

        Raises
        ------
        DamagedBundleError
            If the file is missing or not an index over these activations.
        """
        try:
            index = faiss.read_index(str(path), faiss.IO_FLAG_MMAP)
        except RuntimeError as error:
            raise DamagedBundleError(f"The neighbour index '{path.name}' cannot be read; build it again.") from error
        opened = cls(activations, processing, index, recall, pca)
        if (index.ntotal, index.d) != (len(activations), opened._width):
            raise DamagedBundleError(f"The neighbour index '{path.name}' belongs to other activations; build it again.")
        return opened

    @classmethod
    def reopen(
        cls, path: Path, activations: Floats, processing: Processing, about: Mapping[str, npt.NDArray[Any]]
    ) -> ApproximateIndex:
        """Open what `save` and `about` have kept; see `open`.

        Raises
        ------
        DamagedBundleError
        """
        k, queries, held_out = (int(number) for number in about["recall.counts"])
        recall = Recall(float(about["recall.share"][0]), k, queries, bool(held_out))
        pca = None
        if processing == "pca_whiten":
            pca = PCA()
            pca.mean_, pca.components_ = about["pca.mean"], about["pca.components"]
            pca.explained_variance_, pca.n_features_in_ = about["pca.variance"], len(pca.mean_)
        return cls.open(path, activations, processing, recall, pca)

    def about(self) -> dict[str, npt.NDArray[Any]]:
        """Return what `reopen` needs beside the file of `save`: measured recall and fitted whitening."""
        counts = np.array([self.recall.k, self.recall.queries, self.recall.held_out], dtype=np.int64)
        arrays = {"recall.share": np.array([self.recall.share]), "recall.counts": counts}
        if self._pca is None:
            return arrays
        return {
            **arrays,
            "pca.mean": self._pca.mean_,
            "pca.components": self._pca.components_,
            "pca.variance": self._pca.explained_variance_,
        }

    @property
    def method(self) -> str:
        """How neighbours are found and how many of them, in words for the page."""
        found = f"{self.recall.share:.1%} of the {self.recall.k} nearest found"
        if not isinstance(self._index, faiss.IndexIVF):
            return f"approximate, exact distances: {found}"
        return f"approximate, {self._index.nprobe} of {self._index.nlist} lists searched, exact distances: {found}"

    def save(self, path: Path) -> None:
        """Write the FAISS index."""
        faiss.write_index(self._index, str(path))

    def search(
        self, activations: Floats, k: int, exclude_rows: Rows | None = None, blocks: Iterable[Block] | None = None
    ) -> Neighbours:
        """Find about the k nearest reference rows of every query; see `NeighbourIndex.search`.

        Distances are exact and in order. What the proposals miss is what `recall` leaves of 1.
        """
        del blocks  # nothing is estimated for all rows
        spare = 0 if exclude_rows is None else 1
        self._check(activations, k, spare)
        queries = self.process(activations)
        owns = np.full(len(queries), -1) if exclude_rows is None else exclude_rows
        # One by one: FAISS compares a large batch with the centres in another order of additions than a single query.
        found = [self._refine(query, self._propose(query, k), own, k) for query, own in zip(queries, owns, strict=True)]
        return Neighbours(np.stack([f[0] for f in found]), np.stack([f[1] for f in found]))

    def _prepare(self, activations: Floats, processing: Processing, pca: PCA | None = None) -> None:
        self.processing = processing
        self.points = activations  # unprocessed: a processed copy of all would not fit where these are mapped
        if processing == "pca_whiten" and pca is None:
            pca = fit_pca(activations[_sample(len(activations), SAMPLED_FOR_PCA)])
        self._pca = pca
        self._width = self.process(activations[:1]).shape[1]

    def _fill(self, sampled: int) -> None:
        if isinstance(self._index, faiss.IndexIVF):
            self._index.cp.niter, self._index.cp.seed = ROUNDS, SEED
        self._index.train(self.process(self.points[_sample(len(self.points), sampled)]))
        for part in _parts(len(self.points)):
            self._index.add(self.process(self.points[part]))

    def _choose_lists(self, queries: Floats | None) -> Recall:
        """Search twice as many lists until the recall reaches its target, and return it."""
        owns = _sample(len(self.points), RECALL_QUERIES) if queries is None else None
        asked = self.points[owns] if queries is None else queries
        k = min(RECALL_AT, len(self.points) // 2)
        expected = self.search_exactly(asked, k, owns).rows
        while True:
            proposed = [self._propose(query, k) for query in self.process(asked)]
            share = float(np.mean([np.isin(*rows).mean() for rows in zip(expected, proposed, strict=True)]))
            lists, searched = getattr(self._index, "nlist", 1), getattr(self._index, "nprobe", 1)
            if share >= RECALL_TARGET or searched >= lists:
                return Recall(share, k, len(asked), queries is not None)
            self._index.nprobe = min(2 * searched, lists)  # type: ignore[attr-defined]

    def _propose(self, query: Floats, k: int) -> Rows:
        wanted = min(int(PROPOSED * k) + SPARE, len(self.points))
        rows = self._index.search(query[None], wanted)[1][0]
        return np.asarray(rows[rows >= 0], dtype=np.int64)

    def search_exactly(self, activations: Floats, k: int, exclude_rows: Rows | None = None) -> Neighbours:
        """Search through everything, chunk by chunk; what `search` is measured against."""
        queries = self.process(activations).astype(np.float64)
        owns = np.full(len(queries), -1) if exclude_rows is None else exclude_rows
        rows, near = np.empty((len(queries), 0), dtype=np.int64), np.empty((len(queries), 0))
        for part in _parts(len(self.points)):
            points = self.process(self.points[part]).astype(np.float64)
            squared = np.einsum("nd,nd->n", points, points) - 2.0 * queries @ points.T
            here = np.arange(part.start, part.stop)
            squared[here == owns[:, None]] = np.inf
            rows = np.hstack([rows, np.broadcast_to(here, squared.shape)])
            near = np.hstack([near, squared])
            kept = np.argpartition(near, min(k, near.shape[1]) - 1, axis=1)[:, :k]
            rows, near = np.take_along_axis(rows, kept, 1), np.take_along_axis(near, kept, 1)
        found = [self._refine(*parts, k) for parts in zip(self.process(activations), rows, owns, strict=True)]
        return Neighbours(np.stack([f[0] for f in found]), np.stack([f[1] for f in found]))

    def _refine(self, query: Floats, proposed: Rows, own: int, k: int) -> tuple[Rows, npt.NDArray[np.float64]]:
        rows = np.sort(proposed[proposed != own])
        if len(rows) < k:  # the lists searched hold too few
            rows = np.delete(np.arange(len(self.points)), own) if own >= 0 else np.arange(len(self.points))
        chunks = (self.process(self.points[rows[part]]) for part in _parts(len(rows)))
        distances = np.concatenate([np.linalg.norm(chunk.astype(np.float64) - query, axis=1) for chunk in chunks])
        order = np.argsort(distances, kind="stable")[:k]  # rows come in order, so equal distances stay by row
        return rows[order], distances[order]


def _sample(count: int, size: int) -> Rows:
    """Return a fixed random choice of rows, in order; all of them where there are no more."""
    chosen = np.random.default_rng(SEED).choice(count, min(size, count), replace=False)
    return np.asarray(np.sort(chosen), dtype=np.int64)


def _parts(count: int) -> list[slice]:
    return [slice(start, min(start + CHUNK, count)) for start in range(0, count, CHUNK)]
