"""A network alone, as a bundle that knows no image: everything that compares with none is there, the rest says why."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from telltale.analysis.opened import LoadedBundle
from telltale.bundle.bundle import Bundle
from telltale.bundle.manifest import DataReference, Manifest
from telltale.detectors.fitted_detectors import FittedDetectors
from telltale.detectors.registry import DETECTORS
from telltale.evidence.reference import Reference
from telltale.kinds.kind import Fitting
from telltale.kinds.registry import KINDS, lacking, missing
from telltale.models.classifier import Classifier

NOWHERE = Path()


def opened_alone(classifier: Classifier) -> LoadedBundle:
    """Return a classifier as an open bundle without a name, a file or an image.

    Parameters
    ----------
    classifier : Classifier
        Of any network: no other process needs to make it again.
    """
    manifest = Manifest("", "", 0, data_of_none(classifier), classifier.layers, {}, {}, (), {}, {})
    reference = reference_alone(classifier)
    present = {name: None for name in KINDS if name not in reference.missing}
    return LoadedBundle(Bundle(NOWHERE, "", manifest), classifier, reference, detectors_alone(classifier), {}, present)


def reference_alone(classifier: Classifier) -> Reference:
    """Return the reference set of no image, which says of every kind that needs images what would bring it."""
    none = np.empty(0, dtype=np.int64)
    trace = classifier.trace(np.zeros((1, *classifier.input_shape), dtype=np.float32)).take(none)
    fitting = Fitting(none, classifier.classes, trace, trace, none, 0, NOWHERE, classifier.head_problem, None)
    return Reference(none, none, classifier.classes, trace, {}, missing(fitting, lacking(classifier)))


def detectors_alone(classifier: Classifier) -> FittedDetectors:
    """Return the detectors that score without knowing an image; nothing says which scores are usual."""
    found = {name: kind.alone(classifier.classes) for name, kind in DETECTORS.items()}
    return FittedDetectors({name: detector for name, detector in found.items() if detector is not None}, None)


def data_of_none(classifier: Classifier) -> DataReference:
    """Return what a manifest says of no data: shape and classes are the network's."""
    names = classifier.class_names or tuple(str(label) for label in range(classifier.classes))
    channels, height, width = classifier.input_shape
    return DataReference("", "", 0, names, (channels, height, width))
