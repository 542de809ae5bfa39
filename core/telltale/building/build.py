"""Building a bundle from a recipe: train, attack, trace, fit, calibrate, write whole or not at all."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from telltale.base.files import file_sha256
from telltale.base.origin import code_sha256, library_versions
from telltale.base.places import PRECOMPUTED, writable
from telltale.base.processes import Processes, Work, use_one_thread
from telltale.base.progress import Progress, part
from telltale.building.attacking import attack_splits, chosen_ids
from telltale.building.collecting import Collector
from telltale.building.fitting import Examples, choose_detectors, readable
from telltale.building.inspecting.minutes import check_minutes
from telltale.building.maps import LayerMaps
from telltale.building.observing import Batch, observe
from telltale.building.own_images import ClassChoice, read_own_images
from telltale.building.planning import KEY_LENGTH, plan_around
from telltale.building.referencing import fit_reference
from telltale.building.scoring import score_versions
from telltale.building.versions import Versions, check_read
from telltale.building.writing import Built, Fitted, write_files
from telltale.bundle import store
from telltale.bundle.bundle import REFERENCE_FILE, SPLITS_FILE, WEIGHTS_FILE
from telltale.bundle.fitted import MISSING_FILE, FittedFiles, ReferenceFiles, in_half_precision, save_reference
from telltale.bundle.manifest import check_name
from telltale.bundle.own_data import HELD_OUT_LEARNED
from telltale.bundle.under_way import finish, told_beside
from telltale.data.duplicates import warn_of_shared
from telltale.data.image_set import ImageSet
from telltale.data.rows import Rows
from telltale.data.sources import load_image_set
from telltale.data.splits import Splits, SplitSizes
from telltale.detectors.registry import get_detector
from telltale.evidence.prepared import Prepared
from telltale.evidence.reference import Reference
from telltale.kinds.registry import lacking
from telltale.models.classifier import Classifier
from telltale.models.factories import check_known_elsewhere
from telltale.models.fine_tuned import learned_by
from telltale.models.trace import Trace
from telltale.models.training import recipe_spec, shipped_weights, train_weights
from telltale.models.weights import load_weights, save_weights, trained_on
from telltale.recipes import BundlePlan, Recipe, get_recipe

COMPACT_REFERENCES = 10_000

# Shares of a build, between what its parts took around a small network of somebody's own and around a large one: the
# time left is told from them.
TRAINED, READING, MEASURING = (0.0, 0.08), (0.0, 0.06), (0.06, 0.08)
NATURAL, TRAINING, FIRST_PAGES = (0.08, 0.17), (0.17, 0.24), (0.26, 0.44)
SHIFTED, ATTACKS, ATTACKED, EVERYTHING = (0.44, 0.47), (0.47, 0.7), (0.7, 0.82), (0.82, 0.99)

Opened: TypeAlias = Callable[[Path], None]


def unopened(_folder: Path) -> None:
    """Be told that a bundle can be opened, and tell nobody."""


def build(
    name: str,
    *,
    data: str | None = None,
    out: Path | None = None,
    compact: bool = False,
    work: Path | None = None,
    progress: Progress,
) -> Path:
    """Build a recipe's bundle.

    A build that was killed goes on where it stood; the folder appears only when everything is in it.

    Parameters
    ----------
    name : str
        Recipe.
    data : str, optional
        Data set instead of the recipe's own.
    out : Path, optional
        Bundle folder, named as the recipe. Left out: ``precomputed/NAME`` of the checkout, or of the person's folder
        for data.
    compact : bool
        Take at most `COMPACT_REFERENCES` training images as references and store them in half precision.
    work : Path, optional
        Where finished stages are kept, and stay; a folder beside `out` that is removed at the end where left out.
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
    folder = out or writable(PRECOMPUTED / name)
    return build_recipe(recipe, data or recipe.source, folder, progress, compact, work)


def build_recipe(
    recipe: Recipe, source: str, folder: Path, progress: Progress, compact: bool = False, work: Path | None = None
) -> Path:
    """Build a recipe into a folder; see `build`."""
    use_one_thread()
    store.check_folder(folder, recipe.name)
    image_set, kept = _read(source, progress), work or folder.parent / ".build"
    splits = Splits.draw_within(image_set.labels, recipe.sizes, recipe.seed, *image_set.own_held_out)
    weights = _trained(recipe, image_set, splits, kept, folder.name, part(progress, *TRAINED))
    classifier = load_weights(recipe_spec(recipe, image_set), weights)
    return _build(_Materials(recipe, source, image_set, splits, classifier, weights), folder, progress, compact, work)


