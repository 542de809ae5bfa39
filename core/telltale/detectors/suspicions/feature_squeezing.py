"""The suspicion of feature squeezing: its own score, with squeezers that are differentiated as if they did nothing.

Xu, Evans & Qi (2018); Athalye, Carlini & Wagner (2018) call the latter backward pass differentiable approximation.
"""

from __future__ import annotations

import torch

from telltale.detectors.feature_squeezing import SMOOTHING, FeatureSqueezingDetector
from telltale.detectors.suspicions.suspicion import Suspicion, view
from telltale.detectors.suspicions.tails import NaturalValues
from telltale.detectors.tails import UPPER
from telltale.evidence.reference import Reference
from telltale.evidence.squeezing import SQUEEZERS
from telltale.models.classifier import Classifier


def squeezing_suspicion(classifier: Classifier, reference: Reference, detector: FeatureSqueezingDetector) -> Suspicion:
    """Return the largest L1 distance between softmax outputs before and after squeezing, or how unusual it is."""
    del reference
    natural = None if detector.settings.tails == UPPER else NaturalValues(detector.natural_)
    squeezers = [SQUEEZERS[name] for name in (f"bits_{detector.settings.bits}", *SMOOTHING)]

    def suspicion(images: torch.Tensor) -> torch.Tensor:
        pixels = images.detach().numpy()
        changes = (torch.from_numpy(squeeze(pixels)) - images.detach() for squeeze in squeezers)
        before = view(classifier, images).logits.softmax(1)
        after = [classifier(images + change).softmax(1) for change in changes]
        moved = torch.stack([(a - before).abs().sum(1) for a in after]).amax(0)
        return moved if natural is None else natural.outwardness(moved.double())

    return suspicion
