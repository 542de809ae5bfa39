"""TRAK: regression on randomly projected gradients, averaged over networks (Park et al., ICML 2023, algorithm 1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from telltale.studies.influence_trust.gradients import LogOdds

Array = npt.NDArray[np.float64]
ROWS_AT_ONCE = 4096  # of the projection: drawn, used and forgotten


@dataclass(frozen=True)
class TrakTerms:
    """What one network gives to TRAK.

    Attributes
    ----------
    kernel : array of float64, shape (T, N)
        phi(x)' (Phi' Phi)^-1 phi(z) of every test image x and training image z.
    doubts : array of float64, shape (N,)
        1 - p of every training image's own label.
    """

    kernel: Array
    doubts: Array


def project(gradients: npt.NDArray[np.float32], dimensions: int, seed: int) -> Array:
    """Multiply gradients by a matrix of independent normal entries.

    Parameters
    ----------
    gradients : array of float32, shape (n, P)
    dimensions : int
        k; the same seed gives the same matrix (P, k).
    seed : int

    Returns
    -------
    array of float64, shape (n, k)
    """
    rng = np.random.default_rng(seed)
    projected = np.zeros((len(gradients), dimensions))
    for start in range(0, gradients.shape[1], ROWS_AT_ONCE):
        part = gradients[:, start : start + ROWS_AT_ONCE]
        projected += part @ rng.standard_normal((part.shape[1], dimensions), dtype=np.float32)
    return projected


def trak_terms(training: LogOdds, test: LogOdds, dimensions: int, seed: int) -> TrakTerms:
    """Project one network's gradients and solve the regression.

    Parameters
    ----------
    training : LogOdds of N training images, of their labels
    test : LogOdds of T test images, of the classes that are explained
    dimensions : int
        k. Where it exceeds the rank of the training gradients, the pseudo-inverse stands for the inverse.
    seed : int
        Of the projection.
    """
    phi, queries = (project(seen.gradients, dimensions, seed) for seen in (training, test))
    inverse = np.linalg.pinv(phi.T @ phi, hermitian=True)
    return TrakTerms(queries @ inverse @ phi.T, training.doubts)


def trak(networks: Sequence[TrakTerms]) -> Array:
    """Average over networks and weigh by how far each training image is from being certain (equation 17).

    Parameters
    ----------
    networks : sequence of TrakTerms

    Returns
    -------
    array of float64, shape (T, N)
        Positive: the training image raises the test image's log odds.
    """
    kernel = np.mean([terms.kernel for terms in networks], axis=0)
    return np.asarray(kernel * np.mean([terms.doubts for terms in networks], axis=0))
