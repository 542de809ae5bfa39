"""Building a bundle from a recipe: train, attack, trace, fit, calibrate, write whole or not at all."""

from __future__ import annotations

import contextlib
import hashlib
import json
import platform
import shutil
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
import numpy.typing as npt

from core.bundle import store
from core.bundle.attacking import AttackedImages, attack_splits, use_one_thread
from core.bundle.bundle import (
    CALIBRATION_FILE,
    DENSITY_MAP_FILE,
    DETECTORS_FOLDER,
    MAPS_FILE,
    PRECOMPUTED,
    REFERENCE_FILE,
    SCORES_FILE,
    SPLITS_FILE,
    WEIGHTS_FILE,
)
from core.bundle.collecting import Collector
from core.bundle.fitting import Selected, fit_reference, fit_running_suspicion, select_detectors
from core.bundle.manifest import DataReference, Manifest
from core.bundle.maps import density_chart, layer_maps
from core.bundle.model import RUNNING_FILE, RUNNING_SUSPICION, detector_file, reference_arrays
from core.bundle.scoring import NATURAL, Versions, score_table
from core.data.sources import load_image_set
from core.data.splits import Splits
from core.detectors.base import Labels
from core.detectors.trajectory import TrajectoryDetector
from core.evidence.density import DensityChart, keep_rate
from core.evidence.evidence import Evidence
from core.evidence.reference import Reference
from core.models.classifier import Classifier
from core.models.trace import Trace
from core.models.training import Progress, accuracies, architecture_of, load_weights, save_weights, train_classifier
from core.recipes import Recipe, get_recipe

LIBRARIES = (
    "torch",
    "captum",
    "torchattacks",
    "foolbox",
    "scikit-learn",
    "scikit-image",
    "faiss-cpu",
    "umap-learn",
    "numpy",
)
KEY_LENGTH = 16


def build(name: str, *, data: str | None = None, out: Path | None = None, progress: Progress) -> Path:
    """Build a recipe's bundle.

    A build that was killed goes on where its last finished chunk of attacks stood; the folder appears only when
    everything is in it.

    Parameters
    ----------
    name : str
        Recipe.
    data : str, optional
        Data set instead of the recipe's own.
    out : Path, optional
        Bundle folder, named as the recipe; ``precomputed/NAME`` where left out.
    progress : callable
        Told the fraction done and what is being done.

    Returns
    -------
    Path
        The bundle's folder.

    Raises
    ------
    InputError
        If the recipe or the data set is not known.
    """
    recipe = get_recipe(name)
    return build_recipe(recipe, data or recipe.source, out or PRECOMPUTED / name, progress)


def build_recipe(recipe: Recipe, source: str, folder: Path, progress: Progress) -> Path:
    """Build a recipe into a folder; see `build`."""
    use_one_thread()
    work = _WorkInProgress(recipe, source, folder, progress)
    classifier = work.classifier()
    attacked = work.attacked(classifier)
    fitted = _fit(work, classifier, attacked)
    store.write_bundle(folder, lambda empty: _fill(empty, work, classifier, fitted))
    work.clear()
    progress(1.0, "Done")
    return folder


