"""Placing an image on a map of training images, among its nearest neighbours."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from telltale.evidence.neighbours import Neighbours

PLACED_BETWEEN = 10


def place_between(nearest: Neighbours, coordinates: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Place images on a map: the mean of their nearest training images' places, weighted by 1 / distance.

    Parameters
    ----------
    nearest : Neighbours of n images
        The first `PLACED_BETWEEN` count; at a distance of zero only the images there do.
    coordinates : array of float32, shape (N, 2)

    Returns
    -------
    array of float32, shape (n, 2)
    """
    near = nearest.first(PLACED_BETWEEN)
    exact = near.distances == 0.0
    weights = np.where(exact.any(1, keepdims=True), exact, 1.0 / np.where(exact, 1.0, near.distances))
    weights /= weights.sum(1, keepdims=True)
    return np.asarray(np.einsum("nk,nkc->nc", weights, coordinates[near.rows].astype(np.float64)), dtype=np.float32)


def place_on_map(found: Sequence[Neighbours], coordinates: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Place an image among its nearest neighbours on every layer's map, weighted by 1/distance.

    Parameters
    ----------
    found : sequence of L Neighbours of one query
    coordinates : array of float32, shape (L, N, 2)

    Returns
    -------
    array of float32, shape (L, 2)
        The mean place of the zero-distance neighbours, where there are any.
    """
    return np.concatenate([place_between(near, layer) for near, layer in zip(found, coordinates, strict=True)])
