"""What an attacker who knows the detectors knows: the reference set and everything fitted to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from telltale.base.errors import InputError
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
    """

    classifier: Classifier
    reference: Reference
    detectors: Mapping[str, Detector]
    _suspicions: dict[str, Suspicion] = field(default_factory=dict, repr=False, compare=False)
    _thresholds: dict[float, npt.NDArray[np.float64]] = field(default_factory=dict, repr=False, compare=False)

    def suspicion(self, detector: str) -> Suspicion:
        """Return the suspicion of one of the detectors, built on first use.

        Raises
        ------
        InputError
            If there is no such detector, or nothing about it can be differentiated.
        """
        if detector not in self.detectors:
            present = ", ".join(self.detectors) or "none"
            raise InputError(f"There is no fitted detector '{detector}' to aim at; there are {present}.")
        if detector not in self._suspicions:
            self._suspicions[detector] = suspicion_of(self.classifier, self.reference, self.detectors[detector])
        return self._suspicions[detector]

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
