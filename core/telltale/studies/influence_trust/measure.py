"""Retrain, attribute, and compare what was foretold with what came: job by job, resumable after a kill."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from telltale.base.files import load_arrays, save_arrays, whole
from telltale.base.origin import code_sha256
from telltale.base.processes import Processes, Work, kept
from telltale.base.progress import Progress, counted, part
from telltale.recipes import Recipe, get_recipe
from telltale.studies.influence_trust import methods
from telltale.studies.influence_trust.attributions import cosines, explain, last_layer_products, tracin
from telltale.studies.influence_trust.bench import Bench
from telltale.studies.influence_trust.datamodeling import (
    agreement,
    error_over_subsets,
    foretold,
    log_odds,
    rank_correlations,
)
from telltale.studies.influence_trust.plan import Plan
from telltale.studies.influence_trust.results import (
    CORRELATION,
    IMAGE_ID,
    METHOD,
    SCHEMA,
    Origin,
    Retraining,
    StoredTrust,
    save_trust,
)
from telltale.studies.influence_trust.trak import TrakTerms, trak

Arrays = dict[str, npt.NDArray[Any]]
CLASSES, KERNEL, DOUBTS, LOGITS = "classes", "kernel", "doubts", "logits"


def measure_influence_trust(
    name: str, plan: Plan, file: Path, progress: Progress, *, data: str | None = None
) -> StoredTrust:
    """Retrain small networks by plan, hold every method against their answers, and store the correlations.

    Parameters
    ----------
    name : str
        Recipe, whose kind of network is retrained smaller.
    plan : Plan
    file : Path
        Where the table is written. Finished parts lie beside it until it is; a later call does not repeat them.
    progress : callable
    data : str, optional
        Data set instead of the recipe's own.

    Raises
    ------
    InputError
        If the recipe is not known, its data set is not on this machine, or its images do not suit the plan.
    """
    recipe = get_recipe(name)
    source = data or recipe.source
    bench = Bench.of(recipe, source, plan)
    origin = Origin(recipe.name, bench.fingerprint, code_sha256(), len(bench.training), len(bench.test), asdict(plan))
    key = hashlib.sha256(json.dumps(asdict(origin), sort_keys=True).encode()).hexdigest()[:16]
    folder = file.with_name(f"{file.name}-{key}.partial")
    folder.mkdir(parents=True, exist_ok=True)
    given = _Given(recipe, source, plan, folder)
    networks = [_Job(given, number, folder / f"network-{number}.safetensors") for number in range(plan.networks)]
    subsets = [_Job(given, number, folder / f"subset-{number}.safetensors") for number in range(plan.subsets)]
    with Processes() as processes:
        _do(processes, _explain, networks[:1], part(progress, 0.0, 0.02), "Explaining")
        _do(processes, _explain, networks[1:], part(progress, 0.02, 0.2), "Explaining")
        _do(processes, _retrain, subsets, part(progress, 0.2, 0.98), "Retraining")
    explained, retrained = ([load_arrays(job.file) for job in jobs] for jobs in (networks, subsets))
    found = _compared(bench, origin, explained, np.stack([arrays[LOGITS] for arrays in retrained], axis=1))
    save_trust(file, found)
    shutil.rmtree(folder)
    return found


@dataclass(frozen=True)
class _Given:
    recipe: Recipe
    source: str
    plan: Plan
    folder: Path

    @property
    def first_file(self) -> Path:
        """Where the first network's results lie, which the others read."""
        return self.folder / "network-0.safetensors"

    def files_read(self) -> list[Path]:
        """Return what is read of the folder; a process on another machine is sent it."""
        return [self.first_file]

    def bench(self) -> Bench:
        """Return the bench, made once per process."""
        return kept(self.folder, lambda: Bench.of(self.recipe, self.source, self.plan))


@dataclass(frozen=True)
class _Job:
    given: _Given
    number: int
    file: Path