def build_around(
    classifier: Classifier,
    plan: BundlePlan,
    folder: Path,
    progress: Progress,
    work: Path | None = None,
    choice: ClassChoice | None = None,
    minutes: float | None = None,
    opened: Opened = unopened,
) -> Path:
    """Build a bundle around a classifier that is there already.

    Parameters
    ----------
    classifier : Classifier
        Made by a registered factory, so that other processes can make it again.
    plan : BundlePlan
        Of few images without a test split of their own, held-out splits take no more than `OWN_SHARES`.
    folder : Path
        Of the bundle, named as the plan.
    progress : callable
        Told the fraction done and what is being done.
    work : Path, optional
        Where finished stages are kept, and stay.
    choice : ClassChoice, optional
        How the data's classes are found among the outputs, beside their names.
    minutes : float, optional
        Cut to what fits into them; see `telltale.building.planning.plan_around`.
    opened : callable
        Told the bundle's folder when it can be opened although more is to come: everything that needs no attack.

    Returns
    -------
    Path
        `folder`.

    Raises
    ------
    InputError
        If no process can make the classifier again, it takes other images or has other classes than the data set, or
        the minutes are too few.
    """
    use_one_thread()
    check_name(folder.name)
    store.check_folder(folder, plan.name)
    if minutes is not None:
        check_minutes(minutes)
    for name in plan.detectors:
        get_detector(name)
    spec = classifier.spec
    check_known_elsewhere(spec.factory, spec.code)
    kept = work or folder.parent / ".build"
    begun = time.perf_counter()
    own = read_own_images(classifier, plan.source, choice or ClassChoice(), part(progress, *READING))
    reading, measuring = time.perf_counter() - begun, part(progress, *MEASURING)
    planned = plan_around(classifier, plan, own.image_set, minutes, kept, folder.name, measuring, reading)
    file = kept / f"{folder.name}-weights-{str(spec.sha256)[:KEY_LENGTH]}" / WEIGHTS_FILE
    if not file.exists():
        save_weights(classifier, file)
    again, notes = load_weights(spec, file), own.notes | planned.notes
    learned = learned_by(classifier.network)
    spared = learned is not None and learned.fingerprint == own.image_set.fingerprint  # what a build holds out
    if plan.trained_on and not own.image_set.own_validation and not spared:
        notes[HELD_OUT_LEARNED] = True
    materials = _Materials(planned.plan, plan.source, own.image_set, planned.splits, again, file, notes)
    return _build(materials, folder, progress, False, work, opened)


@dataclass(frozen=True)
class _Materials:
    """What a build starts from; worker processes read the weights from their file."""

    plan: BundlePlan
    source: str
    image_set: ImageSet
    splits: Splits
    classifier: Classifier
    weights: Path
    notes: Mapping[str, object] = field(default_factory=dict)


def _read(source: str, progress: Progress) -> ImageSet:
    progress(0.0, f"Reading {source}")
    return load_image_set(source)


def _trained(recipe: Recipe, image_set: ImageSet, splits: Splits, kept: Path, name: str, progress: Progress) -> Path:
    """Return the weights of the recipe's shipped classifier, or of one that is trained now.

    Shipped weights stand for no other data than those they were trained on.
    """
    key = hashlib.sha256(json.dumps([asdict(recipe), image_set.fingerprint]).encode()).hexdigest()
    file = shipped_weights(recipe.name)
    if trained_on(file) != image_set.fingerprint:
        file = kept / f"{name}-weights-{key[:KEY_LENGTH]}" / WEIGHTS_FILE
    if not file.exists():
        train_weights(recipe, image_set, splits.train, file, progress)
    return file


def _build(
    materials: _Materials,
    folder: Path,
    progress: Progress,
    compact: bool,
    work: Path | None,
    opened: Opened = unopened,
) -> Path:
    told = told_beside(folder, progress)
    warn_of_shared(materials.image_set, materials.splits)
    with Processes() as processes:
        stages = _Stages(materials, folder, compact, work, processes, told)
        for built in stages.run():
            store.write_bundle(folder, partial(write_files, built=built))
            if built.unfinished:
                opened(folder)
    if work is None:
        stages.clear()
    finish(folder)
    progress(1.0, "Done")
    return folder


