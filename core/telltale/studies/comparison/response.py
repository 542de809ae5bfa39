"""Feature responses and their entropy, beside Captum and scikit-image called once per image."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from functools import partial

import numpy as np
import numpy.typing as npt
import torch
from captum.attr import GuidedBackprop
from skimage.filters.rank import entropy as rank_entropy
from torch import nn

from telltale.base.images import FloatImages
from telltale.evidence.response import LUMA, feature_responses
from telltale.models.classifier import Classifier
from telltale.studies.comparison.row import ComparisonRow
from telltale.studies.comparison.timing import timed

REPEATS = 5
BATCH = 64


def response_rows(classifier: Classifier, images: FloatImages) -> Iterator[ComparisonRow]:
    """Time guided backprop and entropy of one image and of a batch."""
    for count in (1, min(BATCH, len(images))):
        part = np.ascontiguousarray(images[:count])
        ours_ms, ours = timed(partial(feature_responses, classifier, part), REPEATS)
        theirs_ms, theirs = timed(partial(one_by_one, classifier, part), REPEATS)
        maps = np.stack([m for m, _ in theirs])
        difference = np.abs(ours.maps - maps).max((1, 2)) / np.abs(maps).max((1, 2))
        entropies = np.abs(ours.mean_entropy - [e for _, e in theirs]).max()
        yield ComparisonRow(
            "guided backprop and entropy of " + ("one image" if count == 1 else f"{count} images"),
            "Captum GuidedBackprop and scikit-image's rank entropy, image by image",
            ours_ms,
            theirs_ms,
            f"responses to {difference.max():.0e} of their largest value, mean entropy to {entropies:.0e} bits",
        )


def one_by_one(classifier: Classifier, images: FloatImages) -> list[tuple[npt.NDArray[np.float64], float]]:
    """Return the grey response and its mean entropy in bits of every image, by the other libraries' plain calls."""
    method, found = GuidedBackprop(_HalfSquares(classifier)), []
    for image in images:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            gradient = method.attribute(torch.from_numpy(image[None]).requires_grad_())[0].detach().numpy()
        grey = gradient[0] if len(gradient) == 1 else np.tensordot(LUMA, gradient, 1)
        grey = grey.astype(np.float64)
        levels = np.rint(255.0 * (grey - grey.min()) / (grey.max() - grey.min())).astype(np.uint8)
        entropy = rank_entropy(levels, np.ones((3, 3), dtype=np.uint8))[1:-1, 1:-1]  # type: ignore[no-untyped-call]
        found.append((grey, float(entropy.mean())))
    return found


class _HalfSquares(nn.Module):
    """Half the squared norm of the last convolutional stage."""

    def __init__(self, classifier: Classifier) -> None:
        super().__init__()
        self.classifier = classifier

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Map images (n, C, H, W) to (n,)."""
        return 0.5 * self.classifier.stage(images).flatten(1).square().sum(1)
