"""Running many images through the classifier: traces and feature responses, in worker processes, resumable."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from telltale.analysis.observing import Observed, observe_images
from telltale.base.files import load_arrays, save_arrays, whole
from telltale.base.images import to_floats
from telltale.base.processes import Processes, Work
from telltale.base.progress import Progress, counted
from telltale.data.rows import Rows
from telltale.evidence.readings import Readings
from telltale.models.classifier import Classifier
from telltale.models.spec import ClassifierSpec
from telltale.models.trace import Trace
from telltale.models.weights import load_weights

CHUNK, CHUNK_OF_LARGE = 500, 50  # images of a job
LARGE = 64 * 64  # pixels from which one takes so long that few jobs would leave a process idle at the end
READING = "reading."


@dataclass(frozen=True)
class Batch:
    """Images that are run through the classifier together.

    Attributes
    ----------
    name : str
        Names the files in which the results are kept.
    pixels : Rows
    readings : bool
        Whether `Readings` are wanted beside the trace.
    """

    name: str
    pixels: Rows
    readings: bool


@dataclass(frozen=True)
class _Job:
    file: Path
    weights: Path
    spec: ClassifierSpec
    pixels: Rows
    readings: bool


def observe(
    classifier: Classifier,
    weights: Path,
    batches: Sequence[Batch],
    folder: Path,
    processes: Processes,
    progress: Progress,
) -> list[Observed]:
    """Trace batches of images.

    Parameters
    ----------
    classifier : Classifier
    weights : Path
        Its weights, which the worker processes read.
    batches : sequence of Batch
    folder : Path
        Finished chunks are kept here; a later call with the same folder does not repeat them.
    processes : Processes
    progress : callable

    Returns
    -------
    list of Observed
        In the order of `batches`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    spec = classifier.spec
    planned = [_jobs(batch, weights, spec, folder) for batch in batches]
    missing = [job for jobs in planned for job in jobs if not job.file.exists()]
    processes.run(Work(_observe, missing, counted(progress, "Tracing images", len(missing))))
    return [_gather([job.file for job in jobs], classifier.layers) for jobs in planned]


def _jobs(batch: Batch, weights: Path, spec: ClassifierSpec, folder: Path) -> list[_Job]:
    *_, height, width = batch.pixels.pixels.shape
    count = CHUNK_OF_LARGE if height * width > LARGE else CHUNK
    return [
        _Job(
            folder / f"{batch.name}-{start}-{count}.safetensors",
            weights,
            spec,
            batch.pixels.part(start, count),
            batch.readings,
        )
        for start in range(0, len(batch.pixels), count)
    ]


def _observe(job: _Job) -> None:
    classifier = load_weights(job.spec, job.weights)
    images = to_floats(job.pixels.taken())
    seen = observe_images(classifier, images, job.readings)
    arrays: dict[str, npt.NDArray[Any]] = {"logits": seen.trace.logits}
    arrays |= {f"activations.{i}": activations for i, activations in enumerate(seen.trace.activations)}
    arrays |= {READING + name: values for name, values in seen.readings.arrays.items()}
    with whole(job.file) as partial:
        save_arrays(partial, arrays)


def _gather(files: Sequence[Path], layers: tuple[str, ...]) -> Observed:
    parts = [load_arrays(file) for file in files]
    traces = [Trace(layers, tuple(p[f"activations.{i}"] for i in range(len(layers))), p["logits"]) for p in parts]
    return Observed(Trace.concatenate(traces), Readings.concatenate([_readings(p) for p in parts]), {})


def _readings(arrays: Mapping[str, npt.NDArray[np.float64]]) -> Readings:
    return Readings({name.removeprefix(READING): v for name, v in arrays.items() if name.startswith(READING)})
