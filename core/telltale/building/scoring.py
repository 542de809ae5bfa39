"""The stored scores of a bundle: one row per evaluated image version, computed in worker processes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from telltale.base.files import load_table, save_table, whole
from telltale.base.processes import Processes, Work, kept
from telltale.base.progress import Progress, counted
from telltale.building.versions import Versions
from telltale.bundle.fitted import FittedFiles
from telltale.detectors.fitted_detectors import FittedDetectors
from telltale.detectors.fusion import ERROR_SCORE, FUSED
from telltale.evidence.reference import Reference

CHUNK = 250


@dataclass(frozen=True)
class _Job:
    file: Path
    fitted: FittedFiles
    versions: Versions


def score_versions(
    versions: Sequence[Versions], fitted: FittedFiles, folder: Path, processes: Processes, progress: Progress
) -> pa.Table:
    """Score every image version with every detector.

    Parameters
    ----------
    versions : sequence of Versions
    fitted : FittedFiles
        Where the worker processes find the reference set and the detectors.
    folder : Path
        Finished chunks are kept here; a later call with the same folder does not repeat them.
    processes : Processes
    progress : callable

    Returns
    -------
    pyarrow.Table
        The columns that docs/design.md lists, rows in the order of `versions`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    jobs = [job for part in versions for job in _jobs(part, fitted, folder)]
    missing = [job for job in jobs if not job.file.exists()]
    processes.run(Work(_score, missing, counted(progress, "Scoring images", len(missing))))
    return pa.concat_tables([load_table(job.file) for job in jobs])


def _jobs(part: Versions, fitted: FittedFiles, folder: Path) -> list[_Job]:
    name = f"{part.split}-{part.attack or 'natural'}"
    starts = range(0, len(part), CHUNK)
    return [_Job(folder / f"{name}-{s}.parquet", fitted, part.take(slice(s, s + CHUNK))) for s in starts]


def _score(job: _Job) -> None:
    reference, detectors = kept(job.fitted, job.fitted.read)
    with whole(job.file) as partial:
        save_table(partial, score_table(job.versions, reference, detectors))


def score_table(part: Versions, reference: Reference, detectors: FittedDetectors) -> pa.Table:
    """Score the image versions of one group; see `score_versions`."""
    evidence, n = part.evidence(reference), len(part)
    predictions = evidence.predictions
    own = np.arange(n), predictions
    columns: dict[str, npt.NDArray[np.generic] | list[str]] = {
        "image_id": part.ids,
        "split": [part.split] * n,
        "kind": part.kinds,
        "attack": [part.attack] * n,
        "label": part.labels,
        "prediction": predictions,
        "confidence": evidence.trace.probabilities[own],
        "linf": part.linf,
        "l2": part.l2,
        "l0": part.l0,
        "mean_entropy": evidence.mean_entropy,
        "log_density": evidence.log_density[own],
    }
    scores = detectors.score(evidence)
    columns.update({f"score_{name}": values for name, values in scores.items()})
    fused = detectors.fuse(scores)
    if fused is not None:
        columns[f"score_{FUSED}"] = fused.attack
        if fused.error is not None:
            columns[ERROR_SCORE] = fused.error
    return pa.table({key: pa.array(value) for key, value in columns.items()})
