"""Two-dimensional maps of the training images, computed once and shipped: new images are placed, never refitted."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from sklearn.decomposition import PCA

from telltale.base.files import load_arrays, save_arrays, whole
from telltale.base.processes import Work
from telltale.base.progress import Progress, counted
from telltale.bundle.fitted import ReferenceFiles
from telltale.evidence.neighbours import NeighbourIndex
from telltale.evidence.placing import PLACED_BETWEEN, place_between

NEIGHBOURS = 15
SAMPLE = 10_000


@dataclass(frozen=True)
class _Job:
    file: Path
    reference: ReferenceFiles
    layer: int
    seed: int


@dataclass(frozen=True)
class LayerMaps:
    """UMAP and PCA coordinates of the training images on every layer.

    Attributes
    ----------
    reference : ReferenceFiles
    seed : int
    folder : Path
        Drawn layers are kept here, and not drawn again.
    """

    reference: ReferenceFiles
    seed: int
    folder: Path

    def work(self, progress: Progress) -> Work[_Job]:
        """Return what is left to draw, for worker processes."""
        self.folder.mkdir(parents=True, exist_ok=True)
        missing = [job for job in self._jobs() if not job.file.exists()]
        return Work(_draw, missing, counted(progress, "Drawing maps", len(missing)))

    def read(self) -> dict[str, npt.NDArray[np.float32]]:
        """Return ``{"umap", "pca"}`` to float32 (L, N, 2), once everything is drawn."""
        drawn = [load_arrays(job.file) for job in self._jobs()]
        return {name: np.stack([layer[name] for layer in drawn]) for name in ("umap", "pca")}

    def _jobs(self) -> list[_Job]:
        layers = range(len(self.reference.layers))
        return [_Job(self.folder / f"{i}.safetensors", self.reference, i, self.seed) for i in layers]


def _draw(job: _Job) -> None:
    activations = job.reference.read().trace.activations[job.layer]
    pca = PCA(2, svd_solver="full").fit_transform(activations.astype(np.float64))
    with whole(job.file) as partial:
        save_arrays(partial, {"umap": umap_of(activations, job.seed), "pca": pca.astype(np.float32)})


def umap_of(activations: npt.NDArray[np.float32], seed: int, sample: int = SAMPLE) -> npt.NDArray[np.float32]:
    """Return UMAP coordinates of training activations (N, d), float32 (N, 2).

    UMAP itself sees at most `sample` of them, drawn under the seed; the others are placed as a new image is, between
    the nearest that it saw.
    """
    n = len(activations)
    if n <= sample:
        return _umap(activations, seed)
    seen = np.sort(np.random.default_rng(seed).permutation(n)[:sample])
    anchors = _umap(activations[seen], seed)
    others = np.setdiff1d(np.arange(n), seen)
    nearest = NeighbourIndex(activations[seen]).search(activations[others], PLACED_BETWEEN)
    places = np.empty((n, 2), dtype=np.float32)
    places[seen], places[others] = anchors, place_between(nearest, anchors)
    return places


def _umap(activations: npt.NDArray[np.float32], seed: int) -> npt.NDArray[np.float32]:
    from umap import UMAP  # takes seconds, because numba compiles

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # n_jobs is forced to 1 by the seed, as asked
        neighbours = min(NEIGHBOURS, len(activations) - 1)
        return np.asarray(UMAP(n_neighbors=neighbours, random_state=seed, n_jobs=1).fit_transform(activations))
