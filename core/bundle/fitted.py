"""What is fitted once per bundle, as files: the reference set and the detectors."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from core.bundle.bundle import DETECTORS_FOLDER, REFERENCE_FILE, SPLITS_FILE
from core.bundle.store import load_arrays, save_arrays
from core.data.splits import Splits
from core.detectors.base import Arrays, Detector
from core.detectors.registry import get_detector
from core.evidence.density import ClassDensities
from core.evidence.influence import SoftmaxHead
from core.evidence.reference import Reference
from core.evidence.trajectory import Pivots
from core.models.trace import Trace


@dataclass(frozen=True)
class ReferenceFiles:
    """Where to find a reference set, small enough to be sent to a process.

    Attributes
    ----------
    folder : Path
        A bundle's folder, or one that is being filled.
    layers : tuple of str
    classes : int
    """

    folder: Path
    layers: tuple[str, ...]
    classes: int

    def read(self) -> Reference:
        """Load it."""
        splits = Splits.from_arrays(load_arrays(self.folder / SPLITS_FILE))
        arrays = load_arrays(self.folder / REFERENCE_FILE)
        return reference_from_arrays(arrays, splits.train, self.layers, self.classes)


@dataclass(frozen=True)
class FittedFiles:
    """Where to find everything that scores an image, small enough to be sent to a process.

    Attributes
    ----------
    reference : ReferenceFiles
        Its folder holds the detectors too.
    settings : str
        JSON object of every detector's settings by name, in the order of the stored scores.
    """

    reference: ReferenceFiles
    settings: str

    @classmethod
    def of(cls, reference: ReferenceFiles, settings: Mapping[str, Mapping[str, object]]) -> FittedFiles:
        """Describe a folder."""
        return cls(reference, json.dumps(settings))

    @property
    def folder(self) -> Path:
        """Where everything lies."""
        return self.reference.folder

    def paths(self) -> tuple[str, ...]:
        """Return every file, relative to the folder."""
        detectors = (file.name for file in sorted((self.folder / DETECTORS_FOLDER).iterdir()))
        return (SPLITS_FILE, REFERENCE_FILE, *(f"{DETECTORS_FOLDER}/{name}" for name in detectors))

    def read(self) -> tuple[Reference, dict[str, Detector]]:
        """Load the reference set and the detectors."""
        detectors = {
            name: get_detector(name)(**settings).restore(load_arrays(self.folder / detector_file(name)))
            for name, settings in json.loads(self.settings).items()
        }
        return self.reference.read(), detectors


def reference_arrays(reference: Reference, half: bool) -> Arrays:
    """Return everything that `reference_from_arrays` needs beside the splits.

    Parameters
    ----------
    reference : Reference
    half : bool
        Whether activations and logits are stored in half precision; they must already hold no more than that.
    """
    precision = np.float16 if half else np.float32
    arrays: Arrays = {"labels": reference.labels, "logits": reference.trace.logits.astype(precision)}
    for i, activations in enumerate(reference.trace.activations):
        arrays[f"activations.{i}"] = activations.astype(precision)
        arrays[f"centroid.{i}"] = reference.pivots.centroid[i]
        arrays[f"medoid.{i}"] = reference.pivots.medoid[i]
    arrays["head.weights"] = reference.head.weights
    arrays["head.damping"] = np.array([reference.head.damping])
    arrays.update({f"density.{key}": value for key, value in reference.densities.to_arrays().items()})
    return arrays


def reference_from_arrays(
    arrays: Arrays, ids: npt.NDArray[np.int64], layers: tuple[str, ...], classes: int
) -> Reference:
    """Rebuild a reference set."""

    def per_layer(prefix: str) -> tuple[npt.NDArray[np.float32], ...]:
        return tuple(arrays[f"{prefix}.{i}"].astype(np.float32, copy=False) for i in range(len(layers)))

    densities = {k.removeprefix("density."): v for k, v in arrays.items() if k.startswith("density.")}
    logits = arrays["logits"].astype(np.float32, copy=False)
    return Reference(
        ids,
        arrays["labels"],
        classes,
        Trace(layers, per_layer("activations"), logits),
        Pivots(per_layer("centroid"), per_layer("medoid")),
        SoftmaxHead(arrays["head.weights"], float(arrays["head.damping"][0])),
        ClassDensities.from_arrays(densities),
    )


def in_half_precision(trace: Trace) -> Trace:
    """Round a trace to what half precision can hold, still as float32."""
    rounded = [a.astype(np.float16).astype(np.float32) for a in (*trace.activations, trace.logits)]
    return Trace(trace.layers, tuple(rounded[:-1]), rounded[-1])


def detector_file(name: str) -> str:
    """Path of a detector's arrays inside a bundle."""
    return f"{DETECTORS_FOLDER}/{name}.safetensors"


def save_detectors(folder: Path, detectors: Mapping[str, Detector]) -> None:
    """Write the arrays of every detector."""
    (folder / DETECTORS_FOLDER).mkdir(exist_ok=True)
    for name, detector in detectors.items():
        save_arrays(folder / detector_file(name), detector.arrays())
