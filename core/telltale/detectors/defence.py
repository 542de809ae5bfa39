"""What an attacker who knows the detectors knows: the reference set and everything fitted to it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt

from telltale.base.errors import InputError
from telltale.base.images import FloatImages
from telltale.base.parameters import JOINT
from telltale.detectors.fusion import FUSED, Fusion
from telltale.detectors.registry import suspicion_of
from telltale.evidence.density import class_thresholds
from telltale.evidence.margins import logit_margins

if TYPE_CHECKING:
    from telltale.detectors.base import Detector
    from telltale.detectors.suspicions.suspicion import Suspicion
    from telltale.evidence.evidence import Evidence
    from telltale.evidence.reference import Reference
    from telltale.models.classifier import Classifier

Look: TypeAlias = "Callable[[FloatImages, Collection[str]], Evidence]"
Scoring: TypeAlias = Callable[[FloatImages], npt.NDArray[np.float64]]


@dataclass(frozen=True)
class Defence:
    """A classifier with its reference set and fitted detectors, as attacks that aim at detectors need them.

    Attributes
    ----------
    classifier : Classifier
    reference : Reference
    detectors : mapping of str to Detector
        Fitted, by registry name.
    fusion : Fusion, optional
        Of their scores.
    look : callable, optional
        Takes images (n, C, H, W) and names of kinds of evidence, and returns the evidence about the images, as an
        analysis reads it, with what these kinds measure on pixels. Exact scores are not to be had without it.
    """

    classifier: Classifier
    reference: Reference
    detectors: Mapping[str, Detector]
    fusion: Fusion | None = None
    look: Look | None = field(default=None, kw_only=True, repr=False, compare=False)
    _suspicions: dict[str, Suspicion] = field(default_factory=dict, repr=False, compare=False)
    _thresholds: dict[float, npt.NDArray[np.float64]] = field(default_factory=dict, repr=False, compare=False)

    def suspicion(self, detector: str) -> Suspicion:
        """Return the suspicion of one of the detectors, of several or of the fused verdict, built on first use.

        Parameters
        ----------
        detector : str
            A detector's name, several joined by "+" (Fisher's sum of their surprises), or "fused".

        Raises
        ------
        InputError
            If there is no such detector, nothing about it can be differentiated, or there is no fusion that says how
            natural images score.
        """
        if detector not in self._suspicions:
            built = self._of_several(detector) if _several(detector) else self._of_one(detector)
            self._suspicions[detector] = built
        return self._suspicions[detector]

    def scoring(self, detector: str) -> Scoring:
        """Return the exact score of one of the detectors, of several or of the fused verdict, as images are analysed.

        Parameters
        ----------
        detector : str
            As for `suspicion`.

        Returns
        -------
        callable
            Maps images (n, C, H, W), float32 in [0, 1], to scores (n,), float64; higher = more suspicious. It has no
            slope, and measures on pixels only what the detectors in question read.

        Raises
        ------
        InputError
            If there is no such detector, no fusion that says how natural images score, or images cannot be looked at.
        """
        look = self.look
        if look is None:
            raise InputError(f"Images cannot be analysed here, without which '{detector}' has no exact score.")
        fusion = self._combined(detector) if _several(detector) else None
        members = {name: self._fitted(name) for name in ((detector,) if fusion is None else fusion.members)}
        kinds = {kind for member in members.values() for kind in member.reads}

        def score(images: FloatImages) -> npt.NDArray[np.float64]:
            evidence = look(images, kinds)
            scores = {name: member.score(evidence) for name, member in members.items()}
            if fusion is None:
                return scores[detector]
            return fusion.combine(scores, logit_margins(evidence.trace.logits, evidence.predictions)).attack

        return score

    def _of_one(self, name: str) -> Suspicion:
        return suspicion_of(self.classifier, self.reference, self._fitted(name))

    def _of_several(self, names: str) -> Suspicion:
        from telltale.detectors.suspicions.fused import FusedSuspicion

        fusion = self._combined(names)
        members = {name: self.suspicion(name) for name in fusion.members}
        return FusedSuspicion(self.classifier, self.reference, self.detectors, members, fusion)

    def _fitted(self, name: str) -> Detector:
        if name not in self.detectors:
            present = ", ".join(self.detectors) or "none"
            raise InputError(f"There is no fitted detector '{name}' to aim at; there are {present}.")
        return self.detectors[name]

    def _combined(self, names: str) -> Fusion:
        """Return the fusion, or Fisher's sum over the named detectors."""
        from telltale.detectors.suspicions.fused import subset

        if self.fusion is None:
            raise InputError(f"There is no fused verdict here, without which '{names}' cannot be aimed at.")
        return self.fusion if names == FUSED else subset(self.fusion, names.split(JOINT))

    def thresholds(self, keep: float) -> npt.NDArray[np.float64]:
        """Return TH_c of I-defender (Zheng & Hong 2018, Eq. 5) over the reference set's own images, shape (C,).

        Parameters
        ----------
        keep : float
            Share of them that stays above, in (0, 1).
        """
        if keep not in self._thresholds:
            trace = self.reference.trace
            log_density = self.reference.densities.log_density(trace.hidden)
            self._thresholds[keep] = class_thresholds(log_density, trace.predictions, keep)
        return self._thresholds[keep]


def _several(names: str) -> bool:
    return names == FUSED or JOINT in names
