"""Class means with one tied covariance per layer, and the Mahalanobis score (Lee et al. 2018)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy.spatial.distance import cdist

from telltale.base.errors import InputError
from telltale.models.trace import Trace

Activations = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]

# Eigenvalues below this share of the largest are left out: float32 activations cannot show them.
SMALLEST_EIGENVALUE = 1e-12
CHUNK = 8_192


@dataclass(frozen=True, eq=False)
class TiedGaussian:
    """Gaussians of all classes on one layer, with the same covariance.

    Attributes
    ----------
    means : array of float64, shape (C, d)
        Of the classes that have training images, in their order.
    whitening : array of float64, shape (d, r)
        W with W W^T = the pseudo-inverse of the covariance, whose r eigenvalues are not negligible.
    """

    means: Floats
    whitening: Floats

    @classmethod
    def fit(cls, activations: Activations, labels: npt.NDArray[np.int64]) -> TiedGaussian:
        """Fit to the training activations (N, d) of one layer, grouped by true class (Eq. 1 of the paper).

        The covariance of all images around their own class's mean is divided by N. Activations may be mapped from a
        file; they are read chunk by chunk.

        Raises
        ------
        InputError
            If no class has a training image.
        """
        if not len(labels):
            raise InputError("Class means need training images; there are none.")
        present, places, counts = np.unique(labels, return_inverse=True, return_counts=True)
        parts = [slice(start, start + CHUNK) for start in range(0, len(labels), CHUNK)]
        sums = np.zeros((len(present), activations.shape[1]))
        for part in parts:
            sums += np.eye(len(present))[places[part]].T @ activations[part]
        means = sums / counts[:, None]
        covariance = np.zeros((activations.shape[1],) * 2)
        for part in parts:
            centred = activations[part] - means[places[part]]
            covariance += centred.T @ centred / len(labels)
        return cls(means, _whitening(covariance))

    def scores(self, activations: Activations) -> Floats:
        """Return -1/2 of the squared Mahalanobis distance to every class's mean, shape (n, C)."""
        middle, whitened_means = self._whitened_means
        whitened = (activations - middle) @ self.whitening
        return np.asarray(-0.5 * cdist(whitened, whitened_means, "sqeuclidean"))

    @cached_property
    def _whitened_means(self) -> tuple[Floats, Floats]:
        middle = self.means.mean(0)  # taken off first, so that large common offsets cancel before they are scaled
        return middle, (self.means - middle) @ self.whitening


@dataclass(frozen=True, eq=False)
class TiedGaussians:
    """One `TiedGaussian` per traced layer."""

    layers: tuple[TiedGaussian, ...]

    @classmethod
    def fit(cls, trace: Trace, labels: npt.NDArray[np.int64]) -> TiedGaussians:
        """Fit to the trace of the training images; see `TiedGaussian.fit`."""
        return cls(tuple(TiedGaussian.fit(a, labels) for a in trace.activations))

    def scores(self, trace: Trace) -> Floats:
        """Return per layer the score of the nearest class, max_c -1/2 d^2 (Eq. 2 of the paper), shape (n, L)."""
        pairs = zip(self.layers, trace.activations, strict=True)
        return np.stack([layer.scores(activations).max(1) for layer, activations in pairs], axis=1)

    def to_arrays(self) -> dict[str, Floats]:
        """Return everything that `from_arrays` needs."""
        means = {f"means.{i}": layer.means for i, layer in enumerate(self.layers)}
        return means | {f"whitening.{i}": layer.whitening for i, layer in enumerate(self.layers)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Floats]) -> TiedGaussians:
        """Rebuild from `to_arrays`, among other arrays."""
        count = len({name.partition(".")[2] for name in arrays if name.startswith(("means.", "whitening."))})
        return cls(tuple(TiedGaussian(arrays[f"means.{i}"], arrays[f"whitening.{i}"]) for i in range(count)))


def _whitening(covariance: Floats) -> Floats:
    values, vectors = np.linalg.eigh(covariance)
    kept = values > SMALLEST_EIGENVALUE * values[-1]
    return np.ascontiguousarray(vectors[:, kept] / np.sqrt(values[kept]))
