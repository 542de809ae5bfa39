"""Harden a twin and look at what that costs and what it buys, job by job, resumable after a kill."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from telltale.attacks.attack import attack_images
from telltale.base.files import load_table, save_table, whole
from telltale.base.images import FloatImages, round_to_8_bits
from telltale.base.origin import code_sha256
from telltale.base.processes import Processes, Work, kept
from telltale.base.progress import Progress, counted, part, silent
from telltale.data.shifts import SHIFTS
from telltale.models.classifier import arrays_sha256
from telltale.models.trace import Trace
from telltale.models.training import shipped_weights
from telltale.models.weights import save_weights
from telltale.recipes import get_recipe
from telltale.scores.calibration import Calibration
from telltale.scores.rejection import ADAPTIVE, NONE
from telltale.scores.table import numbers
from telltale.studies.robust_twin.bench import Bench, Materials
from telltale.studies.robust_twin.defences import Judge
from telltale.studies.robust_twin.hardening import Hardening
from telltale.studies.robust_twin.plan import ADAPTIVE_ATTACKS, LEVELS, TARGETED, ZERO_KNOWLEDGE, Plan
from telltale.studies.robust_twin.results import (
    CONDITION,
    DEFENCE,
    EPS,
    IMAGE_ID,
    KNOWLEDGE,
    NATURAL,
    P_VALUE,
    SCHEMA,
    SCORE,
    SECOND_WRONG,
    WRONG,
    Origin,
    StoredDefence,
    save_defence,
)

CHUNK = 50
BATCH = 256
TRAVEL = 2.5  # budgets that an attack's steps add up to, as Madry et al. (2018) have it
CALIBRATION = "calibration"
IntArray = npt.NDArray[np.int64]


def measure_robust_twin(
    name: str,
    plan: Plan,
    file: Path,
    progress: Progress,
    *,
    data: str | None = None,
    weights: Path | None = None,
) -> StoredDefence:
    """Harden the twin of a recipe's classifier, attack and judge by plan, and store every judgement.

    Parameters
    ----------
    name : str
        Recipe.
    plan : Plan
    file : Path
        Where the table is written. Finished parts lie beside it until it is; a later call does not repeat them.
    progress : callable
    data : str, optional
        Data set instead of the recipe's own.
    weights : Path, optional
        Of both networks; the recipe's own where left out.

    Raises
    ------
    InputError
        If the recipe is not known or trains no twin, or its data set is not on this machine.
    DamagedBundleError
        If the weights are not those of both networks.
    """
    recipe = get_recipe(name)
    given = Materials(recipe, data or recipe.source, weights or shipped_weights(name), file.parent, plan)
    bench = Bench(given)
    origin = _origin(bench)
    key = hashlib.sha256(json.dumps(asdict(origin), sort_keys=True).encode()).hexdigest()[:16]
    materials = replace(given, folder=file.with_name(f"{file.name}-{key}.partial"))
    materials.folder.mkdir(parents=True, exist_ok=True)
    hardenings = [HardeningJob(materials, eps, materials.hardened_file(eps)) for eps in plan.train_eps]
    jobs = list(_jobs(materials, bench))
    with Processes() as processes:
        _do(processes, _harden, hardenings, part(progress, 0.0, 0.3), "Hardening")
        _do(processes, _judge, jobs, part(progress, 0.3, 1.0), "Attacking and judging")
    found = StoredDefence(_with_p_values(pa.concat_tables([load_table(job.file) for job in jobs])), origin)
    save_defence(file, found)
    shutil.rmtree(materials.folder)
    return found


@dataclass(frozen=True)
class HardeningJob:
    """One twin to be hardened."""

    materials: Materials
    eps: int
    file: Path


@dataclass(frozen=True)
class JudgingJob:
    """Images of one condition within one budget, judged by some defences."""

    materials: Materials
    defences: tuple[str, ...]
    condition: str
    knowledge: str
    eps: int
    ids: IntArray
    file: Path


def _origin(bench: Bench) -> Origin:
    materials, chosen = bench.materials, asdict(bench.materials.plan)
    count = min(chosen.pop("training_images"), len(bench.splits.train))
    return Origin(
        recipe=materials.recipe.name,
        weights_sha256=arrays_sha256(bench.classifier.arrays()),
        data_fingerprint=bench.image_set.fingerprint,
        code_sha256=code_sha256(),
        training_images=count,
        train_eps=list(chosen.pop("train_eps")),
        eps=list(chosen.pop("eps")),
        **chosen,
    )


def _do(processes: Processes, do: Any, jobs: Sequence[Any], progress: Progress, message: str) -> None:
    missing = [job for job in jobs if not job.file.exists()]
    processes.run(Work(do, missing, counted(progress, message, len(missing))))


def _harden(job: HardeningJob) -> None:
    bench, plan = Bench(job.materials), job.materials.plan
    recipe = replace(bench.twin_recipe, epochs=plan.epochs, learning_rate=plan.learning_rate, batch_size=BATCH)
    ids, image_set = bench.splits.train[: plan.training_images], bench.image_set
    hardening = Hardening(bench.twin, recipe, image_set.pixels[ids], image_set.labels[ids], job.eps / LEVELS)
    save_weights(hardening.run(silent), job.file, data=image_set.fingerprint)


def _jobs(materials: Materials, bench: Bench) -> Iterator[JudgingJob]:
    """Yield what is to be judged, adaptive attacks first: they take longest."""
    plan, image_set = materials.plan, bench.image_set
    every = plan.defences
    natural = np.random.default_rng(plan.seed).permutation(bench.splits.test)[: plan.natural]
    right = bench.classifier.predict(image_set.images(natural)) == image_set.labels[natural]
    attacked = natural[right][: plan.images]
    groups: list[tuple[tuple[str, ...], str, str, int, IntArray]] = [
        ((defence,), attack, ADAPTIVE, eps, attacked)
        for attack in ADAPTIVE_ATTACKS
        for eps in plan.eps
        for defence in every
    ]
    groups += [(every, attack, NONE, eps, attacked) for attack in ZERO_KNOWLEDGE for eps in plan.eps]
    groups += [(every, shift.name, NATURAL, 0, natural) for shift in SHIFTS]
    groups.append((every, CALIBRATION, CALIBRATION, 0, bench.splits.calibration))
    for defences, condition, knowledge, eps, ids in groups:
        for number, rows in enumerate(np.split(ids, range(CHUNK, len(ids), CHUNK))):
            name = f"{condition}-{knowledge}-{eps}-{'+'.join(defences)}-{number}.parquet"
            yield JudgingJob(materials, defences, condition, knowledge, eps, rows, materials.folder / name)


def _judge(job: JudgingJob) -> None:
    bench = kept(job.materials.folder, lambda: Bench(job.materials))
    natural, labels = bench.image_set.images(job.ids), bench.image_set.labels[job.ids]
    images = _changed(job, bench.judge(job.defences[0]), natural, labels)
    trace = bench.classifier.trace(images)
    with whole(job.file) as partial:
        tables = [_rows(job, bench.judge(name), name, images, trace, labels) for name in job.defences]
        save_table(partial, pa.concat_tables(tables))


def _changed(job: JudgingJob, judge: Judge, natural: FloatImages, labels: IntArray) -> FloatImages:
    """Return natural images shifted or attacked, on the 8-bit grid."""
    shifts = {shift.name: shift.apply for shift in SHIFTS}
    if job.condition == CALIBRATION:
        return natural
    if job.condition in shifts:
        return round_to_8_bits(shifts[job.condition](natural))
    adaptive = ADAPTIVE_ATTACKS.get(job.condition)
    attack = job.condition if adaptive is None else "adaptive"
    eps, plan = job.eps / LEVELS, job.materials.plan
    values: dict[str, object] = {"eps": eps}
    if attack != "fgsm":
        values |= {"steps": plan.steps, "step": TRAVEL * eps / plan.steps}
    if adaptive is not None:
        values |= {**adaptive, "detector": judge.detector}
    return attack_images(
        judge.classifier,
        natural,
        attack,
        values,
        labels=labels,
        targets=judge.runner_up(natural, labels) if job.condition == TARGETED else None,
        seed=plan.seed,
        batch_size=CHUNK,
        defence=judge.defence,
    ).images


def _rows(job: JudgingJob, judge: Judge, name: str, images: FloatImages, trace: Trace, labels: IntArray) -> pa.Table:
    judged, count = judge.judge(images, trace), len(labels)
    columns = {
        DEFENCE: [name] * count,
        CONDITION: [job.condition] * count,
        KNOWLEDGE: [job.knowledge] * count,
        EPS: [job.eps] * count,
        IMAGE_ID: job.ids,
        WRONG: trace.predictions != labels,
        SECOND_WRONG: judged.second != labels,
        SCORE: judged.scores,
        P_VALUE: np.ones(count),
    }
    return pa.table(columns, schema=SCHEMA)


def _with_p_values(table: pa.Table) -> pa.Table:
    """Set the p-values among each defence's own calibration images read correctly, which are then left out."""
    names, knowledge = (np.array(table.column(name).to_pylist()) for name in (DEFENCE, KNOWLEDGE))
    wrong, scores = np.array(table.column(WRONG).to_pylist()), numbers(table, SCORE)
    p_values = np.ones(len(names))
    for name in dict.fromkeys(names):
        own = names == name
        calibration = Calibration.of(scores[own & (knowledge == CALIBRATION) & ~wrong])
        p_values[own] = [calibration.p_value(float(score)) for score in scores[own]]
    place = table.schema.get_field_index(P_VALUE)
    table = table.set_column(place, SCHEMA.field(P_VALUE), pa.array(p_values))
    return table.filter(pa.array(knowledge != CALIBRATION))
