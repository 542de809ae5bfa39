"""The last stage of a build: from what was computed to a folder and its manifest."""

from __future__ import annotations

import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from telltale.analysis.opened import RUNNING_FILE, RUNNING_SUSPICION
from telltale.attacks.registry import get_attack
from telltale.base import files
from telltale.base.origin import library_versions
from telltale.base.parameters import validate_parameters
from telltale.building.maps import density_chart
from telltale.building.versions import NATURAL, Versions
from telltale.bundle.bundle import CALIBRATION_FILE, DENSITY_MAP_FILE, MAPS_FILE, SCORES_FILE, WEIGHTS_FILE
from telltale.bundle.fitted import FittedFiles
from telltale.bundle.manifest import DataReference, Manifest
from telltale.data.image_set import ImageSet
from telltale.data.sources import lasting_source
from telltale.detectors.fusion import ERROR_SCORE, FUSED
from telltale.detectors.registry import DETECTORS
from telltale.detectors.trajectory import TrajectoryDetector
from telltale.evidence.density import DensityChart, keep_rate
from telltale.evidence.reference import Reference
from telltale.models.classifier import Classifier
from telltale.recipes import AttackPlan, Recipe


@dataclass(frozen=True)
class Fitted:
    """What was fitted once.

    Attributes
    ----------
    files : FittedFiles
        Everything fitted, in a folder of its own.
    running : TrajectoryDetector
        The LSTM behind the running suspicion.
    selection : dict of str to object
        Settings of every detector and of the fusion, and how they were chosen.
    """

    files: FittedFiles
    running: TrajectoryDetector
    selection: dict[str, Any]


@dataclass(frozen=True)
class Built:
    """Everything that goes into a bundle.

    Attributes
    ----------
    recipe : Recipe
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
    """

    recipe: Recipe
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


def write_files(empty: Path, built: Built) -> Manifest:
    """Write every file of a bundle into an empty folder, and return its manifest."""
    shutil.copyfile(built.weights, empty / WEIGHTS_FILE)
    for file in built.fitted.files.paths():
        (empty / file).parent.mkdir(exist_ok=True)
        shutil.copyfile(built.fitted.files.folder / file, empty / file)
    files.save_table(empty / SCORES_FILE, built.scores)
    files.save_arrays(empty / MAPS_FILE, built.maps)
    files.save_arrays(empty / CALIBRATION_FILE, _calibration_scores(built.scores))
    files.save_arrays(empty / RUNNING_FILE, {"scores": _running_calibration(built)})
    chart, arrays = _density_chart(built)
    files.save_arrays(empty / DENSITY_MAP_FILE, arrays)
    return _manifest(built, chart)


def _calibration_scores(scores: pa.Table) -> dict[str, npt.NDArray[np.float64]]:
    """Return the stored scores of the correctly classified calibration images, by detector."""
    rows = scores.filter((pc.field("split") == "calibration") & (pc.field("kind") == NATURAL))
    columns = {name: f"score_{name}" for name in (*DETECTORS, FUSED)} | {ERROR_SCORE: ERROR_SCORE}
    return {name: rows[column].to_numpy() for name, column in columns.items() if column in rows.column_names}


def _running_calibration(built: Built) -> npt.NDArray[np.float64]:
    evidence = built.natural[1].succeeded().evidence(built.reference)
    running = built.fitted.running.running_scores(evidence)
    assert running is not None
    return running


def _density_chart(built: Built) -> tuple[DensityChart, dict[str, npt.NDArray[np.float64]]]:
    """Take thresholds from fit and calibration images: neither has shaped the mixtures themselves."""
    reference = built.reference
    held_out = [versions.succeeded().evidence(reference) for versions in built.natural[:2]]
    log_density = np.concatenate([evidence.log_density for evidence in held_out])
    predictions = np.concatenate([evidence.predictions for evidence in held_out])
    return density_chart(reference.trace.hidden, reference.labels, log_density, predictions)


def _manifest(built: Built, chart: DensityChart) -> Manifest:
    recipe, image_set, selection = built.recipe, built.image_set, built.fitted.selection
    shape = tuple(int(side) for side in image_set.pixels.shape[1:])
    source = lasting_source(built.source)
    return Manifest(
        name=recipe.name,
        title=recipe.title,
        seed=recipe.seed,
        data=DataReference(source, image_set.fingerprint, len(image_set), image_set.class_names, shape),  # type: ignore[arg-type]
        layers=built.classifier.layers,
        architecture=asdict(built.classifier.architecture),
        accuracies={"train": built.train_accuracy} | {part.split: part.accuracy for part in built.natural},
        attacks=tuple(_attack_entry(plan, built.attacked) for plan in recipe.attacks),
        detectors={name: selection[name] for name in DETECTORS},
        versions=library_versions(),
        notes=_notes(built, chart),
    )


def _attack_entry(plan: AttackPlan, attacked: tuple[Versions, ...]) -> dict[str, object]:
    parameters = validate_parameters(get_attack(plan.name).parameters, dict(plan.parameters), plan.name)
    counts = {
        part.split: {"images": len(part), "success_rate": float(part.success.mean())}
        for part in attacked
        if part.attack == plan.name
    }
    return {"name": plan.name, "parameters": parameters, "random_target": plan.random_target, **counts}


def _notes(built: Built, chart: DensityChart) -> dict[str, object]:
    reference = built.reference
    return {
        "macro_attacks": list(built.recipe.macro_attacks),
        "training_images": built.training_images,
        "calibration_images": int(built.natural[1].success.sum()),
        "keep_rates": _keep_rates(reference, chart, built.natural[2].succeeded()),
        "head": {"damping": reference.head.damping, "agreement": _agreement(reference, built.natural[2])},
        "mixtures": asdict(reference.densities.settings),
        RUNNING_SUSPICION: built.fitted.running.settings.values(),
        FUSED: built.fitted.selection[FUSED],
        "indices": reference.describe_indices(),
    }


def _keep_rates(reference: Reference, chart: DensityChart, natural: Versions) -> dict[str, float]:
    """Share of natural images that the thresholds of each nominal keep rate really keep."""
    log_density = reference.densities.log_density(natural.trace.hidden)
    pairs = zip(chart.keep_rates, chart.thresholds, strict=True)
    return {f"{keep:g}": keep_rate(log_density, natural.trace.predictions, row) for keep, row in pairs}


def _agreement(reference: Reference, natural: Versions) -> float:
    """How often the refitted softmax head predicts what the network does."""
    return float((reference.head.probabilities(natural.trace.hidden).argmax(1) == natural.trace.predictions).mean())
