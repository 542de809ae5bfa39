"""Running many images through the classifier: traces and feature responses, in worker processes, resumable."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from core.bundle.processes import Processes, counted
from core.bundle.store import load_arrays, save_arrays, whole
from core.evidence.response import feature_responses
from core.images import to_floats
from core.models.classifier import Architecture, Classifier
from core.models.trace import Trace
from core.models.training import Progress, load_weights

CHUNK = 500
RESPONDED_AT_ONCE = 50


@dataclass(frozen=True)
class Batch:
    """Images that are run through the classifier together.

    Attributes
    ----------
    name : str
        Names the files in which the results are kept.
    pixels : array of uint8, shape (n, C, H, W)
    responses : bool
        Whether feature responses are wanted beside the trace.
    """

    name: str
    pixels: npt.NDArray[np.uint8]
    responses: bool


@dataclass(frozen=True)
class Observed:
    """What a classifier makes of n images.

    Attributes
    ----------
    trace : Trace
    mean_entropy : array of float64, shape (n,)
        NaN where no responses were wanted.
    """

    trace: Trace
    mean_entropy: npt.NDArray[np.float64]


@dataclass(frozen=True)
class _Job:
    file: Path
    weights: Path
    architecture: dict[str, int]
    pixels: npt.NDArray[np.uint8]
    responses: bool


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
    architecture = asdict(classifier.architecture)
    planned = [_jobs(batch, weights, architecture, folder) for batch in batches]
    missing = [job for jobs in planned for job in jobs if not job.file.exists()]
    processes.run(_observe, missing, counted(progress, "Tracing images", len(missing)))
    return [_gather([job.file for job in jobs], classifier.layers) for jobs in planned]


def _jobs(batch: Batch, weights: Path, architecture: dict[str, int], folder: Path) -> list[_Job]:
    starts = range(0, len(batch.pixels), CHUNK)
    return [
        _Job(
            folder / f"{batch.name}-{start}.safetensors",
            weights,
            architecture,
            np.array(batch.pixels[start : start + CHUNK]),
            batch.responses,
        )
        for start in starts
    ]


def _observe(job: _Job) -> None:
    classifier = load_weights(Architecture(**job.architecture), job.weights)
    images = to_floats(job.pixels)
    trace = classifier.trace(images)
    arrays = {f"activations.{i}": activations for i, activations in enumerate(trace.activations)}
    arrays["logits"] = trace.logits
    if job.responses:
        parts = [images[start : start + RESPONDED_AT_ONCE] for start in range(0, len(images), RESPONDED_AT_ONCE)]
        arrays["mean_entropy"] = np.concatenate([feature_responses(classifier, part).mean_entropy for part in parts])
    with whole(job.file) as partial:
        save_arrays(partial, arrays)


def _gather(files: Sequence[Path], layers: tuple[str, ...]) -> Observed:
    parts = [load_arrays(file) for file in files]
    traces = [Trace(layers, tuple(p[f"activations.{i}"] for i in range(len(layers))), p["logits"]) for p in parts]
    unknown = [np.full(len(p["logits"]), np.nan) for p in parts]
    entropies = [p.get("mean_entropy", nothing) for p, nothing in zip(parts, unknown, strict=True)]
    return Observed(Trace.concatenate(traces), np.concatenate(entropies))
