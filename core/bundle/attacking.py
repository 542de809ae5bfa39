"""The slow stage of a build: attacking images in worker processes, chunk by chunk, resumable after a kill."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from threading import Thread

import numpy as np
import numpy.typing as npt

from core.bundle.store import load_arrays, save_arrays
from core.data.image_set import ImageSet
from core.engine.guard import exit_when_orphaned
from core.models.classifier import Architecture, Classifier
from core.models.training import Progress, load_weights, save_weights
from core.recipes import AttackPlan

CHUNK = 25


@dataclass(frozen=True)
class AttackedImages:
    """Attacked versions of data-set images.

    Attributes
    ----------
    attack : str
    ids : array of int64, shape (n,)
    images : array of float32, shape (n, C, H, W)
    success : array of bool, shape (n,)
    linf, l2, l0 : array of float64, shape (n,)
    """

    attack: str
    ids: npt.NDArray[np.int64]
    images: npt.NDArray[np.float32]
    success: npt.NDArray[np.bool_]
    linf: npt.NDArray[np.float64]
    l2: npt.NDArray[np.float64]
    l0: npt.NDArray[np.float64]


@dataclass(frozen=True)
class _Chunk:
    attack: AttackPlan
    seed: int
    ids: tuple[int, ...]
    file: Path


def attack_splits(
    classifier: Classifier,
    image_set: ImageSet,
    wanted: Sequence[tuple[AttackPlan, npt.NDArray[np.int64]]],
    seed: int,
    folder: Path,
    progress: Progress,
) -> list[AttackedImages]:
    """Run attacks on chosen images, in as many processes as there are cores.

    Parameters
    ----------
    classifier : Classifier
    image_set : ImageSet
    wanted : sequence of (AttackPlan, array of int64)
        Attacks and the ids of the correctly classified images that each is run on.
    seed : int
    folder : Path
        Finished chunks are kept here; a later call with the same folder does not repeat them.
    progress : callable

    Returns
    -------
    list of AttackedImages
        In the order of `wanted`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    weights = folder / "weights.safetensors"
    save_weights(classifier, weights)
    planned = [_chunks(plan, ids, seed, folder) for plan, ids in wanted]
    missing = [chunk for chunks in planned for chunk in chunks if not chunk.file.exists()]
    _run_all(missing, asdict(classifier.architecture), weights, image_set, progress)
    return [_gather(plan.name, chunks) for (plan, _), chunks in zip(wanted, planned, strict=True)]


def _chunks(plan: AttackPlan, ids: npt.NDArray[np.int64], seed: int, folder: Path) -> list[_Chunk]:
    parts = [tuple(int(i) for i in ids[start : start + CHUNK]) for start in range(0, len(ids), CHUNK)]
    names = [f"{plan.name}-{part[0]}-{part[-1]}-{len(part)}.safetensors" for part in parts]
    return [_Chunk(plan, seed, part, folder / name) for part, name in zip(parts, names, strict=True)]


def _run_all(
    chunks: Sequence[_Chunk], architecture: dict[str, int], weights: Path, image_set: ImageSet, progress: Progress
) -> None:
    if not chunks:
        return
    context = get_context("spawn")
    workers = min(os.cpu_count() or 1, len(chunks))
    with ProcessPoolExecutor(workers, context, initializer=_prepare_worker, initargs=(os.getpid(),)) as pool:
        try:
            waiting = {}
            for chunk in chunks:
                images, labels = image_set.images(chunk.ids), image_set.labels[list(chunk.ids)]
                waiting[pool.submit(_run, chunk, architecture, weights, images, labels)] = chunk.attack.name
            for done, future in enumerate(as_completed(waiting), start=1):
                future.result()
                progress(done / len(chunks), f"Attacking with {waiting[future]}, {done} of {len(chunks)} chunks")
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)  # or leaving the block would first run all the rest
            raise


def _prepare_worker(parent: int) -> None:
    # A killed build cannot tell its workers, which would wait for work for ever.
    Thread(target=exit_when_orphaned, args=(parent,), name="orphan-watch", daemon=True).start()
    use_one_thread()


def use_one_thread() -> None:
    """Keep this process to one thread: the order of float additions, and so every figure, depends on their number."""
    import torch
    from threadpoolctl import threadpool_limits

    threadpool_limits(1)
    torch.set_num_threads(1)


def _run(
    chunk: _Chunk,
    architecture: dict[str, int],
    weights: Path,
    images: npt.NDArray[np.float32],
    labels: npt.NDArray[np.int64],
) -> None:
    from core.attacks.attack import attack_images

    classifier = load_weights(Architecture(**architecture), weights)
    plan = chunk.attack
    result = attack_images(classifier, images, plan.name, plan.parameters, labels=labels, seed=chunk.seed)
    arrays = {name: getattr(result, name) for name in ("images", "success", "linf", "l2", "l0")}
    partial = chunk.file.with_suffix(".partial")
    save_arrays(partial, {"ids": np.array(chunk.ids, dtype=np.int64), **arrays})
    partial.replace(chunk.file)


def _gather(attack: str, chunks: Sequence[_Chunk]) -> AttackedImages:
    parts = [load_arrays(chunk.file) for chunk in chunks]
    return AttackedImages(attack, **{name: np.concatenate([p[name] for p in parts]) for name in _fields()})


def _fields() -> Iterator[str]:
    return (name for name in AttackedImages.__dataclass_fields__ if name != "attack")
