"""Which detectors can be aimed at, and where their suspicion is built. Importing this imports no torch.

To add one: write a function ``(classifier, reference, detector) -> Suspicion`` in a file of its own and add its line.
A detector whose score says nothing about the direction in which to move the pixels has no line.
"""

from __future__ import annotations

from collections.abc import Mapping

SUSPICIONS: Mapping[str, str] = {
    "idefender": "telltale.detectors.suspicions.density:density_suspicion",
    "trajectory": "telltale.detectors.suspicions.trajectory:trajectory_suspicion",
    "knn_score": "telltale.detectors.suspicions.knn_score:knn_suspicion",
    "nnif": "telltale.detectors.suspicions.nnif:nnif_suspicion",
    "feature_response": "telltale.detectors.suspicions.feature_response:response_suspicion",
    "dknn": "telltale.detectors.suspicions.dknn:dknn_suspicion",
    "lid": "telltale.detectors.suspicions.lid:lid_suspicion",
    "mahalanobis": "telltale.detectors.suspicions.mahalanobis:mahalanobis_suspicion",
    "kernel_density": "telltale.detectors.suspicions.kernel_density:kernel_suspicion",
    "feature_squeezing": "telltale.detectors.suspicions.feature_squeezing:squeezing_suspicion",
}
