"""A bundle with its model in memory: what a worker holds. The only reader of a bundle that needs torch."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from telltale.analysis.observing import Observed, looking, observe_images
from telltale.base.errors import DamagedBundleError
from telltale.bundle.bundle import REFERENCE_FILE, WEIGHTS_FILE, Bundle, load_bundle
from telltale.bundle.fitted import reference_from_arrays, restore_detectors
from telltale.bundle.verify import check_content
from telltale.detectors.base import Detector
from telltale.detectors.defence import Defence
from telltale.detectors.fitted_detectors import FittedDetectors
from telltale.detectors.fusion import ERROR_SCORE, FUSED
from telltale.evidence.evidence import Evidence
from telltale.evidence.mahalanobis_step import stepping
from telltale.evidence.prepared import Prepared
from telltale.evidence.readings import Readings
from telltale.evidence.reference import Reference
from telltale.kinds.kind import Kind, Seen
from telltale.kinds.registry import KINDS, lacking
from telltale.models.classifier import Classifier
from telltale.models.spec import ClassifierSpec
from telltale.models.trace import Trace
from telltale.models.weights import load_weights
from telltale.scores.calibration import Calibration
from telltale.scores.table import scored_detectors


@dataclass
class LoadedBundle:
    """Everything needed to analyse an image.

    Attributes
    ----------
    bundle : Bundle
    classifier : Classifier
    reference : Reference
    fitted : FittedDetectors
        In the order of the stored scores.
    calibrations : dict of str to Calibration or None
        Per detector, of the fused score, and of the score of natural errors.
    opened : mapping of str to object
        What every available kind of evidence has read for its views, by name.
    """

    bundle: Bundle
    classifier: Classifier
    reference: Reference
    fitted: FittedDetectors
    calibrations: dict[str, Calibration | None]
    opened: Mapping[str, object]

    @cached_property
    def defence(self) -> Defence:
        """What attacks that aim at the detectors are given."""
        look = looking(self.classifier, self.reference)
        return Defence(self.classifier, self.reference, self.detectors, self.fitted.fusion, look=look)

    @property
    def detectors(self) -> dict[str, Detector]:
        """Every fitted detector by name."""
        return self.fitted.detectors

    @property
    def available(self) -> tuple[Kind, ...]:
        """The kinds of evidence that this bundle has."""
        return tuple(kind for name, kind in KINDS.items() if name not in self.reference.missing)

    def evidence(self, images: npt.NDArray[np.float32]) -> Evidence:
        """Look at images (n, C, H, W) and return their evidence."""
        return self.evidence_from(images, observe_images(self.classifier, images))

    def evidence_from(self, images: npt.NDArray[np.float32], observed: Observed) -> Evidence:
        """Return the evidence about images (n, C, H, W) that have been looked at."""
        return Evidence(self.reference, observed.trace, observed.readings, stepping(self.classifier, images))

    def evidence_of(self, trace: Trace) -> Evidence:
        """Return what a trace alone tells."""
        return Evidence(self.reference, trace, Readings())

    def seen(self, kind: Kind, evidence: Evidence, detail: object = None) -> Seen:
        """Return images as a kind of evidence finds them."""
        return Seen(evidence, self.fitted, self.opened.get(kind.name), detail)


def open_bundle(name: str) -> LoadedBundle:
    """Load a bundle with its model.

    Raises
    ------
    InputError
        If there is no such bundle, it is damaged, or it lacks what this version reads.
    """
    bundle = load_bundle(name)
    classifier = load_weights(ClassifierSpec.from_json(bundle.manifest.architecture), bundle.path(WEIGHTS_FILE))
    with _complete(bundle):
        loaded = _restored(bundle, classifier)
    # Building indices and factors now makes the first image as fast as the next.
    loaded.reference.prepare()
    return loaded


def _restored(bundle: Bundle, classifier: Classifier) -> LoadedBundle:
    entries = bundle.manifest.detectors
    columns = scored_detectors(bundle.scores)
    names = [name for name in columns if name != FUSED]
    reference = load_reference(bundle)
    return LoadedBundle(
        bundle,
        classifier,
        reference,
        restore_detectors({key: entries[key]["parameters"] for key in names}, bundle.detector_arrays),
        {key: bundle.calibration(key) for key in (*columns, ERROR_SCORE)},
        {name: kind.open(bundle) for name, kind in KINDS.items() if name not in reference.missing},
    )


@contextlib.contextmanager
def _complete(bundle: Bundle) -> Iterator[None]:
    """Say in a sentence that a bundle, built by an early version, lacks an array or a network's weights."""
    try:
        yield
    except (KeyError, RuntimeError) as error:  # the second is torch's, of weights
        lacking_part = str(error).strip().rpartition("\n")[2].strip()
        raise DamagedBundleError(
            f"The bundle '{bundle.name}' lacks what this version of Telltale reads ({lacking_part}): build it again."
        ) from error


def load_reference(bundle: Bundle) -> Reference:
    """Rebuild the reference set of a bundle.

    Raises
    ------
    DamagedBundleError
        If a file is not the one that the bundle was built with.
    """
    reference = reference_from_arrays(
        bundle.arrays(REFERENCE_FILE),
        bundle.splits.train,
        bundle.layers,
        len(bundle.class_names),
        lacking(ClassifierSpec.from_json(bundle.manifest.architecture)) | bundle.notes.get("missing", {}),
    )
    reference.prepared = Prepared.among(bundle.folder, bundle.manifest.files)
    for name in sorted(reference.prepared.names):  # however large: the library that reads an index trusts it
        check_content(bundle.folder, bundle.manifest, name)
    return reference
