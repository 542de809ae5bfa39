"""The slow stage of a build: attacking images in worker processes, chunk by chunk, resumable after a kill."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from telltale.analysis.observing import looking
from telltale.attacks.base import RANDOM
from telltale.attacks.registry import get_attack
from telltale.base.files import load_arrays, save_arrays, whole
from telltale.base.images import to_bytes, to_floats
from telltale.base.processes import Processes, Work
from telltale.base.progress import Progress
from telltale.bundle.fitted import FittedFiles
from telltale.data.image_set import ImageSet
from telltale.data.rows import Rows
from telltale.data.splits import spread_over
from telltale.detectors.defence import Defence
from telltale.models.classifier import Classifier
from telltale.models.spec import ClassifierSpec
from telltale.models.weights import load_weights
from telltale.recipes import AttackPlan

BATCH = 50
ONE_BY_ONE = 10  # images of an attack that cannot be batched: each takes long, and a killed build loses few of them


@dataclass(frozen=True)
class AttackedImages:
    """Attacked versions of data-set images.

    Attributes
    ----------
    attack : str
    ids : array of int64, shape (n,)
    pixels : array of uint8, shape (n, C, H, W)
    success : array of bool, shape (n,)
        Whether the label is another than before; an attack that was aimed may have missed its target.
    linf, l2, l0 : array of float64, shape (n,)
    """

    attack: str
    ids: npt.NDArray[np.int64]
    pixels: npt.NDArray[np.uint8]
    success: npt.NDArray[np.bool_]
    linf: npt.NDArray[np.float64]
    l2: npt.NDArray[np.float64]
    l0: npt.NDArray[np.float64]


@dataclass(frozen=True)
class _Chunk:
    attack: AttackPlan
    seed: int
    ids: tuple[int, ...]
    pixels: Rows
    labels: npt.NDArray[np.int64]
    weights: Path
    spec: ClassifierSpec
    file: Path
    fitted: FittedFiles | None

    def defence(self, classifier: Classifier) -> Defence | None:
        """Read the detectors, if the attack aims at them."""
        if self.fitted is None or not get_attack(self.attack.name).needs_detectors:
            return None
        reference, known = self.fitted.read()
        look = looking(classifier, reference)
        return Defence(classifier, reference, known.detectors, known.fusion, look=look)


def chosen_ids(
    labels: npt.NDArray[np.int64], correct: npt.NDArray[np.int64], count: int, seed: int, own: bool
) -> npt.NDArray[np.int64]:
    """Return the images that are attacked among those that are read correctly.

    They are the first ones; of somebody's own images some of every class, because class folders come one after the
    other.

    Parameters
    ----------
    labels : array of int64, shape (n,)
        Class of every image, by id.
    correct : array of int64, shape (m,)
        Ids.
    count, seed : int
    own : bool
    """
    return spread_over(labels, correct, count, seed) if own else correct[:count]


def attack_splits(
    classifier: Classifier,
    weights: Path,
    image_set: ImageSet,
    wanted: Sequence[tuple[AttackPlan, npt.NDArray[np.int64]]],
    seed: int,
    folder: Path,
    processes: Processes,
    progress: Progress,
    fitted: FittedFiles | None = None,
) -> list[AttackedImages]:
    """Run attacks on chosen images.

    Parameters
    ----------
    classifier : Classifier
    weights : Path
        Its weights, which the worker processes read.
    image_set : ImageSet
    wanted : sequence of (AttackPlan, array of int64)
        Attacks and the ids of the correctly classified images that each is run on.
    seed : int
    folder : Path
        Finished chunks are kept here; a later call with the same folder does not repeat them.
    processes : Processes
    progress : callable
    fitted : FittedFiles, optional
        The detectors, for attacks that aim at them.

    Returns
    -------
    list of AttackedImages
        In the order of `wanted`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    spec = classifier.spec

    def chunk(plan: AttackPlan, ids: npt.NDArray[np.int64]) -> _Chunk:
        pixels, labels = Rows(image_set.pixels, ids), image_set.labels[ids]
        numbers = tuple(int(i) for i in ids)
        file = folder / _name(plan, numbers)
        return _Chunk(plan, seed, numbers, pixels, labels, weights, spec, file, fitted)

    planned = [[chunk(plan, part) for part in _parts(plan, ids)] for plan, ids in wanted]
    missing = [part for chunks in planned for part in chunks if not part.file.exists()]
    # What takes longest comes first: attacks that cannot be batched, then those that a recipe gives few images.
    missing.sort(key=lambda part: (get_attack(part.attack.name).batched, part.attack.fit + part.attack.test))

    def tell(done: int, last: _Chunk) -> None:
        progress(done / len(missing), f"Attacking with {last.attack.name}, {done} of {len(missing)} chunks")

    processes.run(Work(_run, missing, tell))
    return [_gather(plan.name, chunks) for (plan, _), chunks in zip(wanted, planned, strict=True)]


def _parts(plan: AttackPlan, ids: npt.NDArray[np.int64]) -> list[npt.NDArray[np.int64]]:
    size = BATCH if get_attack(plan.name).batched else ONE_BY_ONE
    return [ids[start : start + size] for start in range(0, len(ids), size)]


def _name(plan: AttackPlan, ids: tuple[int, ...]) -> str:
    chosen = json.dumps([plan.parameters, plan.random_target], sort_keys=True)
    settings = hashlib.sha256(chosen.encode()).hexdigest()[:8]
    return f"{plan.name}-{settings}-{ids[0]}-{ids[-1]}-{len(ids)}.safetensors"


def _run(chunk: _Chunk) -> None:
    from telltale.attacks.attack import attack_images

    classifier = load_weights(chunk.spec, chunk.weights)
    plan = chunk.attack
    result = attack_images(
        classifier,
        to_floats(chunk.pixels.taken()),
        plan.name,
        plan.parameters,
        labels=chunk.labels,
        targets=RANDOM if plan.random_target else None,
        seed=chunk.seed,
        batch_size=BATCH,
        defence=chunk.defence(classifier),
    )
    arrays = {
        "ids": np.array(chunk.ids, dtype=np.int64),
        "pixels": to_bytes(result.images),
        "success": result.fooled,
        **{norm: getattr(result, norm) for norm in ("linf", "l2", "l0")},
    }
    with whole(chunk.file) as partial:
        save_arrays(partial, arrays)


def _gather(attack: str, chunks: Sequence[_Chunk]) -> AttackedImages:
    parts = [load_arrays(chunk.file) for chunk in chunks]
    return AttackedImages(attack, **{name: np.concatenate([p[name] for p in parts]) for name in _fields()})


def _fields() -> Iterator[str]:
    return (name for name in AttackedImages.__dataclass_fields__ if name != "attack")
