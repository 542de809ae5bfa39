"""The last stage of a build: from what was computed to a folder and its manifest."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from telltale.attacks.registry import get_attack
from telltale.base import files
from telltale.base.origin import library_versions
from telltale.base.parameters import validate_parameters
from telltale.building.fitting import COMPANIONS, lacking_detectors
from telltale.building.versions import Versions
from telltale.bundle.bundle import (
    CALIBRATION_FILE,
    DRAWN,
    MAPS_FILE,
    MISSING_DETECTORS,
    OWN,
    SCORES_FILE,
    STORY,
    UNFINISHED,
    WEIGHTS_FILE,
)
from telltale.bundle.fitted import FittedFiles, detector_file
from telltale.bundle.manifest import DataReference, Manifest
from telltale.bundle.own_data import TRAINED_ON, UNLABELLED
from telltale.data.image_set import ImageSet
from telltale.data.sources import lasting_source
from telltale.detectors.base import Detector
from telltale.detectors.fusion import ERROR_SCORE, FUSED
from telltale.detectors.registry import DETECTORS
from telltale.evidence.reference import Reference
from telltale.kinds.kind import Finished, Finishing
from telltale.kinds.registry import KINDS
from telltale.models.classifier import Classifier
from telltale.recipes import AttackPlan, BundlePlan
from telltale.scores.table import KIND, NATURAL, SPLIT, score_column


@dataclass(frozen=True)
class Fitted:
    """What was fitted once.

    Attributes
    ----------
    files : FittedFiles
        Everything fitted, in a folder of its own.
    selection : dict of str to object
        Settings of every detector and of the fusion, and how they were chosen.
    """

    files: FittedFiles
    selection: dict[str, Any]


@dataclass(frozen=True)
class Built:
    """Everything that goes into a bundle.

    Attributes
    ----------
    plan : BundlePlan
    source : str
    image_set : ImageSet
    classifier : Classifier
    weights : Path
    train_accuracy : float
    training_images : int
        How many images the classifier learned from.
    fitted : Fitted
    reference : Reference
    natural : tuple of Versions
        The natural images of fit, calibration and test.
    attacked : tuple of Versions
    scores : pyarrow.Table
    maps : dict of str to array of float32, shape (L, N, 2)
    notes : mapping of str to object
        For the manifest, besides.
    """

    plan: BundlePlan
    source: str
    image_set: ImageSet
    classifier: Classifier
    weights: Path
    train_accuracy: float
    training_images: int
    fitted: Fitted
    reference: Reference
    natural: tuple[Versions, Versions, Versions]
    attacked: tuple[Versions, ...]
    scores: pa.Table
    maps: dict[str, npt.NDArray[np.float32]]
    notes: Mapping[str, object] = field(default_factory=dict)

    @property
    def unfinished(self) -> bool:
        """Whether its attacks have not been run yet."""
        return bool(self.plan.attacks) and not self.attacked


def write_files(empty: Path, built: Built) -> Manifest:
    """Write every file of a bundle into an empty folder, and return its manifest."""
    shutil.copyfile(built.weights, empty / WEIGHTS_FILE)
    for file in built.fitted.files.paths():
        (empty / file).parent.mkdir(exist_ok=True)
        shutil.copyfile(built.fitted.files.folder / file, empty / file)
    files.save_table(empty / SCORES_FILE, built.scores)
    files.save_arrays(empty / MAPS_FILE, built.maps)
    files.save_arrays(empty / CALIBRATION_FILE, _calibration_scores(built.scores))
    finished = _finish(built)
    for found in finished:
        for file, arrays in found.files.items():
            files.save_arrays(empty / file, arrays)
    return _manifest(built, {name: note for found in finished for name, note in found.notes.items()})


def _calibration_scores(scores: pa.Table) -> dict[str, npt.NDArray[np.float64]]:
    """Return the stored scores of the correctly classified calibration images, by detector."""
    rows = scores.filter((pc.field(SPLIT) == "calibration") & (pc.field(KIND) == NATURAL))
    columns = {name: score_column(name) for name in (*DETECTORS, FUSED)} | {ERROR_SCORE: ERROR_SCORE}
    return {name: rows[column].to_numpy() for name, column in columns.items() if column in rows.column_names}


def _finish(built: Built) -> list[Finished]:
    """Let every kind of evidence say what the bundle stores about it."""
    reference = built.reference
    fit, calibration, test = (versions.succeeded().evidence(reference) for versions in built.natural)
    with_errors = built.natural[2].evidence(reference)
    finishing = Finishing(reference, fit, calibration, test, with_errors, _companions(built.fitted))
    return [kind.finish(finishing) for name, kind in KINDS.items() if name not in reference.missing]


def _companions(fitted: Fitted) -> dict[str, Detector]:
    """Read what detectors have fitted beside themselves."""
    found = {}
    for owner, kind in DETECTORS.items():
        for name, entry in fitted.selection[COMPANIONS].items():
            if entry["owner"] == owner:
                arrays = files.load_arrays(fitted.files.folder / detector_file(name))
                found[name] = kind(**entry["parameters"]).restore(arrays)
    return found


def _manifest(built: Built, notes: dict[str, object]) -> Manifest:
    plan, image_set, selection = built.plan, built.image_set, built.fitted.selection
    shape = tuple(int(side) for side in image_set.pixels.shape[1:])
    source = lasting_source(built.source)
    return Manifest(
        name=plan.name,
        title=plan.title,
        seed=plan.seed,
        data=DataReference(source, image_set.fingerprint, len(image_set), image_set.class_names, shape),  # type: ignore[arg-type]
        layers=built.classifier.layers,
        architecture=built.classifier.spec.to_json(),
        accuracies=_accuracies(built),
        attacks=tuple(attack_entry(attack, built.attacked) for attack in plan.attacks),
        detectors={name: selection[name] for name in DETECTORS if name in selection},
        versions=library_versions(),
        notes=notes | _notes(built) | dict(built.notes),
    )


def _accuracies(built: Built) -> dict[str, float]:
    """Return the accuracy of every split; none where the classifier's own answers take the place of labels."""
    if built.notes.get(UNLABELLED):
        return {}
    return {"train": built.train_accuracy} | {part.split: part.accuracy for part in built.natural}