class _WorkInProgress:
    """The stages that are worth keeping when a build is killed."""

    def __init__(self, recipe: Recipe, source: str, target: Path, progress: Progress) -> None:
        self.recipe = recipe
        self.source = source
        self.image_set = load_image_set(source)
        self.splits = Splits.draw(self.image_set.labels, recipe.sizes, recipe.seed, self.image_set.own_test)
        self.progress = progress
        # Other choices, data, weights or code must never pick up what these left behind.
        self.folder = target.parent / ".build" / f"{target.name}-{self._key()}"

    def _key(self) -> str:
        shipped = self._shipped_weights()
        weights = None if shipped is None else store.file_sha256(shipped)
        choices = [asdict(self.recipe), self.image_set.fingerprint, weights, _versions(), _code_sha256()]
        return hashlib.sha256(json.dumps(choices, sort_keys=True).encode()).hexdigest()[:KEY_LENGTH]

    def _shipped_weights(self) -> Path | None:
        """Return the recipe's shipped weights; they were trained on its own data and stand for no other."""
        file = PRECOMPUTED / "weights" / f"{self.recipe.name}.safetensors"
        return file if self.source == self.recipe.source and file.exists() else None

    def clear(self) -> None:
        """Remove what this build and earlier ones that were given up have kept."""
        name = self.folder.name.rpartition("-")[0]
        for left in self.folder.parent.glob(f"{name}-{KEY_LENGTH * '[0-9a-f]'}"):
            shutil.rmtree(left)
        with contextlib.suppress(OSError):  # another bundle's build is under way
            self.folder.parent.rmdir()

    def part(self, start: float, end: float) -> Progress:
        """Return the progress callback of a stage that spans a part of the build."""
        return lambda fraction, message: self.progress(start + fraction * (end - start), message)

    def classifier(self) -> Classifier:
        """Return the recipe's shipped classifier, or train it."""
        architecture = architecture_of(self.recipe, self.image_set)
        kept = self.folder / WEIGHTS_FILE
        file = self._shipped_weights() or kept
        if file.exists():
            return load_weights(architecture, file)
        classifier = train_classifier(self.recipe, self.image_set, self.splits.train, self.part(0.0, 0.1))
        kept.parent.mkdir(parents=True, exist_ok=True)
        save_weights(classifier, kept)
        return classifier

    def attacked(self, classifier: Classifier) -> dict[tuple[str, str], AttackedImages]:
        """Attack the first correctly classified images of the fit and test splits, by (split, attack)."""
        plans = self.recipe.attacks
        keys = [(split, plan.name) for split in ("fit", "test") for plan in plans]
        correct = {split: self._correct(classifier, split) for split in ("fit", "test")}
        wanted = [(plan, correct[split][: getattr(plan, split)]) for split in ("fit", "test") for plan in plans]
        folder = self.folder / "attacks"
        found = attack_splits(classifier, self.image_set, wanted, self.recipe.seed, folder, self.part(0.1, 0.8))
        return dict(zip(keys, found, strict=True))

    def _correct(self, classifier: Classifier, split: str) -> npt.NDArray[np.int64]:
        ids = getattr(self.splits, split)
        correct = classifier.predict(self.image_set.images(ids)) == self.image_set.labels[ids]
        return np.asarray(ids[correct], dtype=np.int64)


@dataclass(frozen=True)
class _Fitted:
    reference: Reference
    detectors: dict[str, Selected]
    running: TrajectoryDetector
    versions: list[Versions]
    chart: DensityChart
    density_arrays: dict[str, npt.NDArray[np.float64]]


def _fit(work: _WorkInProgress, classifier: Classifier, attacked: dict[tuple[str, str], AttackedImages]) -> _Fitted:
    image_set, splits, recipe = work.image_set, work.splits, work.recipe
    work.progress(0.8, "Tracing the training images")
    trace = classifier.trace(image_set.images(splits.train))
    held_out = classifier.trace(image_set.images(splits.fit)), image_set.labels[splits.fit]
    classes = len(image_set.class_names)
    reference = fit_reference(splits.train, image_set.labels[splits.train], trace, held_out, classes, recipe.seed)
    work.progress(0.82, "Collecting evidence")
    collect = Collector(classifier, reference, image_set)
    versions = [collect.natural(split, getattr(splits, split)) for split in ("fit", "calibration", "test")]
    versions += [collect.attacked(split, images) for (split, _), images in attacked.items()]
    evidence, labels = _examples([v for v in versions if v.split == "fit"], reference)
    detectors = select_detectors(evidence, labels, recipe.macro_attacks, work.part(0.85, 0.95))
    chosen = detectors[TrajectoryDetector.name].detector
    assert isinstance(chosen, TrajectoryDetector)
    running = fit_running_suspicion(evidence, labels, chosen)
    natural = [v.evidence.take(v.success) for v in versions[:2]]  # neither split has shaped the mixtures themselves
    log_density = np.concatenate([part.log_density for part in natural])
    predictions = np.concatenate([part.predictions for part in natural])
    chart, arrays = density_chart(trace.hidden, reference.labels, log_density, predictions)
    return _Fitted(reference, detectors, running, versions, chart, arrays)


def _examples(versions: list[Versions], reference: Reference) -> tuple[Evidence, Labels]:
    """Join what detectors are fitted on: correctly classified natural images and successful attacks on them."""
    kept = [(v, np.flatnonzero(v.success)) for v in versions]
    trace = Trace.concatenate([v.evidence.trace.take(rows) for v, rows in kept])
    entropy = np.concatenate([v.evidence.mean_entropy[rows] for v, rows in kept])
    labels = Labels(
        np.concatenate([np.full(len(rows), bool(v.attack)) for v, rows in kept]),
        np.concatenate([np.full(len(rows), v.attack, dtype="<U32") for v, rows in kept]),
        np.concatenate([v.ids[rows] for v, rows in kept]),
    )
    return Evidence(reference, trace, entropy), labels


