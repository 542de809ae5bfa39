"""All detectors by name. To add one: write its file, add its line."""

from __future__ import annotations

from core.detectors.base import Detector
from core.detectors.dknn import DknnDetector
from core.detectors.feature_response import FeatureResponseDetector
from core.detectors.feature_squeezing import FeatureSqueezingDetector
from core.detectors.idefender import IDefender
from core.detectors.kernel_density import KernelDensityDetector
from core.detectors.knn_score import KnnScoreDetector
from core.detectors.lid import LidDetector
from core.detectors.mahalanobis import MahalanobisDetector
from core.detectors.nnif import NnifDetector
from core.detectors.trajectory import TrajectoryDetector
from core.errors import InputError

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
