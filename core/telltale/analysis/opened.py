"""A bundle with its model in memory: what a worker holds. The only reader of a bundle that needs torch."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from telltale.bundle.bundle import DENSITY_MAP_FILE, REFERENCE_FILE, WEIGHTS_FILE, Bundle, load_bundle
from telltale.bundle.fitted import detector_file, reference_from_arrays, restore_detectors
from telltale.detectors.base import Arrays, Detector
from telltale.detectors.defence import Defence
from telltale.detectors.fitted_detectors import FittedDetectors
from telltale.detectors.fusion import ERROR_SCORE, FUSED
from telltale.detectors.trajectory import TrajectoryDetector
from telltale.evidence.density import DensityChart
from telltale.evidence.evidence import Evidence
from telltale.evidence.mahalanobis_step import stepping
from telltale.evidence.readings import PixelReadings
from telltale.evidence.reference import Reference
from telltale.evidence.response import Responses, feature_responses
from telltale.evidence.squeezing import squeezed_distances
from telltale.models.classifier import Architecture, Classifier
from telltale.models.training import load_weights
from telltale.scores.calibration import Calibration

RUNNING_SUSPICION = "running_suspicion"
RUNNING_FILE = "running_calibration.safetensors"


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
    running : TrajectoryDetector
        The LSTM whose score after every layer is shown as running suspicion.
    running_calibrations : tuple of L Calibration
        Its scores on natural calibration images, per layer.
    calibrations : dict of str to Calibration or None
        Per detector, of the fused score, and of the score of natural errors.
    density_chart : DensityChart
    """

    bundle: Bundle
    classifier: Classifier
    reference: Reference
    fitted: FittedDetectors
    running: TrajectoryDetector
    running_calibrations: tuple[Calibration, ...]
    calibrations: dict[str, Calibration | None]
    density_chart: DensityChart

    @cached_property
    def defence(self) -> Defence:
        """What attacks that aim at the detectors are given."""
        return Defence(self.classifier, self.reference, self.detectors)

    @property
    def detectors(self) -> dict[str, Detector]:
        """Every fitted detector by name."""
        return self.fitted.detectors

    def suspicion(self, evidence: Evidence) -> npt.NDArray[np.float64]:
        """1 - p-value of the running LSTM's score after every layer, shape (n, L)."""
        scores = self.running.running_scores(evidence)
        assert scores is not None
        pairs = zip(self.running_calibrations, scores.T, strict=True)
        return np.array([[1.0 - c.p_value(float(s)) for s in layer] for c, layer in pairs]).T

    def evidence(self, images: npt.NDArray[np.float32]) -> tuple[Evidence, Responses]:
        """Trace images (n, C, H, W) and return their evidence with the feature responses behind it."""
        responses, trace = feature_responses(self.classifier, images), self.classifier.trace(images)
        squeezed = squeezed_distances(self.classifier, images, trace.probabilities)
        readings = PixelReadings(responses.mean_entropy, squeezed)
        return Evidence(self.reference, trace, readings, stepping(self.classifier, images)), responses


def open_bundle(name: str) -> LoadedBundle:
    """Load a bundle with its model.

    Raises
    ------
    InputError
        If there is no such bundle or it is damaged.
    """
    bundle = load_bundle(name)
    entries = bundle.manifest.detectors
    columns = [c.removeprefix("score_") for c in bundle.scores.column_names if c.startswith("score_")]
    names = [name for name in columns if name != FUSED]
    known = restore_detectors({key: entries[key]["parameters"] for key in names}, lambda name: _arrays(bundle, name))
    running = TrajectoryDetector(**bundle.manifest.notes[RUNNING_SUSPICION])
    running.restore(bundle.arrays(detector_file(RUNNING_SUSPICION)))
    chart = bundle.arrays(DENSITY_MAP_FILE)
    loaded = LoadedBundle(
        bundle,
        load_weights(Architecture(**bundle.manifest.architecture), bundle.path(WEIGHTS_FILE)),
        load_reference(bundle),
        known,
        running,
        tuple(Calibration.of(scores) for scores in bundle.arrays(RUNNING_FILE)["scores"].T),
        {key: bundle.calibration(key) for key in (*columns, ERROR_SCORE)},
        DensityChart(**{key: chart[key] for key in ("origin", "axes", "keep_rates", "thresholds")}),
    )
    # Building indices and factors now makes the first image as fast as the next.
    loaded.reference.prepare()
    return loaded


def load_reference(bundle: Bundle) -> Reference:
    """Rebuild the reference set of a bundle."""
    return reference_from_arrays(
        bundle.arrays(REFERENCE_FILE), bundle.splits.train, bundle.layers, len(bundle.class_names)
    )


def _arrays(bundle: Bundle, name: str) -> Arrays | None:
    file = detector_file(name)
    return bundle.arrays(file) if file in bundle.manifest.files else None