class _Stages:
    """The stages of one build, each of which keeps what it has finished."""

    def __init__(
        self,
        materials: _Materials,
        target: Path,
        compact: bool,
        work: Path | None,
        processes: Processes,
        progress: Progress,
    ) -> None:
        self.plan = plan = materials.plan
        self.source, self.image_set, self.splits = materials.source, materials.image_set, materials.splits
        self.notes = materials.notes
        self.classifier, self.weights = materials.classifier, materials.weights
        self.compact = compact
        self.processes = processes
        self.progress = progress
        self.name = target.name
        self.kept = work or target.parent / ".build"
        # Other choices, data, weights or code must never pick up what these left behind.
        drawn = [ids.tolist() for ids in self.splits.to_arrays().values()]
        seen = [self.image_set.fingerprint, file_sha256(self.weights), library_versions(), plan.seed, drawn]
        self.attacks_folder = self._keep("attacks", seen, code_sha256("attacks", "models"))
        self.observed_folder = self._keep(
            "observed", seen, asdict(plan), code_sha256("attacks", "models", "evidence", "kinds")
        )
        self.fitted_folder = self._keep("fitted", seen, asdict(plan), compact, code_sha256())

    def _keep(self, stage: str, *choices: object) -> Path:
        key = hashlib.sha256(json.dumps(choices, sort_keys=True).encode()).hexdigest()[:KEY_LENGTH]
        return self.kept / f"{self.name}-{stage}-{key}"

    def clear(self) -> None:
        """Remove what this build and earlier ones that were given up have kept."""
        for left in self.kept.glob(f"{self.name}-*-{KEY_LENGTH * '[0-9a-f]'}"):
            shutil.rmtree(left)
        with contextlib.suppress(OSError):  # another bundle's build is under way
            self.kept.rmdir()

    def run(self) -> Iterator[Built]:
        """Run every stage, or read what it has left, and yield what a bundle can be written from.

        That is once, or twice around a classifier of somebody's own: what needs no attack comes first, so that pages
        open while images are being attacked.
        """
        natural = self._observe_natural()
        train_accuracy = self._fit_reference(natural[0])
        seen = partial(self._built, natural=natural, train_accuracy=train_accuracy)
        if self.plan.own and self.plan.attacks:
            yield seen(self._first_folder(), shifted=None, attacked=[], progress=self._part(*FIRST_PAGES))
        shifted = self._observe_shifted(natural[0])
        attacked = self._attack(natural)
        yield seen(self.model_folder, shifted=shifted, attacked=attacked, progress=self._part(*EVERYTHING))

    def _built(
        self,
        folder: Path,
        *,
        natural: list[Versions],
        shifted: Versions | None,
        attacked: list[Versions],
        train_accuracy: float,
        progress: Progress,
    ) -> Built:
        """Fit and score everything that these versions allow, in a folder that holds the reference set."""
        files = ReferenceFiles.filled(folder, self.classifier.layers, len(self.image_set.class_names))
        maps = LayerMaps(files, self.plan.seed, self.fitted_folder / "maps")
        examples = Examples.of([versions for versions in (*natural, *attacked) if versions.split == "fit"], shifted)
        fitted = self._fit(files, examples, part(progress, 0.0, 0.4), beside=maps.work(part(progress, 0.4, 0.65)))
        versions = [*natural, *attacked]
        self.processes.renew()  # the compiler behind the maps takes a quarter of a gigabyte in each of them
        scores = score_versions(versions, fitted.files, folder / "scores", self.processes, part(progress, 0.65, 1.0))
        progress(1.0, "Writing")
        return Built(
            plan=self.plan,
            source=self.source,
            image_set=self.image_set,
            classifier=self.classifier,
            weights=self.weights,
            train_accuracy=train_accuracy,
            training_images=len(self.splits.train),
            fitted=fitted,
            reference=files.read(),
            natural=(natural[0], natural[1], natural[2]),
            attacked=tuple(attacked),
            scores=scores,
            maps=maps.read(),
            notes=self.notes,
        )

    def _part(self, start: float, end: float) -> Progress:
        return part(self.progress, start, end)

    def _observe_natural(self) -> list[Versions]:
        """Return the natural images of all splits."""
        splits = [(name, getattr(self.splits, name)) for name in ("fit", "calibration", "test")]
        natural = self._collector.natural(splits, self._part(*NATURAL))
        check_read(natural)
        return natural

    def _observe_shifted(self, fit: Versions) -> Versions:
        """Return the images of *fit* that are read correctly, shifted: what settings are chosen on beside attacks."""
        return self._collector.shifted(fit.ids[fit.success], self.plan.seed, self._part(*SHIFTED))

    def _attack(self, natural: list[Versions]) -> list[Versions]:
        """Attack correctly read images of *fit* and *test*, and observe what comes out."""
        plans, correct = self.plan.attacks, {versions.split: versions.ids[versions.success] for versions in natural}
        wanted = [
            (
                plan,
                chosen_ids(self.image_set.labels, correct[split], getattr(plan, split), self.plan.seed, self.plan.own),
            )
            for split in ("fit", "test")
            for plan in plans
        ]
        found = attack_splits(
            self.classifier,
            self.weights,
            self.image_set,
            wanted,
            self.plan.seed,
            self.attacks_folder,
            self.processes,
            self._part(*ATTACKS),
        )
        groups = [(split, images) for split, images in zip(_repeat(("fit", "test"), len(plans)), found, strict=True)]
        return self._collector.attacked(groups, self._part(*ATTACKED))

    @property
    def _collector(self) -> Collector:
        return Collector(self.classifier, self.weights, self.image_set, self.observed_folder, self.processes)

    @property
    def model_folder(self) -> Path:
        """Where the reference set lies, with the detectors that are fitted to attacks too."""
        return self.fitted_folder / "model"

    def _first_folder(self) -> Path:
        """Return a folder with the same reference set, for detectors that are fitted without attacks."""
        folder = self.fitted_folder / "first"
        for file in (*Prepared.found_in(self.model_folder).names, SPLITS_FILE, MISSING_FILE, REFERENCE_FILE):
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            (folder / file).unlink(missing_ok=True)
            os.link(self.model_folder / file, folder / file)
        return folder

    def _trace_training_images(self) -> Trace:
        batch = Batch("train", Rows(self.image_set.pixels, self.splits.train), readings=False)
        (seen,) = observe(
            self.classifier, self.weights, [batch], self.observed_folder, self.processes, self._part(*TRAINING)
        )
        return seen.trace

    def _fit_reference(self, held_out: Versions) -> float:
        """Write the reference set where an earlier build has not, and return the accuracy on the training images.

        Nothing of it stays in memory: the workers need the room.
        """
        trace, folder = self._trace_training_images(), self.model_folder
        if not (folder / REFERENCE_FILE).exists():
            reference = self._reference(trace, held_out)
            save_reference(folder, replace(self.splits, train=reference.ids), reference, half=self.compact)
        return float((trace.predictions == self.image_set.labels[self.splits.train]).mean())

    def _fit(self, files: ReferenceFiles, examples: Examples, progress: Progress, beside: Work[Any]) -> Fitted:
        """Fit the detectors, or read what an earlier build has fitted."""
        watched = self.plan.macro_attacks
        chosen = choose_detectors(files, examples, watched, self.processes, progress, beside, self.plan.detectors)
        known = readable(files, self.plan.detectors, bool(examples.labels.adversarial.any()))
        fitted = FittedFiles.of(files, {name: chosen[name]["parameters"] for name in known})
        return Fitted(fitted, chosen)

    def _reference(self, trace: Trace, held_out: Versions) -> Reference:
        self.progress(TRAINING[1], "Fitting the reference set")
        labels = self.image_set.labels
        rows = _sample(labels[self.splits.train], COMPACT_REFERENCES, self.plan.seed) if self.compact else slice(None)
        seen = in_half_precision(trace.take(rows)) if self.compact else trace
        ids = self.splits.train[rows]
        natural, classes = (held_out.trace, held_out.labels), len(self.image_set.class_names)
        folder = self.fitted_folder / "candidates"
        return fit_reference(
            ids,
            labels[ids],
            seen,
            natural,
            classes,
            self.plan.seed,
            folder,
            self.processes,
            self.classifier.head_problem,
            lacking(self.classifier.spec),
            self.plan.trained_on,
        )


def _repeat(splits: tuple[str, ...], times: int) -> list[str]:
    return [split for split in splits for _ in range(times)]


def _sample(labels: npt.NDArray[np.int64], count: int, seed: int) -> npt.NDArray[np.int64]:
    """Rows of at most `count` images with every class in its share, ascending."""
    if len(labels) <= count:
        return np.arange(len(labels))
    return Splits.draw(labels, SplitSizes(0, 0, count), seed).test