def _fill(empty: Path, work: _WorkInProgress, classifier: Classifier, fitted: _Fitted) -> Manifest:
    detectors = {name: selected.detector for name, selected in fitted.detectors.items()}
    work.progress(0.95, "Scoring")
    scores = score_table(fitted.versions, detectors)
    calibration = fitted.versions[1]
    natural = calibration.evidence.take(calibration.success)
    save_weights(classifier, empty / WEIGHTS_FILE)
    store.save_arrays(empty / SPLITS_FILE, work.splits.to_arrays())
    store.save_arrays(empty / REFERENCE_FILE, reference_arrays(fitted.reference))
    store.save_arrays(empty / DENSITY_MAP_FILE, fitted.density_arrays)
    store.save_arrays(empty / CALIBRATION_FILE, {name: d.score(natural) for name, d in detectors.items()})
    running = fitted.running.running_scores(natural)
    assert running is not None
    store.save_arrays(empty / RUNNING_FILE, {"scores": running})
    store.save_table(empty / SCORES_FILE, scores)
    maps = layer_maps(fitted.reference.trace, work.recipe.seed, work.part(0.96, 0.99))
    store.save_arrays(empty / MAPS_FILE, maps)
    (empty / DETECTORS_FOLDER).mkdir()
    for name, detector in {**detectors, RUNNING_SUSPICION: fitted.running}.items():
        store.save_arrays(empty / detector_file(name), detector.arrays())
    return _manifest(work, classifier, fitted)


def _manifest(work: _WorkInProgress, classifier: Classifier, fitted: _Fitted) -> Manifest:
    recipe, image_set = work.recipe, work.image_set
    shape = tuple(int(side) for side in image_set.pixels.shape[1:])
    return Manifest(
        name=recipe.name,
        title=recipe.title,
        seed=recipe.seed,
        data=DataReference(work.source, image_set.fingerprint, len(image_set), image_set.class_names, shape),  # type: ignore[arg-type]
        layers=classifier.layers,
        architecture=asdict(classifier.architecture),
        accuracies=accuracies(classifier, image_set, work.splits),
        attacks=tuple(_attack_entry(plan.name, dict(plan.parameters), fitted.versions) for plan in recipe.attacks),
        detectors={
            key: {"parameters": dict(chosen.detector.settings), "selected_by": chosen.selected_by}
            for key, chosen in fitted.detectors.items()
        },
        versions=_versions(),
        notes=_notes(recipe, fitted),
    )


def _attack_entry(name: str, parameters: dict[str, object], versions: list[Versions]) -> dict[str, object]:
    from core.attacks.registry import get_attack
    from core.parameters import validate_parameters

    spec = get_attack(name)
    counts = {
        v.split: {"images": len(v.ids), "success_rate": float(v.success.mean())} for v in versions if v.attack == name
    }
    return {"name": name, "parameters": validate_parameters(spec.parameters, parameters, name), **counts}


def _notes(recipe: Recipe, fitted: _Fitted) -> dict[str, object]:
    test = next(v for v in fitted.versions if v.split == "test" and v.attack == "")
    natural = test.evidence.take(test.success)
    head, mixtures = fitted.reference.head, fitted.reference.densities.settings
    agree = head.probabilities(test.evidence.trace.hidden).argmax(1) == test.evidence.predictions
    pairs = zip(fitted.chart.keep_rates, fitted.chart.thresholds, strict=True)
    rates = {f"{keep:g}": keep_rate(natural.log_density, natural.predictions, row) for keep, row in pairs}
    return {
        "macro_attacks": list(recipe.macro_attacks),
        "keep_rates": rates,
        "head": {"damping": head.damping, "agreement": float(agree.mean())},
        "mixtures": asdict(mixtures),
        "calibration_images": int((fitted.versions[1].kinds == NATURAL).sum()),
        RUNNING_SUSPICION: dict(fitted.running.settings),
    }


def _versions() -> dict[str, str]:
    return {"python": platform.python_version(), **{name: version(name) for name in LIBRARIES}}


def _code_sha256() -> str:
    """SHA-256 of Telltale's own code."""
    root = Path(__file__).resolve().parents[1]
    digest = hashlib.sha256()
    for file in sorted(root.rglob("*.py")):
        digest.update(file.relative_to(root).as_posix().encode() + file.read_bytes())
    return digest.hexdigest()
