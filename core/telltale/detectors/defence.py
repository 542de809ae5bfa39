"""What an attacker who knows the detectors knows: the reference set and everything fitted to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from telltale.base.errors import InputError
from telltale.base.parameters import JOINT
from telltale.detectors.fusion import FUSED, Fusion
from telltale.detectors.registry import suspicion_of
from telltale.evidence.density import class_thresholds

if TYPE_CHECKING:
    from telltale.detectors.base import Detector
    from telltale.detectors.suspicions.suspicion import Suspicion
    from telltale.evidence.reference import Reference
    from telltale.models.classifier import Classifier


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
    """

    classifier: Classifier
    reference: Reference
    detectors: Mapping[str, Detector]
    fusion: Fusion | None = None
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
            alone = detector != FUSED and JOINT not in detector
            self._suspicions[detector] = self._of_one(detector) if alone else self._of_several(detector)
        return self._suspicions[detector]

    def _of_one(self, name: str) -> Suspicion:
        if name not in self.detectors:
            present = ", ".join(self.detectors) or "none"
            raise InputError(f"There is no fitted detector '{name}' to aim at; there are {present}.")
        return suspicion_of(self.classifier, self.reference, self.detectors[name])

    def _of_several(self, names: str) -> Suspicion:
        from telltale.detectors.suspicions.fused import FusedSuspicion, subset

        if self.fusion is None:
            raise InputError(f"There is no fused verdict here, without which '{names}' cannot be aimed at.")
        fusion = self.fusion if names == FUSED else subset(self.fusion, names.split(JOINT))
        members = {name: self.suspicion(name) for name in fusion.members}
        return FusedSuspicion(self.classifier, self.reference, self.detectors, members, fusion)

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
