"""What a table is computed with: a bundle's network, its images, attacks that are run once and kept."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from telltale.analysis.opened import LoadedBundle, open_bundle
from telltale.base.errors import InputError
from telltale.base.origin import code_sha256
from telltale.base.places import cache_folder
from telltale.base.processes import Processes, use_one_thread
from telltale.base.progress import Progress
from telltale.building.attacking import AttackedImages, attack_splits
from telltale.building.collecting import Collector
from telltale.building.versions import Versions
from telltale.bundle.bundle import WEIGHTS_FILE
from telltale.bundle.fitted import FittedFiles, ReferenceFiles
from telltale.bundle.own_data import as_noted, noted_sizing
from telltale.data.image_set import ImageSet
from telltale.data.sources import load_image_set
from telltale.models.classifier import Classifier
from telltale.recipes import AttackPlan
from telltale.scores.table import ATTACK, IMAGE_ID, PREDICTION, SPLIT
from telltale.studies.tables.protocol import Scores
from telltale.studies.tables.table import Cell, PaperTable, check_complete
from telltale.studies.tables.trials import Trial, run_trials

KEY_LENGTH = 16


@dataclass(frozen=True)
class Lab:
    """Where a table's figures come from.

    Attributes
    ----------
    recipe : str
        Bundle whose network, splits and reference set are used.
    data : str or None
        Where its images are; found by their fingerprint where left out.
    images : int or None
        Largest number of images per split and attack; the tables' own numbers where left out.
    processes : Processes
    progress : callable
        Told the fraction done and what is being done.
    """

    recipe: str
    data: str | None
    images: int | None
    processes: Processes
    progress: Progress

    @cached_property
    def loaded(self) -> LoadedBundle:
        """The bundle with its model."""
        return open_bundle(self.recipe)

    @cached_property
    def image_set(self) -> ImageSet:
        """The images that the bundle was built on.

        Raises
        ------
        InputError
            If they are not on this machine, or `data` names others.
        """
        bundle = self.loaded.bundle
        if self.data is None:
            return bundle.require_images()
        found = load_image_set(self.data, sizing=noted_sizing(bundle.notes))
        if found.fingerprint != bundle.manifest.data.fingerprint:
            raise InputError(f"'{self.data}' does not hold the images that bundle '{self.recipe}' was built on.")
        return as_noted(found, bundle.notes, bundle.class_names)

    @property
    def classifier(self) -> Classifier:
        """The network that is attacked and traced."""
        return self.loaded.classifier

    @property
    def network(self) -> str:
        """What sets this network apart from all others."""
        return self.loaded.bundle.id

    @cached_property
    def folder(self) -> Path:
        """Where finished work is kept; other networks or other code never meet what these left."""
        seen = [self.network, self.image_set.fingerprint, code_sha256("attacks", "models", "evidence")]
        key = hashlib.sha256(json.dumps(seen).encode()).hexdigest()[:KEY_LENGTH]
        return cache_folder() / "reproduce" / f"{self.recipe}-{key}"

    @property
    def reference(self) -> ReferenceFiles:
        """Where worker processes find the reference set."""
        bundle = self.loaded.bundle
        return ReferenceFiles(bundle.folder, bundle.layers, len(bundle.class_names))

    def capped(self, count: int) -> int:
        """Return the number of images to use where a table asks for `count`."""
        return count if self.images is None else min(count, self.images)

    def natural(self, split: str, count: int, readings: bool = True) -> Versions:
        """Return natural images of a split, the first `count` of it, right and wrong.

        Without `readings` only the trace is taken, which is ten times faster; so for the other two.
        """
        return self._natural(
            "natural", split, getattr(self.loaded.bundle.splits, split)[: self.capped(count)], readings
        )

    def errors(self, split: str, count: int, readings: bool = True) -> Versions:
        """Return the first natural images of a split that the classifier gets wrong by itself."""
        ids = getattr(self.loaded.bundle.splits, split)
        wrong = ids[self._natural_predictions(split) != self.image_set.labels[ids]]
        return self._natural("errors", split, wrong[: self.capped(count)], readings)

    def attacked(
        self, split: str, plans: Sequence[AttackPlan], counts: Sequence[int], readings: bool = True
    ) -> list[Versions]:
        """Attack the first correctly classified images of a split, so many with each plan; failures are included."""
        versions = []
        for plan, images in zip(plans, self.attacked_images(split, plans, counts), strict=True):
            collect = self._collector(f"{plan_label(plan)}-{len(images.ids)}", readings)
            versions += collect.attacked([(split, images)], self.progress, readings)
        return versions

    def correct_ids(self, split: str) -> npt.NDArray[np.int64]:
        """Return the images of a split that the classifier reads correctly, in order: those that are attacked."""
        ids = getattr(self.loaded.bundle.splits, split)
        return np.asarray(ids[self._natural_predictions(split) == self.image_set.labels[ids]])

    def attacked_images(self, split: str, plans: Sequence[AttackPlan], counts: Sequence[int]) -> list[AttackedImages]:
        """Attack as `attacked` does, and return the pixels, for another network to look at."""
        correct = self.correct_ids(split)
        wanted = [(plan, correct[: self.capped(count)]) for plan, count in zip(plans, counts, strict=True)]
        return attack_splits(
            self.classifier,
            self.weights,
            self.image_set,
            wanted,
            self.loaded.bundle.manifest.seed,
            self.folder / "attacks",
            self.processes,
            self.progress,
            self._fitted,
        )

    def scored(self, trials: Sequence[Trial]) -> list[list[Mapping[str, Scores]]]:
        """Return the scores by detector of every test of every trial, one trial per worker process."""
        return run_trials(trials, self.reference, self.folder / "trials", self.processes, self.progress)

    @property
    def _fitted(self) -> FittedFiles | None:
        """The bundle's detectors, for attacks that aim at them."""
        settings = {name: detector.settings.values() for name, detector in self.loaded.detectors.items()}
        return FittedFiles.of(self.reference, settings)

    @property
    def weights(self) -> Path:
        """File of the network's weights, which worker processes read."""
        return self.loaded.bundle.path(WEIGHTS_FILE)

    def _natural(self, name: str, split: str, ids: npt.NDArray[np.int64], readings: bool) -> Versions:
        collect = self._collector(f"{name}-{len(ids)}", readings)
        (found,) = collect.natural([(split, ids)], self.progress, readings)
        return found

    def _collector(self, name: str, readings: bool) -> Collector:
        folder = self.folder / "observed" / (name if readings else f"{name}-traces")
        return Collector(self.classifier, self.weights, self.image_set, folder, self.processes)

    def _natural_predictions(self, split: str) -> npt.NDArray[np.int64]:
        """Predictions for a whole split as the bundle stores them."""
        scores = self.loaded.bundle.scores
        natural = [
            (row[IMAGE_ID], row[PREDICTION])
            for row in scores.select([IMAGE_ID, PREDICTION, SPLIT, ATTACK]).to_pylist()
            if row[SPLIT] == split and row[ATTACK] == ""
        ]
        known = dict(natural)
        return np.array([known[int(i)] for i in getattr(self.loaded.bundle.splits, split)], dtype=np.int64)


def compute(table: PaperTable, data: str | None, images: int | None, progress: Progress) -> tuple[Cell, ...]:
    """Compute a table in worker processes; what an interrupted run has finished is not done again.

    Parameters
    ----------
    table : PaperTable
    data : str, optional
        Where its images are.
    images : int, optional
        Largest number of images per split and attack.
    progress : callable

    Raises
    ------
    InputError
        If the bundle or its images are not on this machine.
    """
    use_one_thread()
    with Processes() as processes:
        cells = tuple(table.compute(Lab(table.recipe, data, images, processes, progress)))
    check_complete(table, cells)
    return cells


def plan_label(plan: AttackPlan) -> str:
    """Name an attack with its parameters, for files."""
    chosen = json.dumps([plan.parameters, plan.random_target], sort_keys=True)
    return f"{plan.name}-{hashlib.sha256(chosen.encode()).hexdigest()[:8]}"