def attack_entry(plan: AttackPlan, attacked: tuple[Versions, ...]) -> dict[str, object]:
    """Return what a manifest says of an attack: its settings and, of each split, how often it succeeded."""
    parameters = validate_parameters(get_attack(plan.name).parameters, dict(plan.parameters), plan.name)
    counts = {
        part.split: {"images": len(part), "success_rate": float(part.success.mean())}
        for part in attacked
        if part.attack == plan.name
    }
    return {"name": plan.name, "parameters": parameters, "random_target": plan.random_target, **counts}


def _notes(built: Built) -> dict[str, object]:
    missing = dict(built.reference.missing)
    short = lacking_detectors(built.fitted.files.reference)
    return {
        "macro_attacks": list(built.plan.macro_attacks) if built.attacked else [],
        "training_images": built.training_images,
        "calibration_images": int(built.natural[1].success.sum()),
        **({FUSED: built.fitted.selection[FUSED]} if FUSED in built.fitted.selection else {}),
        **({"missing": missing} if missing else {}),
        **({MISSING_DETECTORS: short} if short else {}),
        **({OWN: True} if built.plan.own else {}),
        **({DRAWN: True} if built.plan.drawn else {}),
        **({} if built.plan.story is None else {STORY: asdict(built.plan.story)}),
        **({} if built.plan.trained_on is None else {TRAINED_ON: built.plan.trained_on}),
        **({UNFINISHED: True} if built.unfinished else {}),
    }
