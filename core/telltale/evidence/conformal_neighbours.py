"""How unusual each label would be, judged by the labels of the neighbours on all layers (Papernot & McDaniel 2018)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def nonconformity(shares: Floats, k: int) -> Floats:
    """Count, over all layers, the k nearest training images whose label is another one (their Eq. 1).

    Parameters
    ----------
    shares : array of float64, shape (L, n, C)
        Per layer, the share of the k nearest training images that each class holds.
    k : int

    Returns
    -------
    array of float64, shape (n, C)
        alpha(x, j), whole numbers in [0, L k].
    """
    return np.asarray(np.rint(k * (1.0 - shares)).sum(0))


def empirical_p_values(calibration: Floats, alphas: Floats) -> Floats:
    """Return the share of the calibration images that conform no better (their Eq. 2); nothing is trimmed.

    Parameters
    ----------
    calibration : array of float64, shape (m,)
        alpha of every calibration image for its own label, ascending.
    alphas : array of float64, any shape

    Returns
    -------
    array of float64, of the shape of `alphas`, in [0, 1]
        #{calibration >= alpha} / m.
    """
    lower = np.searchsorted(calibration, alphas, side="left")
    return np.asarray((len(calibration) - lower) / len(calibration))


def credibility(p_values: Floats) -> Floats:
    """Return the largest p-value over all labels, shape (n,), of p-values (n, C)."""
    return np.asarray(p_values.max(1))
