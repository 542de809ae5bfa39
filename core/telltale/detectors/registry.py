"""All detectors by name, and the suspicions of those that can be aimed at. Importing this imports no torch.

To add one: write its file, and import it and add its line here. So that attacks can aim at it: write its suspicion,
``(classifier, reference, detector) -> Suspicion``, in a file of its own, and add a function that imports it and a line
here. A detector whose score says nothing about the direction in which to move the pixels has none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from telltale.base.errors import InputError
from telltale.detectors.base import Detector
from telltale.detectors.confidence import ConfidenceDetector
from telltale.detectors.dknn import DknnDetector
from telltale.detectors.feature_response import FeatureResponseDetector
from telltale.detectors.feature_squeezing import FeatureSqueezingDetector
from telltale.detectors.idefender import IDefender
from telltale.detectors.kernel_density import KernelDensityDetector
from telltale.detectors.knn_score import KnnScoreDetector
from telltale.detectors.lid import LidDetector
from telltale.detectors.mahalanobis import MahalanobisDetector
from telltale.detectors.multi_lid import MultiLidDetector
from telltale.detectors.nnif import NnifDetector
from telltale.detectors.stability import StabilityDetector
from telltale.detectors.trajectory import TrajectoryDetector
from telltale.detectors.twin import TwinDetector

if TYPE_CHECKING:
    from telltale.detectors.suspicions.suspicion import Suspicion
    from telltale.evidence.reference import Reference
    from telltale.models.classifier import Classifier

OfKind = TypeVar("OfKind", bound=Detector)
SuspicionOf: TypeAlias = "Callable[[Classifier, Reference, OfKind], Suspicion]"

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
    ConfidenceDetector.name: ConfidenceDetector,
    StabilityDetector.name: StabilityDetector,
    MultiLidDetector.name: MultiLidDetector,
    TwinDetector.name: TwinDetector,
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


def _of_idefender() -> SuspicionOf[IDefender]:
    from telltale.detectors.suspicions.density import density_suspicion

    return density_suspicion


def _of_trajectory() -> SuspicionOf[TrajectoryDetector]:
    from telltale.detectors.suspicions.trajectory import trajectory_suspicion

    return trajectory_suspicion


def _of_knn_score() -> SuspicionOf[KnnScoreDetector]:
    from telltale.detectors.suspicions.knn_score import knn_suspicion

    return knn_suspicion


def _of_nnif() -> SuspicionOf[NnifDetector]:
    from telltale.detectors.suspicions.nnif import nnif_suspicion

    return nnif_suspicion


def _of_feature_response() -> SuspicionOf[FeatureResponseDetector]:
    from telltale.detectors.suspicions.feature_response import response_suspicion

    return response_suspicion


def _of_dknn() -> SuspicionOf[DknnDetector]:
    from telltale.detectors.suspicions.dknn import dknn_suspicion

    return dknn_suspicion


def _of_lid() -> SuspicionOf[LidDetector]:
    from telltale.detectors.suspicions.lid import lid_suspicion

    return lid_suspicion


def _of_mahalanobis() -> SuspicionOf[MahalanobisDetector]:
    from telltale.detectors.suspicions.mahalanobis import mahalanobis_suspicion

    return mahalanobis_suspicion


def _of_kernel_density() -> SuspicionOf[KernelDensityDetector]:
    from telltale.detectors.suspicions.kernel_density import kernel_suspicion

    return kernel_suspicion


def _of_twin() -> SuspicionOf[TwinDetector]:
    from telltale.detectors.suspicions.twin import twin_suspicion

    return twin_suspicion


def _of_multi_lid() -> SuspicionOf[MultiLidDetector]:
    from telltale.detectors.suspicions.multi_lid import multi_lid_suspicion

    return multi_lid_suspicion


def _of_feature_squeezing() -> SuspicionOf[FeatureSqueezingDetector]:
    from telltale.detectors.suspicions.feature_squeezing import squeezing_suspicion

    return squeezing_suspicion


def _of_confidence() -> SuspicionOf[ConfidenceDetector]:
    from telltale.detectors.suspicions.confidence import confidence_suspicion

    return confidence_suspicion


def _of_stability() -> SuspicionOf[StabilityDetector]:
    from telltale.detectors.suspicions.stability import stability_suspicion

    return stability_suspicion


def _aim(kind: type[OfKind], late: Callable[[], SuspicionOf[OfKind]]) -> tuple[str, Callable[[], SuspicionOf[Any]]]:
    """Pair a detector's name with its suspicion, which torch comes in with; both are of one kind."""
    return kind.name, late


SUSPICIONS: Mapping[str, Callable[[], SuspicionOf[Any]]] = dict(
    (
        _aim(IDefender, _of_idefender),
        _aim(TrajectoryDetector, _of_trajectory),
        _aim(KnnScoreDetector, _of_knn_score),
        _aim(NnifDetector, _of_nnif),
        _aim(FeatureResponseDetector, _of_feature_response),
        _aim(DknnDetector, _of_dknn),
        _aim(LidDetector, _of_lid),
        _aim(MahalanobisDetector, _of_mahalanobis),
        _aim(KernelDensityDetector, _of_kernel_density),
        _aim(FeatureSqueezingDetector, _of_feature_squeezing),
        _aim(ConfidenceDetector, _of_confidence),
        _aim(StabilityDetector, _of_stability),
        _aim(MultiLidDetector, _of_multi_lid),
        _aim(TwinDetector, _of_twin),
    )
)


def suspicion_of(classifier: Classifier, reference: Reference, detector: Detector) -> Suspicion:
    """Build the suspicion of a fitted detector.

    Parameters
    ----------
    classifier : Classifier
    reference : Reference
        The classifier's own training images.
    detector : Detector
        Fitted or restored.

    Raises
    ------
    InputError
        If nothing about the detector can be differentiated.
    """
    if detector.name not in SUSPICIONS:
        raise InputError(f"The detector '{detector.name}' cannot be aimed at; these can: {', '.join(SUSPICIONS)}.")
    return SUSPICIONS[detector.name]()(classifier, reference, detector)
