"""Which detectors can be aimed at, and where their suspicion is built. Importing this imports no torch.

To add one: write a function ``(classifier, reference, detector) -> Suspicion`` in a file of its own and add its line.
A detector whose score says nothing about the direction in which to move the pixels has no line.
"""

from __future__ import annotations

from collections.abc import Mapping

SUSPICIONS: Mapping[str, str] = {
    "idefender": "core.adaptive.density:density_suspicion",
    "trajectory": "core.adaptive.trajectory:trajectory_suspicion",
    "knn_score": "core.adaptive.knn_score:knn_suspicion",
    "nnif": "core.adaptive.nnif:nnif_suspicion",
    "feature_response": "core.adaptive.feature_response:response_suspicion",
    "dknn": "core.adaptive.dknn:dknn_suspicion",
    "lid": "core.adaptive.lid:lid_suspicion",
    "mahalanobis": "core.adaptive.mahalanobis:mahalanobis_suspicion",
    "kernel_density": "core.adaptive.kernel_density:kernel_suspicion",
    "feature_squeezing": "core.adaptive.feature_squeezing:squeezing_suspicion",
}
