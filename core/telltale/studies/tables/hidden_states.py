"""I-defender on a chosen form of the hidden state: layer, length, principal components, one mixture per class."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from sklearn.decomposition import PCA

from telltale.base.files import load_arrays, save_arrays, whole
from telltale.detectors.tails import position
from telltale.evidence.density import ClassDensities, Covariance, MixtureSettings, held_out_log_density
from telltale.models.trace import Trace

Scores = npt.NDArray[np.float64]
Hidden = npt.NDArray[np.float32]
Known: TypeAlias = tuple[Trace, npt.NDArray[np.int64]]  # images with their true classes

RAW, QUANTILE = "−log p", "class quantile"
VARIANTS = (RAW, QUANTILE)
SEVERAL_UP_TO = 128  # dimensions; more components at more of them have hardly an image per covariance entry


@dataclass(frozen=True)
class StateForm:
    """Which hidden state is modelled.

    Attributes
    ----------
    layer : str
        A traced layer.
    unit : bool
        Whether every state is scaled to length 1 first.
    dimensions : int
        Principal components that are kept, at most the layer's width.
    """

    layer: str
    unit: bool
    dimensions: int

    @property
    def label(self) -> str:
        """Name for files."""
        return f"{self.layer}-{'unit' if self.unit else 'plain'}-{self.dimensions}"

    def of(self, trace: Trace) -> Hidden:
        """Return the states of n images, shape (n, d)."""
        states = trace.activations[trace.layers.index(self.layer)]
        if not self.unit:
            return states
        lengths = np.linalg.norm(states, axis=1, keepdims=True)
        return np.asarray(states / np.maximum(lengths, np.finfo(np.float32).tiny), dtype=np.float32)


@dataclass(frozen=True)
class StateModel:
    """Mixtures of one form of the hidden state, with what natural images give (Zheng & Hong 2018, Eqs. 4 and 5).

    Attributes
    ----------
    form : StateForm
    densities : ClassDensities
    """

    form: StateForm
    densities: ClassDensities

    def log_density(self, trace: Trace) -> Scores:
        """Return log p(H | class) in nats, shape (n, C)."""
        return self.densities.log_density(self.form.of(trace))

    def surprise(self, trace: Trace) -> Scores:
        """Return -log p(H | predicted class) in nats, shape (n,)."""
        return -np.asarray(self.log_density(trace)[np.arange(len(trace)), trace.predictions])

    def describe(self) -> str:
        """Say what is modelled, and how."""
        settings = self.densities.settings
        length = "unit length" if self.form.unit else "not normalised"
        mixture = (
            f"{settings.components} {settings.covariance} Gaussian{'s' if settings.components > 1 else ''} per class"
        )
        return f"{self.form.layer}, {length}, {settings.dimensions} principal components, {mixture}"


@dataclass(frozen=True)
class Judge:
    """An I-defender with held-out natural images to compare with.

    Attributes
    ----------
    model : StateModel
    natural : array of float64, shape (m,)
        Surprises of the calibration images.
    predictions : array of int64, shape (m,)
        Of the calibration images.
    """

    model: StateModel
    natural: Scores
    predictions: npt.NDArray[np.int64]

    @classmethod
    def of(cls, model: StateModel, calibration: Trace) -> Judge:
        """Let a model see the calibration images."""
        return cls(model, model.surprise(calibration), calibration.predictions)

    def scores(self, trace: Trace) -> dict[str, Scores]:
        """Return -log p and its quantile in the predicted class, by variant; higher = more likely adversarial."""
        surprise = self.model.surprise(trace)
        places = class_quantiles(surprise, trace.predictions, self.natural, self.predictions)
        return {RAW: surprise, QUANTILE: places}

    def rejects(self, trace: Trace, keep: float) -> npt.NDArray[np.bool_]:
        """Return Eq. 5's decision at thresholds that keep this share of the calibration images of every class."""
        surprise, predictions = self.model.surprise(trace), trace.predictions
        rejected = np.zeros(len(trace), dtype=np.bool_)
        for c in np.unique(predictions):
            own = self.natural[self.predictions == c]
            limit = np.quantile(own if own.size else self.natural, keep, method="higher")
            rejected[predictions == c] = surprise[predictions == c] > limit
        return rejected


def class_quantiles(
    surprise: Scores, predictions: npt.NDArray[np.int64], natural: Scores, natural_predictions: npt.NDArray[np.int64]
) -> Scores:
    """Place each surprise among those of natural images that are predicted as the same class.

    Parameters
    ----------
    surprise : array of float64, shape (n,)
    predictions : array of int64, shape (n,)
    natural : array of float64, shape (m,)
        Surprises of held-out natural images.
    natural_predictions : array of int64, shape (m,)

    Returns
    -------
    array of float64, shape (n,)
        In (-1, 2), order kept beyond both ends; among all natural images where a class has none.
    """
    places = np.empty(len(surprise))
    for c in np.unique(predictions):
        own = natural[natural_predictions == c]
        places[predictions == c] = position(np.sort(own if own.size else natural), surprise[predictions == c])
    return places


def fit_states(
    form: StateForm,
    training: Callable[[], Known],
    held_out: Callable[[], Known],
    classes: int,
    seed: int,
    file: Path,
) -> StateModel:
    """Fit mixtures on training images by true class; number and covariance by held-out likelihood.

    Likelihoods are compared within one form only: those of different subspaces could not be.

    Parameters
    ----------
    form : StateForm
    training, held_out : callables that return (Trace, array of int64)
        Images with their true classes, asked for only if needed; the second are natural images that the network was
        not trained on.
    classes, seed : int
    file : Path
        What was fitted; a later call reads it.
    """
    if not file.exists():
        densities = _fit(form, training(), held_out(), classes, seed)
        with whole(file) as partial:
            save_arrays(partial, densities.to_arrays())
    return StateModel(form, ClassDensities.from_arrays(load_arrays(file)))


def _fit(form: StateForm, training: Known, held_out: Known, classes: int, seed: int) -> ClassDensities:
    (trace, labels), (unseen, truth) = training, held_out
    hidden = form.of(trace)
    dimensions = min(form.dimensions, *hidden.shape)
    # From the covariance, not from the images: `ClassDensities` takes minutes for the axes of a thousand dimensions.
    pca = PCA(dimensions, svd_solver="covariance_eigh").fit(hidden.astype(np.float64))
    inside, outside = (pca.transform(states).astype(np.float32) for states in (hidden, form.of(unseen)))
    candidates = [ClassDensities.fit(inside, labels, classes, shape, seed) for shape in shapes(dimensions)]
    best = max(candidates, key=lambda found: held_out_log_density(found, outside, truth))
    return _behind(pca, best)


def shapes(dimensions: int) -> Sequence[MixtureSettings]:
    """Return the mixtures that compete for a hidden state of so many dimensions."""
    counts = (1, 2) if dimensions <= SEVERAL_UP_TO else (1,)
    covariances: tuple[Covariance, ...] = ("full", "diag")
    return [MixtureSettings(count, covariance, dimensions) for covariance in covariances for count in counts]


def _behind(pca: PCA, densities: ClassDensities) -> ClassDensities:
    """Return densities over projected states as densities over whole ones: two projections become one."""
    mean = pca.mean_ + densities.mean @ pca.components_
    arrays = densities.to_arrays() | {"mean": mean, "axes": densities.axes @ pca.components_}
    return ClassDensities.from_arrays(arrays)
