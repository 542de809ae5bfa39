"""The linear datamodeling score: how far sums of attributions foretell retrained outputs (Park et al., ICML 2023).

For one test image, every training image has an attribution. The sum over a subset foretells the network's output after
training on that subset alone; the score is Spearman's correlation, over subsets, between what is foretold and what
retraining gives (definition 2.3), averaged over test images.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

Array = npt.NDArray[np.float64]

RESAMPLES = 2000
INSIDE = (2.5, 97.5)


def draw_halves(images: int, subsets: int, rng: np.random.Generator) -> npt.NDArray[np.bool_]:
    """Draw random halves of N training images, shape (S, N): every row holds N // 2 of them."""
    members = np.zeros((subsets, images), dtype=np.bool_)
    for row in members:
        row[rng.permutation(images)[: images // 2]] = True
    return members


def foretold(attributions: npt.NDArray[np.floating], members: npt.NDArray[np.bool_]) -> Array:
    """Add up attributions over every subset.

    Parameters
    ----------
    attributions : array of float, shape (T, N)
        Of every training image for every test image; positive raises the output.
    members : array of bool, shape (S, N)

    Returns
    -------
    array of float64, shape (S, T)
    """
    return members.astype(np.float64) @ attributions.astype(np.float64).T


def log_odds(logits: npt.NDArray[np.floating], classes: npt.NDArray[np.int64]) -> Array:
    """Return log p / (1 - p) of one class per image: its logit less the logsumexp of the others.

    Parameters
    ----------
    logits : array of float, shape (..., T, C)
    classes : array of int64, shape (T,)

    Returns
    -------
    array of float64, shape (..., T)
    """
    chosen = np.arange(logits.shape[-1]) == classes[:, None]
    wide = logits.astype(np.float64)
    others = np.where(chosen, -np.inf, wide)
    peak = others.max(-1)
    return np.asarray((wide * chosen).sum(-1) - peak - np.log(np.exp(others - peak[..., None]).sum(-1)))


def rank_correlations(one: Array, other: Array) -> Array:
    """Return Spearman's correlation of every column, ties sharing their mean rank.

    Parameters
    ----------
    one, other : array of float64, shape (S, T)

    Returns
    -------
    array of float64, shape (T,)
        0 where a column is constant: it tells no subset from another.
    """
    a, b = (rankdata(values, axis=0) - (len(values) + 1) / 2 for values in (one, other))
    lengths = np.sqrt((a**2).sum(0) * (b**2).sum(0))
    return np.asarray((a * b).sum(0) / np.where(lengths > 0.0, lengths, 1.0))


def intervals_of_means(correlations: Array, seed: int) -> Array:
    """Return 95 % percentile bootstrap intervals of means over test images, from the same draws for all methods.

    Parameters
    ----------
    correlations : array of float64, shape (M, T)
        One row per method.
    seed : int

    Returns
    -------
    array of float64, shape (M, 2)
    """
    images = correlations.shape[1]
    drawn = np.random.default_rng(seed).integers(images, size=(RESAMPLES, images))
    return np.array([np.percentile(row[drawn].mean(1), INSIDE) for row in correlations])


def error_over_subsets(one: Array, other: Array) -> float:
    """Return the standard error of the mean correlation that comes from which subsets were drawn, by the jackknife.

    Parameters
    ----------
    one, other : array of float64, shape (S, T)
    """
    rows = range(len(one))
    left_out = [rank_correlations(np.delete(one, row, 0), np.delete(other, row, 0)).mean() for row in rows]
    return float(np.sqrt((len(one) - 1) * np.var(left_out)))


def agreement(margins: Array) -> float:
    """Mean rank correlation of retrained outputs between two repeats, over test images and pairs of repeats.

    Parameters
    ----------
    margins : array of float64, shape (R, S, T), R >= 2
    """
    return float(np.mean([rank_correlations(a, b).mean() for a, b in combinations(margins, 2)]))


def ceiling(agreement_of_two: float, repeats: int) -> float:
    """Return about the highest score that any attribution can reach against outputs averaged over repeats.

    The Spearman-Brown formula gives the reliability of a mean of R repeats; what foretells its noiseless part perfectly
    correlates with it by the square root. Both hold for Pearson's correlation, and about so for Spearman's.

    Parameters
    ----------
    agreement_of_two : float
        See `agreement`; below 0 it counts as 0.
    repeats : int
        R.
    """
    one = max(agreement_of_two, 0.0)
    return float(np.sqrt(repeats * one / (1.0 + (repeats - 1) * one)))
