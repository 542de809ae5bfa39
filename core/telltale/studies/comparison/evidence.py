"""Evidence about one image, beside what people would use instead: the same inputs, one thread, checked results."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from telltale.base.images import FloatImages
from telltale.evidence.reference import Reference
from telltale.models.classifier import Classifier
from telltale.studies.comparison.influence import influence_rows
from telltale.studies.comparison.nearest import knn_rows, rank_rows
from telltale.studies.comparison.response import response_rows
from telltale.studies.comparison.row import ComparisonRow
from telltale.studies.comparison.timing import one_thread


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
