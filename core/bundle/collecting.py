"""Evidence about whole splits, as builds and fresh evaluations need it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from core.bundle.attacking import CHUNK, AttackedImages
from core.bundle.scoring import Versions
from core.data.image_set import ImageSet
from core.evidence.evidence import Evidence
from core.evidence.reference import Reference
from core.evidence.response import feature_responses
from core.models.classifier import Classifier


@dataclass(frozen=True)
class Collector:
    """Collects evidence about data-set images, natural and attacked.

    Attributes
    ----------
    classifier : Classifier
    reference : Reference
    image_set : ImageSet
    """

    classifier: Classifier
    reference: Reference
    image_set: ImageSet

    def natural(self, split: str, ids: npt.NDArray[np.int64]) -> Versions:
        """Return the natural images of these ids, whose success is a right prediction."""
        evidence = self._evidence(self.image_set.images(ids))
        labels, zeros = self.image_set.labels[ids], np.zeros(len(ids))
        return Versions(split, "", ids, labels, evidence, evidence.predictions == labels, zeros, zeros, zeros)

    def attacked(self, split: str, found: AttackedImages) -> Versions:
        """Return attacked images of one split."""
        labels = self.image_set.labels[found.ids]
        evidence = self._evidence(found.images)
        return Versions(split, found.attack, found.ids, labels, evidence, found.success, found.linf, found.l2, found.l0)

    def _evidence(self, images: npt.NDArray[np.float32]) -> Evidence:
        chunks = [images[start : start + CHUNK] for start in range(0, len(images), CHUNK)]
        entropy = np.concatenate([feature_responses(self.classifier, chunk).mean_entropy for chunk in chunks])
        return Evidence(self.reference, self.classifier.trace(images), entropy)
