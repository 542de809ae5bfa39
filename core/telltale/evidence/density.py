"""Density of the hidden state under one Gaussian mixture per class (Zheng & Hong 2018, Eqs. 4 and 5)."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture

from telltale.base.errors import InputError

Covariance: TypeAlias = Literal["full", "diag"]
COVARIANCES: tuple[Covariance, ...] = ("full", "diag")
RIDGE = 1e-4  # of the mean variance; without it a dead channel would have infinite density
KEEP_RATES = (0.95, 0.99)
FEWEST = 2  # images of a class, for a mixture


@dataclass(frozen=True)
class MixtureSettings:
    """How the mixtures are fitted.

    Attributes
    ----------
    components : int
        Gaussians per class, K.
    covariance : {"full", "diag"}
    dimensions : int
        Principal components of the hidden state that are modelled; the hidden width means all of them.
    """

    components: int
    covariance: Covariance
    dimensions: int


@dataclass(frozen=True)
class DensityChart:
    """The flat view of the hidden states, and the thresholds that held-out natural images give.

    Attributes
    ----------
    origin, axes : arrays of float64, shapes (d,) and (2, d)
        Projection of a hidden state to the chart: ``(hidden - origin) @ axes.T``.
    keep_rates : array of float64, shape (R,)
        Nominal shares of natural images to keep.
    thresholds : array of float64, shape (R, C)
        TH_c for each of them.
    """

    origin: npt.NDArray[np.float64]
    axes: npt.NDArray[np.float64]
    keep_rates: npt.NDArray[np.float64]
    thresholds: npt.NDArray[np.float64]

    def position(self, hidden: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Place hidden states (n, d) on the chart, (n, 2)."""
        return np.asarray((hidden.astype(np.float64) - self.origin) @ self.axes.T, dtype=np.float32)


