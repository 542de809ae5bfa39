"""A new head on cached features: multinomial logistic regression with an L2 penalty, chosen on validation images.

It is the head that influence refers to (`telltale.evidence.influence`): it minimises

    (1/N) sum of the cross-entropies + penalty/2 |W|^2, biases included.

Penalty, and which copies of the training images it learns from, are those with the least cross-entropy on validation.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from telltale.base.progress import Progress
from telltale.building.fine_tuning.features import Features, Floats
from telltale.evidence.influence import SoftmaxHead
from telltale.evidence.iterative_head import fit_head_iteratively

Labels = npt.NDArray[np.int64]

PENALTIES = (1e-1, 3e-2, 1e-2, 3e-3, 1e-3, 3e-4, 1e-4)  # the strongest converges at once and leads the next ones
TOLERANCE = 1e-5  # largest entry of the gradient
TINY = float(np.finfo(np.float64).tiny)


@dataclass(frozen=True)
class FittedHead:
    """The head that reads validation images with the least loss.

    Attributes
    ----------
    head : SoftmaxHead
    copies : int
        Of every training image, that it was fitted to: 1 as they are, 2 with mirror images.
    loss, accuracy : float
        See `judged`.
    """

    head: SoftmaxHead
    copies: int
    loss: float
    accuracy: float


def fit_new_head(
    features: Features, labels: Labels, validation_labels: Labels, classes: int, progress: Progress
) -> FittedHead:
    """Fit a head with every penalty to every choice of copies, and keep the best on validation.

    Parameters
    ----------
    features : Features
    labels : array of int64, shape (n,)
    validation_labels : array of int64, shape (m,)
    classes : int
    progress : callable
        May raise to stop.
    """
    copies = list(range(1, len(features.training) + 1))
    total = len(copies) * len(PENALTIES)
    fitted = []
    for place, (count, head) in enumerate(_heads(features.training, labels, classes, copies), 1):
        fitted.append(FittedHead(head, count, *judged(head, features.validation, validation_labels)))
        progress(place / total, f"Fitting heads, {place} of {total}")
    return min(fitted, key=lambda found: found.loss)


def judged(head: SoftmaxHead, hidden: Floats, labels: Labels) -> tuple[float, float]:
    """Return the mean cross-entropy in nats, and the share of images that is read correctly."""
    probabilities = head.probabilities(hidden)
    of_label = np.maximum(probabilities[np.arange(len(labels)), labels], TINY)
    return float(-np.log(of_label).mean()), float((probabilities.argmax(1) == labels).mean())


def _heads(training: Floats, labels: Labels, classes: int, copies: list[int]) -> Iterator[tuple[int, SoftmaxHead]]:
    for count in copies:
        rows, repeated = training[:count].reshape(-1, training.shape[2]), np.tile(labels, count)
        start = None
        for penalty in PENALTIES:
            head = fit_head_iteratively(rows, repeated, classes, penalty, TOLERANCE, start=start)
            start = head.weights
            yield count, head
