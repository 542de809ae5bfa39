"""What is fitted once per bundle, as files: the reference set and the detectors."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from telltale.base.files import load_arrays, load_json, save_arrays, save_json, whole
from telltale.base.parameters import ParameterValue
from telltale.bundle.bundle import DETECTORS_FOLDER, REFERENCE_FILE, SPLITS_FILE
from telltale.data.splits import Splits
from telltale.detectors.base import Arrays, Detector
from telltale.detectors.fitted_detectors import FittedDetectors
from telltale.detectors.fusion import FUSED, Fusion
from telltale.detectors.registry import get_detector
from telltale.evidence.prepared import Prepared, save_prepared
from telltale.evidence.reference import Reference
from telltale.kinds.registry import KINDS
from telltale.models.trace import Trace

MISSING_FILE = "missing.json"  # of a folder that is being filled; a bundle notes it in its manifest


@dataclass(frozen=True)
class ReferenceFiles:
    """Where to find a reference set, small enough to be sent to a process.

    Attributes
    ----------
    folder : Path
        A bundle's folder, or one that is being filled.
    layers : tuple of str
    classes : int
    missing : tuple of (str, str)
        Kinds of evidence that have nothing here, each with the reason.
    """

    folder: Path
    layers: tuple[str, ...]
    classes: int
    missing: tuple[tuple[str, str], ...] = ()

    @classmethod
    def filled(cls, folder: Path, layers: tuple[str, ...], classes: int) -> ReferenceFiles:
        """Describe a folder that `save_reference` has written."""
        return cls(folder, layers, classes, tuple(sorted(load_json(folder / MISSING_FILE).items())))

    def files_read(self) -> list[Path]:
        """Return the files that `read` reads; a process on another machine is sent them."""
        return [self.folder / name for name in (SPLITS_FILE, REFERENCE_FILE, *Prepared.found_in(self.folder).names)]

    def read(self) -> Reference:
        """Load it."""
        splits = Splits.from_arrays(load_arrays(self.folder / SPLITS_FILE))
        arrays = load_arrays(self.folder / REFERENCE_FILE)
        reference = reference_from_arrays(arrays, splits.train, self.layers, self.classes, dict(self.missing))
        reference.prepared = Prepared.found_in(self.folder)
        return reference


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
        prepared = sorted(Prepared.found_in(self.folder).names)
        return (SPLITS_FILE, REFERENCE_FILE, *prepared, *(f"{DETECTORS_FOLDER}/{name}" for name in detectors))

    def files_read(self) -> list[Path]:
        """Return the files that `read` reads; a process on another machine is sent them."""
        return [self.folder / name for name in self.paths()]

    def read(self) -> tuple[Reference, FittedDetectors]:
        """Load the reference set and the detectors."""

        def load(name: str) -> Arrays | None:
            file = self.folder / detector_file(name)
            return load_arrays(file) if file.exists() else None

        return self.reference.read(), restore_detectors(json.loads(self.settings), load)


def save_reference(folder: Path, splits: Splits, reference: Reference, half: bool) -> None:
    """Write what `ReferenceFiles` reads into a folder; the reference set appears last and whole.

    Parameters
    ----------
    folder : Path
        Made where it is missing.
    splits : Splits
        Whose training images are those of the reference set.
    reference : Reference
    half : bool
        Whether activations and logits are stored in half precision.
    """
    folder.mkdir(parents=True, exist_ok=True)
    save_arrays(folder / SPLITS_FILE, splits.to_arrays())
    save_json(folder / MISSING_FILE, dict(reference.missing))
    head = reference.head if "influence" in reference.fitted else None
    save_prepared(folder, reference.trace.activations, head, reference.labels)
    with whole(folder / REFERENCE_FILE) as partial:
        save_arrays(partial, reference_arrays(reference, half))


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
    for name, fitted in reference.fitted.items():
        arrays |= KINDS[name].arrays(fitted)
    return arrays


def reference_from_arrays(
    arrays: Arrays,
    ids: npt.NDArray[np.int64],
    layers: tuple[str, ...],
    classes: int,
    missing: Mapping[str, str] | None = None,
) -> Reference:
    """Rebuild a reference set."""
    activations = tuple(arrays[f"activations.{i}"].astype(np.float32, copy=False) for i in range(len(layers)))
    trace = Trace(layers, activations, arrays["logits"].astype(np.float32, copy=False))
    restored = {name: kind.restore(arrays, len(layers)) for name, kind in KINDS.items()}
    fitted = {name: part for name, part in restored.items() if part is not None}
    return Reference(ids, arrays["labels"], classes, trace, fitted, missing or {})


def in_half_precision(trace: Trace) -> Trace:
    """Round a trace to what half precision can hold, still as float32."""
    rounded = [a.astype(np.float16).astype(np.float32) for a in (*trace.activations, trace.logits)]
    return Trace(trace.layers, tuple(rounded[:-1]), rounded[-1])


def restore_detectors(
    settings: Mapping[str, Mapping[str, ParameterValue]], load: Callable[[str], Arrays | None]
) -> FittedDetectors:
    """Rebuild detectors, in the order of their settings, and the fusion where it was stored.

    Parameters
    ----------
    settings : mapping of str to mapping
        By detector.
    load : callable
        Returns what was stored under a detector's name, or None.
    """
    found = {name: get_detector(name)(**values).restore(load(name) or {}) for name, values in settings.items()}
    arrays = load(FUSED)
    return FittedDetectors(found, None if arrays is None else Fusion.restore(tuple(settings), arrays))


def detector_file(name: str) -> str:
    """Path of a detector's arrays inside a bundle."""
    return f"{DETECTORS_FOLDER}/{name}.safetensors"


def save_detectors(folder: Path, detectors: Mapping[str, Detector]) -> None:
    """Write the arrays of every detector."""
    (folder / DETECTORS_FOLDER).mkdir(exist_ok=True)
    for name, detector in detectors.items():
        save_arrays(folder / detector_file(name), detector.arrays())
