"""Mahalanobis scores after a small step of the image towards the nearest class (Lee et al. 2018, Eq. 3).

The paper's input pre-processing: natural images gain more by the step than others. It is taken for every layer by
itself, in pixel units, without clipping or rounding, because the stepped image is only looked at.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from telltale.evidence.evidence import Stepped
from telltale.evidence.mahalanobis import TiedGaussian, TiedGaussians
from telltale.models.classifier import Classifier

AT_ONCE = 32  # images: the activations of all layers are held for the gradients


def stepped_scores(
    classifier: Classifier, gaussians: TiedGaussians, images: npt.NDArray[np.float32], step: float
) -> npt.NDArray[np.float64]:
    """Score images on every layer after `step` along the sign of that layer's score gradient.

    Parameters
    ----------
    classifier : Classifier
    gaussians : TiedGaussians
    images : array of float32, shape (n, C, H, W), in [0, 1]
    step : float
        In pixel units; 0 gives `TiedGaussians.scores`.

    Returns
    -------
    array of float64, shape (n, L)
        max_c -1/2 d^2 at the stepped image.
    """
    parts = [torch.from_numpy(images[start : start + AT_ONCE]) for start in range(0, len(images), AT_ONCE)]
    return np.concatenate([_part(classifier, gaussians, part, step) for part in parts])


def stepping(classifier: Classifier, images: npt.NDArray[np.float32]) -> Stepped:
    """Return `stepped_scores` of these images, as `Evidence` takes it."""
    return lambda gaussians, step: stepped_scores(classifier, gaussians, images, step)


def score_gradients(classifier: Classifier, gaussians: TiedGaussians, images: torch.Tensor) -> list[torch.Tensor]:
    """Differentiate every layer's score max_c -1/2 d^2 with respect to images (n, C, H, W), each by itself.

    Returns
    -------
    list of L Tensors of the shape and dtype of `images`
    """
    images = images.detach().requires_grad_()
    pairs = zip(gaussians.layers, classifier.activations(images), strict=True)
    scores = [_nearest_class_scores(gaussian, pooled) for gaussian, pooled in pairs]
    return [torch.autograd.grad(score.sum(), images, retain_graph=True)[0] for score in scores]


def _nearest_class_scores(gaussian: TiedGaussian, activations: torch.Tensor) -> torch.Tensor:
    """Return max_c -1/2 d^2 of activations (n, d) in float64, shape (n,), as something to differentiate."""
    nearest = gaussian.scores(activations.detach().numpy()).argmax(1)
    differences = activations.double() - torch.from_numpy(gaussian.means[nearest])
    return -0.5 * (differences @ torch.from_numpy(gaussian.whitening)).square().sum(1)


def _part(
    classifier: Classifier, gaussians: TiedGaussians, images: torch.Tensor, step: float
) -> npt.NDArray[np.float64]:
    columns = []
    for layer, gradients in enumerate(score_gradients(classifier, gaussians, images)):
        with torch.inference_mode():
            activations = classifier.activations(images + step * gradients.sign())[layer]
        columns.append(gaussians.layers[layer].scores(activations.numpy()).max(1))
    return np.stack(columns, axis=1)
