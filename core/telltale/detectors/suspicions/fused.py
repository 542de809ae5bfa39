"""The suspicion of the fused verdict, or of the sum over some of its members."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import torch

from telltale.base.errors import InputError
from telltale.detectors.base import Detector
from telltale.detectors.fusion import ATTACK, Fusion
from telltale.detectors.suspicions.margins import logit_margins
from telltale.detectors.suspicions.placed import PlacedSuspicion, placed
from telltale.detectors.suspicions.soft_trees import differentiable_trees
from telltale.detectors.suspicions.suspicion import Suspicion, shared_passes, view
from telltale.detectors.suspicions.tails import NaturalDeviates, NaturalValues
from telltale.evidence.reference import Reference
from telltale.models.classifier import Classifier


class FusedSuspicion:
    """The fused score of images: exact values, and the slopes of `smooth`.

    Parameters
    ----------
    classifier : Classifier
    reference : Reference
    detectors : mapping of str to Detector
        The fusion's members at least.
    suspicions : mapping of str to Suspicion
        Of the same.
    fusion : Fusion
    """

    def __init__(
        self,
        classifier: Classifier,
        reference: Reference,
        detectors: Mapping[str, Detector],
        suspicions: Mapping[str, Suspicion],
        fusion: Fusion,
    ) -> None:
        self._classifier, self._fusion = classifier, fusion
        self._members: list[PlacedSuspicion] = [
            placed(classifier, reference, detectors[name], suspicions[name], natural)
            for name, natural in zip(fusion.members, fusion.natural, strict=True)
        ]
        self._deviates = [NaturalDeviates(natural) for natural in fusion.natural]
        self._weights = torch.from_numpy(fusion.weights[ATTACK])
        self._margins = None if fusion.margins is None else NaturalValues(fusion.margins)
        self._trees = None if fusion.grown is None else differentiable_trees(fusion.grown.trees)

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        """Return the fused log odds of images (n, C, H, W), shape (n,)."""
        scores, margins = self._read(images)
        smooth = self._combine(scores, margins)
        known = {m: s.detach().numpy() for m, s in zip(self._fusion.members, scores, strict=True)}
        exact = self._fusion.combine(known, margins.detach().numpy()).attack
        found: torch.Tensor = torch.from_numpy(exact) + (smooth - smooth.detach())
        return found

    def smooth(self, images: torch.Tensor) -> torch.Tensor:
        """Return what the slopes belong to; the trees' own values are exact even here."""
        return self._combine(*self._read(images))

    def _read(self, images: torch.Tensor) -> tuple[list[torch.Tensor], torch.Tensor]:
        with shared_passes():
            seen = view(self._classifier, images)
            return [member(images) for member in self._members], logit_margins(seen.logits, seen.predictions)

    def _combine(self, scores: Sequence[torch.Tensor], margins: torch.Tensor) -> torch.Tensor:
        deviates = torch.stack([d(s) for d, s in zip(self._deviates, scores, strict=True)], dim=1)
        surprises = -torch.special.log_ndtr(-deviates)
        total: torch.Tensor = surprises @ self._weights[:-1] + self._weights[-1]
        if self._trees is None or self._margins is None or self._fusion.grown is None:
            return total
        share = self._fusion.grown.share
        features = torch.cat([surprises, self._margins.tail_surprises(margins)], dim=1)
        grown: torch.Tensor = self._trees(features)
        return total + share * (grown - total)


def subset(fusion: Fusion, names: Sequence[str]) -> Fusion:
    """Return Fisher's sum of some members' surprises (Fisher 1925), in nats.

    Raises
    ------
    InputError
        If one is no member: nothing is known then of natural images' scores.
    """
    natural: dict[str, npt.NDArray[np.float64]] = dict(zip(fusion.members, fusion.natural, strict=True))
    unknown = [name for name in names if name not in natural]
    if unknown:
        raise InputError(
            f"The fused verdict has no member {', '.join(unknown)} to aim at together with others; "
            f"there are {', '.join(natural)}."
        )
    return Fusion(tuple(names), tuple(natural[n] for n in names), {ATTACK: np.r_[np.ones(len(names)), 0.0]})
