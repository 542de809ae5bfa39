"""`telltale.detectors.logistic.LogisticScore`, differentiable."""

from __future__ import annotations

from collections.abc import Callable

import torch

from telltale.detectors.logistic import LogisticScore


def differentiable(regression: LogisticScore) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return the log odds (n,) of being adversarial as a function of float64 features (n, f)."""
    mean, scale = torch.from_numpy(regression.mean), torch.from_numpy(regression.scale)
    coefficients = torch.from_numpy(regression.coefficients)
    return lambda features: ((features - mean) / scale) @ coefficients + regression.intercept