def _do(
    processes: Processes, do: Callable[[_Job], None], jobs: Sequence[_Job], progress: Progress, message: str
) -> None:
    missing = [job for job in jobs if not job.file.exists()]
    processes.run(Work(do, missing, counted(progress, message, len(missing))))


def _explain(job: _Job) -> None:
    """Train one network on all training images and attribute its answers; the first one's classes are everybody's."""
    bench = job.given.bench()
    checkpoints = bench.train_all(job.number)
    classifier = checkpoints[-1].classifier
    arrays: Arrays = {}
    if job.number == 0:
        training, test = bench.image_set.images(bench.training), bench.image_set.images(bench.test)
        classes = classifier.predict(test)
        sums = tracin(bench, checkpoints, classes)
        arrays = {
            CLASSES: classes,
            methods.GRADIENT: last_layer_products(classifier, (training, bench.labels), (test, classes)),
            methods.TRACIN: sums.last_layer,
            methods.TRACIN_ALL: sums.all_weights,
            methods.COSINE: cosines(classifier, training, test),
        }
    else:
        classes = load_arrays(job.given.first_file)[CLASSES]
    said = explain(bench, classifier, job.number, classes)
    arrays |= {methods.HEAD: said.head, KERNEL: said.trak.kernel, DOUBTS: said.trak.doubts}
    _save(job.file, arrays)


def _retrain(job: _Job) -> None:
    """Train the networks of one subset and keep their logits of the test images, shape (R, T, C)."""
    bench = job.given.bench()
    images = bench.image_set.images(bench.test)
    networks = (bench.retrain(job.number, repeat) for repeat in range(bench.plan.repeats))
    _save(job.file, {LOGITS: np.stack([network.logits_of(images) for network in networks])})


def _save(file: Path, arrays: Arrays) -> None:
    with whole(file) as partial:
        save_arrays(partial, arrays)


def attributed(explained: Sequence[Arrays], seed: int) -> dict[str, npt.NDArray[np.float64]]:
    """Return every method's attributions, shape (T, N), from what the networks on all training images have left."""
    first = explained[0]
    terms = [TrakTerms(arrays[KERNEL], arrays[DOUBTS]) for arrays in explained]
    single = (methods.HEAD, methods.GRADIENT, methods.TRACIN, methods.TRACIN_ALL, methods.COSINE)
    return {name: first[name] for name in single} | {
        methods.HEAD_MEAN: np.mean([arrays[methods.HEAD] for arrays in explained], axis=0),
        methods.TRAK: trak(terms),
        methods.TRAK_ONE: trak(terms[:1]),
        methods.RANDOM: np.random.default_rng(seed).standard_normal(first[methods.HEAD].shape),
    }


def _compared(
    bench: Bench, origin: Origin, explained: Sequence[Arrays], logits: npt.NDArray[np.float32]
) -> StoredTrust:
    """Correlate what every method foretells with the margins behind logits (R, S, T, C)."""
    classes, truth = explained[0][CLASSES], bench.image_set.labels[bench.test]
    margins = log_odds(logits, classes)
    outputs = margins.mean(0)
    rows: list[dict[str, object]] = []
    errors: dict[str, float] = {}
    for name, attributions in attributed(explained, bench.plan.seed).items():
        sums = foretold(attributions, bench.members)
        correlations = rank_correlations(sums, outputs)
        errors[name] = error_over_subsets(sums, outputs)
        rows += [
            {METHOD: name, IMAGE_ID: int(image), CORRELATION: float(value)}
            for image, value in zip(bench.test, correlations, strict=True)
        ]
    retraining = Retraining(
        accuracy=float((classes == truth).mean()),
        accuracy_of_halves=float((logits.argmax(-1) == truth).mean()),
        agreement=agreement(margins) if len(margins) > 1 else None,
        subset_errors=errors,
    )
    return StoredTrust(pa.Table.from_pylist(rows, schema=SCHEMA), origin, retraining)
