"""The nearest training image of one class: what an image that is read as that class can be compared with."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from telltale.base.errors import InputError

Rows = npt.NDArray[np.int64]

NONE = -1


def nearest_of_class(
    activations: npt.NDArray[np.floating],
    classes: Rows,
    references: npt.NDArray[np.floating],
    labels: Rows,
) -> tuple[Rows, npt.NDArray[np.float64]]:
    """Return for n queries the nearest of N references that has a given class, by Euclidean distance.

    Carrara et al. (2017) show it beside the images that are easiest and hardest to detect (Table 3).

    Parameters
    ----------
    activations : array of float, shape (n, d)
    classes : array of int64, shape (n,)
        The class wanted for each query.
    references : array of float, shape (N, d)
    labels : array of int64, shape (N,)

    Returns
    -------
    rows : array of int64, shape (n,)
        Rows of `references`, the first of equal distances; `NONE` where the class has none.
    distances : array of float64, shape (n,)
        NaN where the class has none.

    Raises
    ------
    InputError
        If the widths differ.
    """
    if activations.shape[1] != references.shape[1]:
        raise InputError(
            f"The activations must have the references' width of {references.shape[1]}; got {activations.shape[1]}."
        )
    rows = np.full(len(activations), NONE, dtype=np.int64)
    distances = np.full(len(activations), np.nan)
    for wanted in np.unique(classes):
        members = np.flatnonzero(labels == wanted)
        if not len(members):
            continue
        points = references[members].astype(np.float64)
        for query in np.flatnonzero(classes == wanted):
            squared = ((points - activations[query].astype(np.float64)) ** 2).sum(axis=1)
            nearest = int(squared.argmin())
            rows[query], distances[query] = members[nearest], np.sqrt(squared[nearest])
    return rows, distances
