"""A classifier that may answer with some of its classes only."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from telltale.base.errors import InputError
from telltale.models.classifier import Classifier, Plan
from telltale.models.preprocess import Preprocess


class _Among(nn.Module):
    labels: torch.Tensor

    def __init__(self, classifier: Classifier, labels: Sequence[int]) -> None:
        super().__init__()
        self.classifier = classifier
        self.register_buffer("labels", torch.tensor(labels, dtype=torch.int64))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.classifier(images)
        return logits[:, self.labels]


def among(classifier: Classifier, labels: Sequence[int]) -> Classifier:
    """Return a classifier that answers with the likeliest of some classes; nothing of it is traced.

    Parameters
    ----------
    classifier : Classifier
        Shared, not copied.
    labels : sequence of int
        Classes, each once; the new classifier's class k is ``labels[k]``.

    Raises
    ------
    InputError
        If there are fewer than two, one is named twice, or one does not exist.
    """
    known = range(classifier.classes)
    if len(labels) < 2 or len(set(labels)) != len(labels) or not all(label in known for label in labels):
        raise InputError(
            f"The classes to choose among must be at least two different ones of 0 to {classifier.classes - 1}. "
            f"Got {list(labels)} instead."
        )
    reason = "It answers with some classes of another network."
    plan = Plan(classifier.input_shape, len(labels), (), None, None, reason, None)
    return Classifier(_Among(classifier, labels), plan, Preprocess())
