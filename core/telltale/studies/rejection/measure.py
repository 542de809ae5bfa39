"""Attack test images at growing budgets and look at what comes out, chunk by chunk, resumable after a kill."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from telltale.analysis.opened import LoadedBundle, open_bundle
from telltale.attacks.attack import attack_images
from telltale.attacks.methods.adaptive import BOTH
from telltale.attacks.registry import get_attack
from telltale.base.errors import InputError
from telltale.base.files import load_table, save_table, whole
from telltale.base.images import round_to_8_bits
from telltale.base.origin import code_sha256
from telltale.base.processes import Processes, Work, kept
from telltale.base.progress import Progress, counted
from telltale.bundle.bundle import load_bundle
from telltale.detectors.fusion import FUSED
from telltale.scores.rejection import ADAPTIVE, NONE, SCHEMA, Knowledge
from telltale.scores.table import draw_test_ids
from telltale.studies.rejection.results import Origin, StoredRejection, save_rejection

CHUNK = 20
LEVELS = 255
ADAPTIVE_ATTACK, SEARCH = "adaptive", "adaptive_square"
FALLBACK = "idefender"
# Of an adaptive attacker: fewer show what an attack can do, not what it cannot.
THOROUGH = {"steps": 100, "restarts": 3, "aims": BOTH}


@dataclass(frozen=True)
class Plan:
    """What is attacked, with what.

    Attributes
    ----------
    budgets : sequence of int
        In the L∞ norm, in levels of 255; 0 leaves the images as they are.
    attacks : sequence of str
        Of attackers who do not know the detectors: registry names, each with an L∞ budget `eps`.
    images : int
        How many correctly read natural test images, drawn under the seed.
    detector : str, optional
        What adaptive attackers hide from; there is none where left out.
    settings : mapping
        Parameters of the adaptive attacks besides these, of each attack that has them.
    seed : int
    adaptive : sequence of str
        Of attackers who know the detectors: registry names, each with an L∞ budget `eps`.

    Raises
    ------
    InputError
        If a budget, an attack, a detector or the number of images is not accepted.
    """

    budgets: Sequence[int] = (0, 1, 2, 4, 8)
    attacks: Sequence[str] = ("fgsm", "pgd", "apgd_ce")
    images: int = 200
    detector: str | None = None
    settings: Mapping[str, object] = field(default_factory=dict)
    seed: int = 0
    adaptive: Sequence[str] = (ADAPTIVE_ATTACK,)

    def __post_init__(self) -> None:
        if not self.budgets or not all(0 <= eps <= LEVELS for eps in self.budgets):
            raise InputError(f"Budgets are whole numbers of levels in [0, {LEVELS}]; got {list(self.budgets)}.")
        if self.images < 1:
            raise InputError(f"At least one image must be attacked; got {self.images}.")
        if not self.attackers:
            raise InputError("Name an attack, or ask for the adaptive one.")
        for repeated in (self.budgets, self.attacks, self.adaptive):
            if len(set(repeated)) != len(repeated):
                raise InputError("Name every budget and every attack once.")
        for name in self.attacks:
            if not _fits(name) or get_attack(name).needs_detectors:
                raise InputError(f"The attack '{name}' has no L∞ budget ε, or it knows the detectors.")
        self._check_adaptive()

    def _check_adaptive(self) -> None:
        for name in self.adaptive:
            if not _fits(name) or "detector" not in _names(name):
                raise InputError(f"The attack '{name}' has no L∞ budget ε, or cannot be told what to hide from.")
        unknown = set(self.settings).difference(*(_names(name) for name in self.adaptive))
        if unknown:
            raise InputError(f"No adaptive attacker has a parameter '{min(unknown)}'.")

    @property
    def attackers(self) -> list[tuple[str, Knowledge]]:
        """Every attack and what its attacker knows."""
        blind: list[tuple[str, Knowledge]] = [(name, NONE) for name in self.attacks]
        return blind + ([] if self.detector is None else [(name, ADAPTIVE) for name in self.adaptive])


def _names(attack: str) -> set[str]:
    return {parameter.name for parameter in get_attack(attack).parameters}


def _fits(attack: str) -> bool:
    spec = get_attack(attack)
    return spec.norm == "linf" and spec.budget == "eps"


def default_detector() -> str:
    """Return what adaptive attackers hide from where nobody says: the fused verdict, if it can be aimed at."""
    (aim,) = (parameter for parameter in get_attack(ADAPTIVE_ATTACK).parameters if parameter.name == "detector")
    return FUSED if FUSED in aim.choices else FALLBACK


def measure_rejection(name: str, plan: Plan, file: Path, progress: Progress) -> StoredRejection:
    """Attack a bundle's test images by plan, and store how each attacked 8-bit version is read and judged.

    Parameters
    ----------
    name : str
        A bundle's name or folder.
    plan : Plan
    file : Path
        Where the table is written. Finished chunks lie beside it until it is; a later call does not repeat them.
    progress : callable

    Raises
    ------
    InputError
        If the bundle has no calibrated fused verdict, its data set is not on this machine, or a setting of an attack
        is not accepted.
    """
    bundle = load_bundle(name)
    image_set = bundle.require_images()
    if bundle.calibration(FUSED) is None:
        raise InputError(f"The bundle '{bundle.name}' has no calibrated fused verdict, so nothing can be rejected.")
    parameters = {attack: _parameters(plan, attack, bundle.attack_parameters(attack)) for attack, _ in plan.attackers}
    settings = {
        attack: {name: value for name, value in values.items() if name != "eps"}
        for attack, values in parameters.items()
    }
    origin = Origin(bundle.name, bundle.id, image_set.fingerprint, code_sha256(), plan.seed, plan.detector, settings)
    ids = draw_test_ids(bundle.scores, plan.images, plan.seed)
    folder = file.with_name(f"{file.name}-{_key(origin)}.partial")
    folder.mkdir(parents=True, exist_ok=True)
    jobs = [
        _job(bundle.folder, attack, knowledge, eps, parameters[attack], plan.seed, part, folder)
        for attack, knowledge in plan.attackers
        for eps in plan.budgets
        for part in np.split(ids, range(CHUNK, len(ids), CHUNK))
    ]
    missing = [job for job in jobs if not job.file.exists()]
    with Processes() as processes:
        processes.run(Work(_run, missing, counted(progress, "Attacking and analysing", len(missing))))
    found = StoredRejection(pa.concat_tables([load_table(job.file) for job in jobs]), origin)
    save_rejection(file, found)
    shutil.rmtree(folder)
    return found


@dataclass(frozen=True)
class _Job:
    bundle: Path
    attack: str
    knowledge: Knowledge
    eps: int
    parameters: Mapping[str, Any]
    seed: int
    ids: tuple[int, ...]
    file: Path


def _job(
    bundle: Path,
    attack: str,
    knowledge: Knowledge,
    eps: int,
    parameters: Mapping[str, Any],
    seed: int,
    part: np.ndarray[Any, np.dtype[np.int64]],
    folder: Path,
) -> _Job:
    ids = tuple(int(one) for one in part)
    digest = hashlib.sha256(json.dumps(ids).encode()).hexdigest()[:12]
    file = folder / f"{attack}-{knowledge}-{eps}-{digest}.parquet"
    return _Job(bundle, attack, knowledge, eps, parameters, seed, ids, file)


def _parameters(plan: Plan, attack: str, stored: Mapping[str, Any]) -> dict[str, Any]:
    """Return an attack's parameters: those behind the bundle's scores, else its defaults; `THOROUGH` adaptive ones."""
    spec, own = get_attack(attack), {}
    if (attack, ADAPTIVE) in plan.attackers:
        own = {name: value for name, value in {**THOROUGH, **plan.settings}.items() if name in _names(attack)}
        own["detector"] = plan.detector
    return dict(spec.settings.read({**stored, **own}, f"attack '{attack}'").values())


def _within(parameters: Mapping[str, Any], eps: int) -> dict[str, Any]:
    """Return parameters for a budget: a step stays the same share of the ball, or small budgets would be overshot."""
    budget = eps / LEVELS
    changed = {"eps": budget}
    if "step" in parameters and parameters["eps"] > 0.0:
        changed["step"] = parameters["step"] * budget / parameters["eps"]
    return {**parameters, **changed}


def _run(job: _Job) -> None:
    loaded = kept(job.bundle, lambda: open_bundle(str(job.bundle)))
    with whole(job.file) as partial:
        save_table(partial, _attacked(loaded, job))


def _attacked(loaded: LoadedBundle, job: _Job) -> pa.Table:
    ids = np.array(job.ids, dtype=np.int64)
    image_set = loaded.bundle.require_images()
    images, labels = round_to_8_bits(image_set.images(ids)), image_set.labels[ids]
    wrong = np.zeros(len(ids), dtype=np.bool_)
    if job.eps > 0:
        values = _within(job.parameters, job.eps)
        result = attack_images(
            loaded.classifier,
            images,
            job.attack,
            values,
            labels=labels,
            seed=job.seed,
            batch_size=CHUNK,
            defence=loaded.defence,
        )
        images, wrong = result.images, result.fooled
    scores = loaded.fitted.score_all(loaded.evidence(images))[FUSED]
    calibration = loaded.calibrations[FUSED]
    if calibration is None:
        raise InputError(f"The bundle '{loaded.bundle.name}' has no calibrated fused verdict.")
    columns = {
        "attack": [job.attack] * len(ids),
        "knowledge": [job.knowledge] * len(ids),
        "eps": [job.eps] * len(ids),
        "image_id": ids,
        "wrong": wrong,
        "score_fused": scores,
        "p_value": [calibration.p_value(float(score)) for score in scores],
    }
    return pa.table(columns, schema=SCHEMA)


def _key(origin: Origin) -> str:
    """Name of everything that a chunk depends on besides its attack, budget and images."""
    return hashlib.sha256(json.dumps(asdict(origin), sort_keys=True).encode()).hexdigest()[:16]
