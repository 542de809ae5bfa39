"""Two-dimensional maps of the training images, computed once and shipped: new images are placed, never refitted."""

from __future__ import annotations

import warnings

import numpy as np
import numpy.typing as npt
from sklearn.decomposition import PCA

from core.evidence.density import DensityChart, class_thresholds
from core.models.trace import Trace
from core.models.training import Progress

NEIGHBOURS = 15
KEEP_RATES = (0.95, 0.99)


def layer_maps(trace: Trace, seed: int, progress: Progress) -> dict[str, npt.NDArray[np.float32]]:
    """Return UMAP and PCA coordinates of every layer, ``{"umap", "pca"}`` to float32 (L, N, 2)."""
    umaps, pcas = [], []
    for done, (layer, activations) in enumerate(zip(trace.layers, trace.activations, strict=True)):
        progress(done / len(trace.layers), f"Drawing the map of {layer}")
        umaps.append(_umap(activations, seed))
        pcas.append(PCA(2, svd_solver="full").fit_transform(activations.astype(np.float64)))
    return {"umap": np.stack(umaps).astype(np.float32), "pca": np.stack(pcas).astype(np.float32)}


def density_chart(
    hidden: npt.NDArray[np.float32],
    labels: npt.NDArray[np.int64],
    log_density: npt.NDArray[np.float64],
    predictions: npt.NDArray[np.int64],
) -> tuple[DensityChart, dict[str, npt.NDArray[np.float64]]]:
    """Flatten the hidden states and find the thresholds of held-out natural images.

    Parameters
    ----------
    hidden : array of float32, shape (N, d)
        Of the training images, with their true classes `labels` (N,).
    log_density : array of float64, shape (n, C)
        Of held-out natural images, with their `predictions` (n,).

    Returns
    -------
    DensityChart, dict of arrays
        The chart, and everything the bundle's density map stores.
    """
    pca = PCA(2, svd_solver="full").fit(hidden.astype(np.float64))
    thresholds = np.stack([class_thresholds(log_density, predictions, keep) for keep in KEEP_RATES])
    chart = DensityChart(pca.mean_, pca.components_, np.array(KEEP_RATES), thresholds)
    points = chart.position(hidden)
    groups = [points[labels == c].astype(np.float64) for c in range(log_density.shape[1])]
    return chart, {
        "points": points,
        "labels": labels,
        "means": np.stack([g.mean(0) for g in groups]),
        "covariances": np.stack([np.cov(g, rowvar=False) for g in groups]),
        **vars(chart),
    }


def _umap(activations: npt.NDArray[np.float32], seed: int) -> npt.NDArray[np.float32]:
    from umap import UMAP  # takes seconds, because numba compiles

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # n_jobs is forced to 1 by the seed, as asked
        neighbours = min(NEIGHBOURS, len(activations) - 1)
        return np.asarray(UMAP(n_neighbors=neighbours, random_state=seed, n_jobs=1).fit_transform(activations))
