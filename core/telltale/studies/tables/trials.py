"""Fitting detectors to some images and judging them by others: what the tables do attack by attack."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np

from telltale.base.files import load_arrays, save_arrays, whole
from telltale.base.origin import code_sha256
from telltale.base.processes import Processes, Work, kept
from telltale.base.progress import Progress, counted
from telltale.building.fitting import held_out_scores
from telltale.building.versions import Versions, labels_of
from telltale.bundle.fitted import ReferenceFiles
from telltale.detectors.base import Labels
from telltale.detectors.fusion import FUSED, Fusion
from telltale.detectors.registry import get_detector
from telltale.evidence.reference import Reference
from telltale.studies.tables.layers import last_layer_of_reference, last_layer_of_versions
from telltale.studies.tables.protocol import LabelledEvidence, Scores

Pair: TypeAlias = tuple[Versions, Versions]  # natural images and one attack on them
KEY_LENGTH = 16


@dataclass(frozen=True)
class Trial:
    """Detectors fitted on one attack, and the images they are judged by.

    Attributes
    ----------
    detectors : tuple of str
    fit : Pair
    tests : tuple of Pair
    last_layer : bool
        Whether the detectors read the penultimate layer only.
    fused : bool
        Whether the detectors' fusion is fitted too.
    """

    detectors: tuple[str, ...]
    fit: Pair
    tests: tuple[Pair, ...]
    last_layer: bool = False
    fused: bool = False

    def labels(self, test: int) -> Labels:
        """Return what the images of one test are, in the order of their scores."""
        return labels_of([versions.succeeded() for versions in self.tests[test]])

    def examples(self, reference: Reference) -> tuple[LabelledEvidence, list[LabelledEvidence]]:
        """Join the correctly classified natural images and successful attacks: to fit on, and of every test."""
        known = last_layer_of_reference(reference) if self.last_layer else reference
        fit, *tests = (
            LabelledEvidence.of(known, natural, [attacked]) for natural, attacked in map(self._seen, self._pairs)
        )
        return fit, tests

    def scores(self, reference: Reference) -> list[dict[str, Scores]]:
        """Choose the detectors' settings, fit them, and score every test's images by detector."""
        fit, tests = self.examples(reference)
        fitted = {name: fit.fitted(get_detector(name)) for name in self.detectors}
        found = [{name: detector.score(test.evidence) for name, detector in fitted.items()} for test in tests]
        if not self.fused:
            return found
        held_out = {name: held_out_scores(detector, fit.evidence, fit.labels) for name, detector in fitted.items()}
        no_errors = {name: np.empty(0) for name in fitted}
        fusion, _ = Fusion.fit(held_out, fit.labels, no_errors, fit.labels.known_attacks)
        return [scores | {FUSED: fusion.combine(scores).attack} for scores in found]

    @property
    def key(self) -> str:
        """Name of everything that the scores depend on but the reference set."""
        settings = json.dumps([self.detectors, self.last_layer, self.fused, code_sha256()])
        digest = hashlib.sha256(settings.encode())
        for versions in (part for pair in self._pairs for part in pair):
            arrays = (versions.ids, versions.labels, versions.success, *vars(versions.readings).values())
            for array in (*arrays, versions.trace.logits, *versions.trace.activations):
                digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()[:KEY_LENGTH]

    @property
    def _pairs(self) -> tuple[Pair, ...]:
        return (self.fit, *self.tests)

    def _seen(self, pair: Pair) -> Pair:
        natural, attacked = pair
        if not self.last_layer:
            return pair
        return last_layer_of_versions(natural), last_layer_of_versions(attacked)


@dataclass(frozen=True)
class _Job:
    trial: Trial
    reference: ReferenceFiles
    file: Path


def run_trials(
    trials: Sequence[Trial], reference: ReferenceFiles, folder: Path, processes: Processes, progress: Progress
) -> list[list[Mapping[str, Scores]]]:
    """Run trials side by side.

    Parameters
    ----------
    trials : sequence of Trial
    reference : ReferenceFiles
        Where the worker processes find the reference set.
    folder : Path
        Finished trials are kept here; a later call with the same folder does not repeat them.
    processes : Processes
    progress : callable

    Returns
    -------
    list of list of mappings
        Scores by detector, of every test of every trial.
    """
    folder.mkdir(parents=True, exist_ok=True)
    jobs = [_Job(trial, reference, folder / f"{trial.key}.safetensors") for trial in trials]
    missing = [job for job in jobs if not job.file.exists()]
    processes.run(Work(_run, missing, counted(progress, "Fitting detectors", len(missing))))
    return [_read(job) for job in jobs]


def _run(job: _Job) -> None:
    found = job.trial.scores(kept(job.reference, job.reference.read))
    arrays = {f"{test}.{name}": values for test, scores in enumerate(found) for name, values in scores.items()}
    with whole(job.file) as partial:
        save_arrays(partial, arrays)


def _read(job: _Job) -> list[Mapping[str, Scores]]:
    arrays, trial = load_arrays(job.file), job.trial
    names = (*trial.detectors, *([FUSED] if trial.fused else []))
    return [{name: arrays[f"{test}.{name}"] for name in names} for test in range(len(trial.tests))]