class ClassDensities:
    """One Gaussian mixture per class over the (projected) hidden state.

    Parameters
    ----------
    settings : MixtureSettings
    mean, axes : arrays of float64, shapes (d,) and (q, d)
        Projection: ``(hidden - mean) @ axes.T``.
    mixtures : sequence of fitted GaussianMixture over (n, q)
        Of the classes in `known`, in their order.
    known : array of bool, shape (C,), optional
        Which classes have a mixture; all where left out.
    """

    def __init__(
        self,
        settings: MixtureSettings,
        mean: npt.NDArray[np.float64],
        axes: npt.NDArray[np.float64],
        mixtures: Sequence[GaussianMixture],
        known: npt.NDArray[np.bool_] | None = None,
    ) -> None:
        self.settings = settings
        self.mean = mean
        self.axes = axes
        self.mixtures = tuple(mixtures)
        self.known = np.ones(len(self.mixtures), dtype=np.bool_) if known is None else known

    @classmethod
    def fit(
        cls,
        hidden: npt.NDArray[np.float32],
        labels: npt.NDArray[np.int64],
        classes: int,
        settings: MixtureSettings,
        seed: int,
    ) -> ClassDensities:
        """Fit on training images grouped by true class; classes with fewer than `FEWEST` of them get no mixture.

        Parameters
        ----------
        hidden : array of float32, shape (N, d)
        labels : array of int64, shape (N,)
        classes : int
        settings : MixtureSettings
        seed : int

        Raises
        ------
        InputError
            If one of the others has fewer images than the mixture has components, or there is none.
        """
        known = enough(labels, classes)
        if not known.any():
            raise InputError(f"No class has {FEWEST} training images, which a mixture needs.")
        pca = PCA(n_components=settings.dimensions, svd_solver="full").fit(hidden.astype(np.float64))
        projected = pca.transform(hidden.astype(np.float64))
        mixtures = [_fit_mixture(projected[labels == c], settings, seed) for c in np.flatnonzero(known)]
        # The order of float additions depends on memory layout: what is used now is what a bundle restores.
        return cls.from_arrays(cls(settings, pca.mean_, pca.components_, mixtures, known).to_arrays())

    def project(self, hidden: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """Project hidden states (n, d) to the modelled subspace (n, q)."""
        return np.asarray(np.einsum("nd,qd->nq", hidden.astype(np.float64) - self.mean, self.axes), dtype=np.float64)

    def log_density(self, hidden: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """Return log p(H | class) in nats, shape (n, C), for hidden states of shape (n, d).

        It is -inf for classes without a mixture: nothing is usual for them.
        """
        projected = self.project(hidden)
        found = np.stack([mixture_log_density(m, projected) for m in self.mixtures], axis=1)
        if self.known.all():
            return found
        everything = np.full((len(hidden), len(self.known)), -np.inf)
        everything[:, self.known] = found
        return everything

    def to_arrays(self) -> dict[str, npt.NDArray[np.float64]]:
        """Return everything that `from_arrays` needs."""
        arrays = {
            "mean": self.mean,
            "axes": self.axes,
            "weights": np.stack([m.weights_ for m in self.mixtures]),
            "means": np.stack([m.means_ for m in self.mixtures]),
            "covariances": np.stack([m.covariances_ for m in self.mixtures]),
            "precisions_cholesky": np.stack([m.precisions_cholesky_ for m in self.mixtures]),
        }
        if not self.known.all():
            arrays["known"] = self.known.astype(np.float64)
        return {name: np.ascontiguousarray(values) for name, values in arrays.items()}

    @classmethod
    def from_arrays(cls, arrays: dict[str, npt.NDArray[np.float64]]) -> ClassDensities:
        """Rebuild from `to_arrays`."""
        covariance: Covariance = "full" if arrays["covariances"].ndim == 4 else "diag"
        components, dimensions = arrays["means"].shape[1:]
        settings = MixtureSettings(int(components), covariance, int(dimensions))
        mixtures = [_restore_mixture(arrays, c, settings) for c in range(len(arrays["means"]))]
        known = arrays["known"] > 0.0 if "known" in arrays else None
        return cls(settings, arrays["mean"], arrays["axes"], mixtures, known)


def enough(labels: npt.NDArray[np.int64], classes: int) -> npt.NDArray[np.bool_]:
    """Return which classes have the `FEWEST` images that a mixture needs, shape (C,)."""
    return np.asarray(np.bincount(labels, minlength=classes) >= FEWEST)


def of_predicted(log_density: npt.NDArray[np.float64], predictions: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Return log p(H | predicted class), shape (n,); that of the least likely class where the predicted one has none.

    So a detector can judge what is taken for a class without reference images: as odd as it is to any class.
    """
    own = log_density[np.arange(len(predictions)), predictions]
    if np.isfinite(own).all():
        return np.asarray(own)
    least = np.where(np.isfinite(log_density), log_density, np.inf).min(1)
    return np.where(np.isfinite(own), own, least)


def held_out_log_density(
    densities: ClassDensities, hidden: npt.NDArray[np.float32], labels: npt.NDArray[np.int64]
) -> float:
    """Mean log p(H | true class) in nats on images that the mixtures have not seen: what K is chosen by.

    Images of classes without a mixture say nothing; -inf where there are no others.
    """
    own = densities.log_density(hidden)[np.arange(len(labels)), labels][densities.known[labels]]
    return float(own.mean()) if len(own) else -np.inf


def class_thresholds(
    log_density: npt.NDArray[np.float64], predictions: npt.NDArray[np.int64], keep: float
) -> npt.NDArray[np.float64]:
    """Per-class rejection threshold TH_c that keeps a share of held-out natural images (Eq. 5).

    Parameters
    ----------
    log_density : array of float64, shape (n, C)
    predictions : array of int64, shape (n,)
    keep : float
        Nominal keep rate in (0, 1), e.g. 0.95.

    Returns
    -------
    array of float64, shape (C,)
        The (1 - keep) quantile of log p(H | c) over the images predicted as c, rounded down to one of them, so
        that at least `keep` of them pass; over all images' own predicted class where a class has none. Images
        predicted as a class without a mixture are left out; infinite where no other is left.
    """
    own = log_density[np.arange(len(predictions)), predictions]
    known = np.isfinite(own)
    if not known.any():
        return np.full(log_density.shape[1], np.inf)
    own, predictions = own[known], predictions[known]
    groups = [own[predictions == c] for c in range(log_density.shape[1])]
    return np.array([np.quantile(group if group.size else own, 1.0 - keep, method="lower") for group in groups])


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
        The chart, and everything the bundle's density map stores: NaN for classes without a mixture.
    """
    pca = PCA(2, svd_solver="full").fit(hidden.astype(np.float64))
    thresholds = np.stack([class_thresholds(log_density, predictions, keep) for keep in KEEP_RATES])
    chart = DensityChart(pca.mean_, pca.components_, np.array(KEEP_RATES), thresholds)
    points = chart.position(hidden)
    groups = [points[labels == c].astype(np.float64) for c in range(log_density.shape[1])]
    return chart, {
        "points": points,
        "labels": labels,
        "means": np.stack([g.mean(0) if len(g) >= FEWEST else np.full(2, np.nan) for g in groups]),
        "covariances": np.stack(
            [np.cov(g, rowvar=False) if len(g) >= FEWEST else np.full((2, 2), np.nan) for g in groups]
        ),
        **vars(chart),
    }


def keep_rate(
    log_density: npt.NDArray[np.float64], predictions: npt.NDArray[np.int64], thresholds: npt.NDArray[np.float64]
) -> float:
    """Share of images whose log p(H | predicted class) reaches the threshold of that class."""
    own = log_density[np.arange(len(predictions)), predictions]
    return float((own >= thresholds[predictions]).mean())


def mixture_log_density(mixture: GaussianMixture, points: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the log density of a fitted mixture at points (n, q), shape (n,), in nats.

    What `GaussianMixture.score_samples` returns, without its checks, which take several times as long for one point.
    """
    parts = np.empty((len(points), len(mixture.weights_)))
    for k, (weight, mean, factor) in enumerate(
        zip(mixture.weights_, mixture.means_, mixture.precisions_cholesky_, strict=True)
    ):
        away = points - mean
        scaled = away @ factor if factor.ndim == 2 else away * factor
        scales = np.diagonal(factor) if factor.ndim == 2 else factor
        squared = np.einsum("nq,nq->n", scaled, scaled)
        parts[:, k] = np.log(weight) + np.log(scales).sum() - 0.5 * (len(mean) * np.log(2.0 * np.pi) + squared)
    return np.asarray(np.logaddexp.reduce(parts, axis=1))


def _fit_mixture(points: npt.NDArray[np.float64], settings: MixtureSettings, seed: int) -> GaussianMixture:
    if len(points) < max(FEWEST, settings.components):
        raise InputError(f"A class has {len(points)} training images; {settings.components} components need more.")
    mixture = GaussianMixture(
        settings.components,
        covariance_type=settings.covariance,
        reg_covar=RIDGE * float(points.var(0).mean()),
        max_iter=200,
        random_state=seed,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return mixture.fit(points)


def _restore_mixture(arrays: dict[str, npt.NDArray[np.float64]], c: int, settings: MixtureSettings) -> GaussianMixture:
    mixture = GaussianMixture(settings.components, covariance_type=settings.covariance)
    for name in ("weights", "means", "covariances", "precisions_cholesky"):
        setattr(mixture, f"{name}_", arrays[name][c])
    return mixture
