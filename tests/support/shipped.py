"""The shipped bundles, opened once for every test that measures it."""

from __future__ import annotations

import functools

import numpy as np
import numpy.typing as npt

from telltale.analysis.opened import LoadedBundle, open_bundle
from telltale.base.images import FloatImages
from telltale.base.processes import use_one_thread
from telltale.bundle import load_bundle

# What all trained bundles were built with, in the order of the registry.
SHIPPED_DETECTORS = (
    "knn_score",
    "trajectory",
    "idefender",
    "nnif",
    "feature_response",
    "feature_squeezing",
    "dknn",
    "lid",
    "mahalanobis",
    "kernel_density",
    "confidence",
    "stability",
    "multi_lid",
)
WITH_TWIN = (*SHIPPED_DETECTORS, "twin")  # the classifiers of photographs and of signs have one


@functools.cache
def shipped(name: str = "digits") -> LoadedBundle:
    """Return a bundle with its model, computing on one thread as the engine's workers do."""
    use_one_thread()
    return open_bundle(name)


@functools.cache
def columns(name: str = "digits") -> dict[str, npt.NDArray[np.generic]]:
    """Return a bundle's stored scores, one array per column."""
    table = load_bundle(name).scores
    return {column: np.asarray(table[column].to_pylist()) for column in table.column_names}


def rows(name: str, /, **wanted: str) -> npt.NDArray[np.bool_]:
    """Return which stored rows of a bundle have these values."""
    stored = columns(name)
    return np.asarray(np.logical_and.reduce([stored[column] == value for column, value in wanted.items()]))


def images_of(ids: npt.ArrayLike) -> FloatImages:
    """Return data-set images by id."""
    image_set = shipped().bundle.image_set
    assert image_set is not None
    return image_set.images(np.asarray(ids))


def correct_test_ids(count: int) -> npt.NDArray[np.int64]:
    """Return test images that the model reads correctly, spread over the split."""
    stored = columns()
    ids = stored["image_id"][(stored["split"] == "test") & (stored["kind"] == "natural")]
    return np.asarray(ids[np.linspace(0, len(ids) - 1, count).astype(int)], dtype=np.int64)
