"""The suspicion of the Mahalanobis detector: its own score (Lee et al. 2018)."""

from __future__ import annotations

import torch

from telltale.detectors.mahalanobis import MahalanobisDetector
from telltale.detectors.suspicions.logistic import differentiable
from telltale.detectors.suspicions.suspicion import Suspicion, view
from telltale.evidence.mahalanobis import TiedGaussian
from telltale.evidence.mahalanobis_step import score_gradients
from telltale.evidence.reference import Reference
from telltale.models.classifier import Classifier


def mahalanobis_suspicion(classifier: Classifier, reference: Reference, detector: MahalanobisDetector) -> Suspicion:
    """Return the log odds; the direction of the input step, where there is one, is held fixed for the gradient."""
    del reference
    gaussians, step = detector.gaussians_, detector.settings.step
    measures = [_Nearest(gaussian) for gaussian in gaussians.layers]
    score = differentiable(detector.regression_)

    def suspicion(images: torch.Tensor) -> torch.Tensor:
        if step == 0.0:
            activations = view(classifier, images).activations
        else:
            moved = [images + step * g.sign() for g in score_gradients(classifier, gaussians, images)]
            activations = tuple(view(classifier, m).activations[i] for i, m in enumerate(moved))
        return score(torch.stack([m(a) for m, a in zip(measures, activations, strict=True)], dim=1))

    return suspicion


class _Nearest:
    """max_c -1/2 d² on one layer."""

    def __init__(self, gaussian: TiedGaussian) -> None:
        self._means, self._whitening = torch.from_numpy(gaussian.means), torch.from_numpy(gaussian.whitening)

    def __call__(self, activations: torch.Tensor) -> torch.Tensor:
        whitened = (activations.double()[:, None] - self._means) @ self._whitening
        return (-0.5 * whitened.square().sum(-1)).amax(1)
