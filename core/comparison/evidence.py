"""Evidence about one image, beside what people would use instead: the same inputs, one thread, checked results."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from core.comparison.influence import influence_rows
from core.comparison.nearest import knn_rows, rank_rows
from core.comparison.response import response_rows
from core.comparison.row import ComparisonRow
from core.comparison.timing import one_thread
from core.evidence.reference import Reference
from core.images import FloatImages
from core.models.classifier import Classifier


def evidence_rows(reference: Reference, classifier: Classifier, images: FloatImages) -> Iterator[ComparisonRow]:
    """Compare every kind of evidence with its alternatives; takes minutes, nearly all of them theirs.

    Parameters
    ----------
    reference : Reference
    classifier : Classifier
    images : array of float32, shape (n, C, H, W), in [0, 1]
        Not training images; 64 or more make the batches that people would use.
    """
    with one_thread():
        trace = classifier.trace(np.ascontiguousarray(images))
        reference.prepare()
        yield from influence_rows(reference, trace)
        yield from rank_rows(reference, trace)
        yield from knn_rows(reference, trace)
        yield from response_rows(classifier, images)
