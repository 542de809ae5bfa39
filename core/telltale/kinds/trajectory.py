"""The path of an image through the layers in pivot-distance space (Carrara et al. 2018)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from telltale.detectors.base import Arrays
from telltale.detectors.fitted_detectors import FittedDetectors
from telltale.detectors.trajectory import RUNNING_SUSPICION, TrajectoryDetector
from telltale.evidence.evidence import Evidence
from telltale.evidence.trajectory import (
    DISTANCES,
    PIVOTS,
    DistanceKind,
    PivotKind,
    Pivots,
    departure_layer,
    fit_pivots,
)
from telltale.kinds.kind import Finished, Finishing, Fitting, Kind, Seen, Stored
from telltale.kinds.needs import REFERENCES_OF_CLASSES
from telltale.scores.calibration import Calibration

KNOWN_PIVOTS = "pivots.known"
RUNNING_FILE = "running_calibration.safetensors"
NO_LAYER = -1


@dataclass(frozen=True)
class TrajectoryView:
    """Path of one image through the layers in pivot-distance space (Carrara 2018).

    Attributes
    ----------
    layers : tuple of str, length L
    distances : mapping of (pivot, distance) to array of float32, shape (L, C)
        For pivot in {"centroid", "medoid"} and distance in {"l2", "cosine"}. ``cosine`` is a similarity:
        larger is nearer. NaN for classes without reference images.
    pivot, distance : str
        The variant that the trajectory detector uses.
    suspicion : array of float64, shape (L,)
        1 - p-value of the LSTM's score after each layer: near 1 where hardly any held-out natural image looked as
        suspicious after the same layer. Empty where no such LSTM was fitted.
    """

    kind: ClassVar[str] = "trajectory"
    layers: tuple[str, ...]
    distances: Mapping[tuple[str, str], npt.NDArray[np.float32]]
    pivot: str
    distance: str
    suspicion: npt.NDArray[np.float64]


@dataclass(frozen=True)
class RunningSuspicion:
    """The LSTM whose score after every layer is shown, with its scores on natural calibration images, per layer."""

    detector: TrajectoryDetector
    calibrations: tuple[Calibration, ...]

    def of(self, evidence: Evidence) -> npt.NDArray[np.float64]:
        """Return 1 - p-value of the score after every layer, shape (n, L)."""
        scores = self.detector.running_scores(evidence)
        assert scores is not None
        pairs = zip(self.calibrations, scores.T, strict=True)
        return np.array([[1.0 - c.p_value(float(s)) for s in layer] for c, layer in pairs]).T


class TrajectoryKind(Kind):
    """Where the path of an image leaves its class."""

    name = TrajectoryView.kind
    title = "Trajectory"
    needs = (REFERENCES_OF_CLASSES,)
    followed = True

    def fit(self, fitting: Fitting) -> Pivots:
        """Find the pivots of every class."""
        return fit_pivots(fitting.trace, fitting.labels, fitting.classes)

    def arrays(self, fitted: object) -> Arrays:
        """Return both kinds of pivots, layer by layer; where some classes have none, also which do."""
        assert isinstance(fitted, Pivots)
        known, pairs = fitted.known, {"centroid": fitted.centroid, "medoid": fitted.medoid}
        rows = {f"{name}.{i}": pivots[known] for name, layers in pairs.items() for i, pivots in enumerate(layers)}
        return rows if known.all() else {**rows, KNOWN_PIVOTS: known}

    def restore(self, arrays: Arrays, layers: int) -> Pivots | None:
        """Rebuild the pivots."""
        if "centroid.0" not in arrays:
            return None
        known = arrays.get(KNOWN_PIVOTS)
        centroid, medoid = (
            tuple(_spread(arrays[f"{name}.{i}"].astype(np.float32, copy=False), known) for i in range(layers))
            for name in ("centroid", "medoid")
        )
        return Pivots(centroid, medoid)

    def finish(self, finishing: Finishing) -> Finished:
        """Store how suspicious natural calibration images look after every layer."""
        running = finishing.detectors.get(RUNNING_SUSPICION)
        if not isinstance(running, TrajectoryDetector):
            return Finished()
        scores = running.running_scores(finishing.calibration)
        assert scores is not None
        return Finished({RUNNING_FILE: {"scores": scores}}, {RUNNING_SUSPICION: running.settings.values()})

    def open(self, stored: Stored) -> RunningSuspicion | None:
        """Read the LSTM and its calibration."""
        arrays = stored.detector_arrays(RUNNING_SUSPICION)
        if arrays is None:
            return None
        running = TrajectoryDetector(**stored.notes[RUNNING_SUSPICION])
        running.restore(arrays)
        return RunningSuspicion(running, tuple(Calibration.of(s) for s in stored.arrays(RUNNING_FILE)["scores"].T))

    def explain(self, seen: Seen, labels: npt.NDArray[np.int64]) -> dict[str, Any]:
        """Return the layer at which each path leaves its true class for good, `NO_LAYER` where it never does."""
        pivot, distance = _variant(seen.fitted)
        found = [
            departure_layer(path, distance, int(label), int(predicted))
            for path, label, predicted in zip(
                seen.evidence.trajectory(pivot, distance), labels, seen.evidence.predictions, strict=True
            )
        ]
        departures = np.array([NO_LAYER if layer is None else layer for layer in found], dtype=np.int64)
        return {"departures": departures, "pivot": pivot, "distance": distance}

    def view(self, seen: Seen) -> TrajectoryView:
        """Return the distances to every pivot, and the running suspicion."""
        pivot, distance = _variant(seen.fitted)
        running = seen.opened
        return TrajectoryView(
            layers=seen.evidence.trace.layers,
            distances={(p, d): seen.evidence.trajectory(p, d)[0] for p in PIVOTS for d in DISTANCES},
            pivot=pivot,
            distance=distance,
            suspicion=running.of(seen.evidence)[0] if isinstance(running, RunningSuspicion) else np.empty(0),
        )


def _spread(rows: npt.NDArray[np.float32], known: npt.NDArray[Any] | None) -> npt.NDArray[np.float32]:
    """Put the pivots of known classes at their places among all, shape (C, d)."""
    if known is None:
        return rows
    spread = np.full((len(known), rows.shape[1]), np.nan, dtype=np.float32)
    spread[known] = rows
    return spread


def _variant(fitted: FittedDetectors) -> tuple[PivotKind, DistanceKind]:
    """Return pivot and distance of the trajectory detector, or of one with its defaults."""
    detector = fitted.detectors.get(TrajectoryDetector.name)
    chosen = detector if isinstance(detector, TrajectoryDetector) else TrajectoryDetector()
    return chosen.pivot, chosen.distance
