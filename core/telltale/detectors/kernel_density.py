"""Detection by the kernel density of the hidden state among training images of the predicted class."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from telltale.base.parameters import ParameterValue
from telltale.base.settings import Settings, parameter
from telltale.detectors.base import Arrays, Detector, Labels
from telltale.evidence.evidence import Evidence
from telltale.evidence.kernel_density import class_radius, log_kernel_density

BANDWIDTHS = (0.05, 0.1, 0.2, 0.3, 0.5, 1.0)


@dataclass(frozen=True)
class KernelDensitySettings(Settings):
    """Settings of the detector."""

    bandwidth: float = parameter(
        0.2,
        low=0.001,
        high=1000.0,
        help="Standard deviation of the kernel, in units of the classes' root mean square radius.",
    )


class KernelDensityDetector(Detector):
    """-log of the Gaussian kernel density of the hidden state (Feinman et al. 2017, Eq. 1).

    The bandwidth is in units of the root mean square distance of training images to their own class's centroid, so
    that one number means the same in any network. Nothing is fitted beside that unit.
    """

    name = "kernel_density"
    title = "Kernel density"
    paper = "Feinman, Curtin, Shintre & Gardner (2017), Detecting Adversarial Samples from Artifacts"
    summary = "Asks how many training images of the predicted class lie close by."
    reads = ("trajectory",)  # the centroids
    settings = KernelDensitySettings()
    needs_attacks = False

    @classmethod
    def candidates(cls, evidence: Evidence) -> list[Mapping[str, ParameterValue]]:
        """From kernels that only see the nearest image to kernels as wide as a class."""
        del evidence
        return [{"bandwidth": bandwidth} for bandwidth in BANDWIDTHS]

    def _fit(self, evidence: Evidence, labels: Labels) -> None:
        del labels
        reference = evidence.reference
        self.radius_ = class_radius(reference.trace.hidden, reference.labels, reference.pivots.centroid[-1])

    def _score(self, evidence: Evidence) -> npt.NDArray[np.float64]:
        reference, bandwidth = evidence.reference, self.settings.bandwidth * self.radius_
        scores = np.empty(len(evidence))
        present = np.flatnonzero(np.bincount(reference.labels, minlength=reference.classes))
        for c in np.unique(evidence.predictions):
            rows = evidence.predictions == c
            # A class without images has no density: what is taken for it is as odd as it is to any class.
            asked = [c] if c in present else present
            densities = [
                log_kernel_density(
                    reference.trace.hidden[reference.labels == of], evidence.trace.hidden[rows], bandwidth
                )
                for of in asked
            ]
            scores[rows] = -np.min(densities, axis=0)
        return scores

    def _arrays(self) -> Arrays:
        return {"radius": np.array([self.radius_])}

    def _restore(self, arrays: Arrays) -> None:
        self.radius_ = float(arrays["radius"][0])
