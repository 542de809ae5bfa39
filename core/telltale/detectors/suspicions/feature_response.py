"""The suspicion of the feature responses: mean local entropy with soft histograms (Amirian et al. 2018, Eq. 4)."""

from __future__ import annotations

import torch

from telltale.detectors.feature_response import FeatureResponseDetector
from telltale.detectors.suspicions.suspicion import Suspicion
from telltale.detectors.suspicions.tails import NaturalValues
from telltale.detectors.tails import UPPER
from telltale.evidence.guided import guided_network
from telltale.evidence.reference import Reference
from telltale.evidence.response import LUMA
from telltale.models.classifier import Classifier

PATCH = 3
GREY_LEVELS = 255.0
BANDWIDTH = 1.0  # grey levels within which two pixels count as alike
AT_ONCE = 32  # images whose patches are compared at once


def response_suspicion(classifier: Classifier, reference: Reference, detector: FeatureResponseDetector) -> Suspicion:
    """Return the soft entropy in the detector's direction, or how far out it lies where both tails count.

    A hard histogram has no slope. Here a pixel counts every pixel of its patch by exp(-½ Δ²), Δ their difference in
    grey levels, so that equal levels count one and distant ones nothing.
    """
    del reference
    natural = None if detector.settings.tails == UPPER else NaturalValues(detector.natural_)

    def suspicion(images: torch.Tensor) -> torch.Tensor:
        activation = classifier.stage(images)
        responses = guided_network(classifier).pull_back(images, activation)
        parts = torch.split(responses, AT_ONCE)
        entropy = torch.cat([soft_entropy(_grey(part)) for part in parts]).double()
        return detector.direction_ * entropy if natural is None else natural.outwardness(entropy)

    return suspicion


def soft_entropy(grey: torch.Tensor) -> torch.Tensor:
    """Mean over the inner patches of their soft grey-level entropy in bits, shape (n,), for levels (n, H, W).

    With r_i the number of pixels alike pixel i, the entropy of p pixels is log2 p - mean log2 r_i: exact for hard
    counts, and defined for soft ones.
    """
    patches = torch.nn.functional.unfold(grey[:, None], PATCH)
    differences = (patches[:, :, None] - patches[:, None]) / BANDWIDTH
    alike = torch.exp(-0.5 * differences.square()).sum(2)
    return (float(PATCH**2) / alike).log2().mean((1, 2))


def _grey(responses: torch.Tensor) -> torch.Tensor:
    """Luma of responses (n, C, H, W), rescaled from each one's own range to 0 .. 255 without rounding."""
    if responses.shape[1] == 1:
        maps = responses[:, 0]
    else:
        maps = torch.einsum("nchw,c->nhw", responses, torch.from_numpy(LUMA).to(responses.dtype))
    low, high = maps.amin((1, 2), keepdim=True), maps.amax((1, 2), keepdim=True)
    span = high - low
    return GREY_LEVELS * (maps - low) / torch.where(span > 0.0, span, 1.0)
