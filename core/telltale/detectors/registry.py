"""All detectors by name. To add one: write its file, add its line."""

from __future__ import annotations

from telltale.base.errors import InputError
from telltale.detectors.base import Detector
from telltale.detectors.dknn import DknnDetector
from telltale.detectors.feature_response import FeatureResponseDetector
from telltale.detectors.feature_squeezing import FeatureSqueezingDetector
from telltale.detectors.idefender import IDefender
from telltale.detectors.kernel_density import KernelDensityDetector
from telltale.detectors.knn_score import KnnScoreDetector
from telltale.detectors.lid import LidDetector
from telltale.detectors.mahalanobis import MahalanobisDetector
from telltale.detectors.nnif import NnifDetector
from telltale.detectors.trajectory import TrajectoryDetector

DETECTORS: dict[str, type[Detector]] = {
    KnnScoreDetector.name: KnnScoreDetector,
    TrajectoryDetector.name: TrajectoryDetector,
    IDefender.name: IDefender,
    NnifDetector.name: NnifDetector,
    FeatureResponseDetector.name: FeatureResponseDetector,
    FeatureSqueezingDetector.name: FeatureSqueezingDetector,
    DknnDetector.name: DknnDetector,
    LidDetector.name: LidDetector,
    MahalanobisDetector.name: MahalanobisDetector,
    KernelDensityDetector.name: KernelDensityDetector,
}


def get_detector(name: str) -> type[Detector]:
    """Return a detector's class by its registry name.

    Raises
    ------
    InputError
        If there is none of that name.
    """
    if name not in DETECTORS:
        raise InputError(f"There is no detector '{name}'; there are {', '.join(DETECTORS)}.")
    return DETECTORS[name]
