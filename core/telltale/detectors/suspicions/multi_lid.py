"""The suspicion of Multi-LID: the detector's own score, with slopes where its trees have steps."""

from __future__ import annotations

import torch

from telltale.detectors.multi_lid import MultiLidDetector
from telltale.detectors.suspicions.distances import squared_distances
from telltale.detectors.suspicions.soft_trees import differentiable_trees
from telltale.detectors.suspicions.suspicion import Suspicion, view
from telltale.evidence.lid import LARGEST
from telltale.evidence.reference import Reference
from telltale.models.classifier import Classifier


def multi_lid_suspicion(classifier: Classifier, reference: Reference, detector: MultiLidDetector) -> Suspicion:
    """Return the log odds of the trees, whose splits have soft edges for the gradient (`soft_trees`)."""
    k = min(detector.settings.k, len(detector.minibatch_))
    points = [torch.from_numpy(a[detector.minibatch_]).double() for a in reference.trace.activations]
    log_odds = differentiable_trees(detector.trees_)

    def suspicion(images: torch.Tensor) -> torch.Tensor:
        activations = view(classifier, images).activations
        terms = [_terms(squared_distances(a.double(), p), k) for a, p in zip(activations, points, strict=True)]
        return log_odds(torch.cat(terms, dim=1))

    return suspicion


def _terms(squared: torch.Tensor, k: int) -> torch.Tensor:
    """Terms (n, k - 1) of squared distances (n, m) to the minibatch; see `telltale.evidence.lid.lid_terms`."""
    nearest = squared.topk(k, dim=1, largest=False).values
    smallest = torch.log(torch.tensor(1.0 / LARGEST, dtype=torch.float64))
    return (0.5 * (nearest[:, :-1].log() - nearest[:, -1:].log())).clamp(min=float(smallest))
