"""The last step of detectors that read several numbers per image: standard scores into logistic regression."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression

from telltale.base.settings import parameter
from telltale.detectors.base import Arrays, Labels

Floats = npt.NDArray[np.float64]


def inverse_penalty() -> float:
    """Declare `c`, in the body of a detector's settings."""
    return parameter(
        1.0,
        low=1e-6,
        high=1e6,
        help="Inverse strength of the logistic regression's L2 penalty.",
        title="Inverse penalty C",
    )


@dataclass(frozen=True)
class LogisticScore:
    """A fitted standardisation and logistic regression.

    Attributes
    ----------
    mean, scale : array of float64, shape (f,)
        Of every feature, under the weights of the images; a feature that never varies keeps scale 1.
    coefficients : array of float64, shape (f,)
        Of the standardised features.
    intercept : float
    """

    mean: Floats
    scale: Floats
    coefficients: Floats
    intercept: float

    @classmethod
    def fit(cls, features: Floats, labels: Labels, c: float) -> LogisticScore:
        """Fit to features (n, f) with `Labels.balanced_weights`; c is the inverse strength of the L2 penalty."""
        weights = labels.balanced_weights()
        mean = np.average(features, axis=0, weights=weights)
        spread = np.sqrt(np.average(np.square(features - mean), axis=0, weights=weights))
        scale = np.where(spread > 0.0, spread, 1.0)
        model = LogisticRegression(C=c, l1_ratio=0.0, solver="lbfgs", tol=1e-6, max_iter=5000, fit_intercept=True)
        model.fit((features - mean) / scale, labels.adversarial, sample_weight=weights)
        return cls(mean, scale, model.coef_[0], float(model.intercept_[0]))

    def score(self, features: Floats) -> Floats:
        """Return the log odds of being adversarial, shape (n,), for features (n, f)."""
        standard = (features - self.mean) / self.scale
        return np.asarray(np.einsum("nf,f->n", standard, self.coefficients) + self.intercept)

    def to_arrays(self) -> Arrays:
        """Return everything that `from_arrays` needs."""
        return {**vars(self), "intercept": np.array([self.intercept])}

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> LogisticScore:
        """Rebuild from `to_arrays`, among other arrays."""
        return cls(arrays["mean"], arrays["scale"], arrays["coefficients"], float(arrays["intercept"][0]))
