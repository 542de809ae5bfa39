"""The stored scores of a bundle: one row per evaluated image version, computed in worker processes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from scipy.special import logsumexp

from telltale.base.files import load_table, save_table, whole
from telltale.base.processes import Processes, Work, kept
from telltale.base.progress import Progress, counted
from telltale.building.versions import Versions
from telltale.bundle.fitted import FittedFiles
from telltale.detectors.fitted_detectors import FittedDetectors
from telltale.detectors.fusion import ERROR_SCORE, FUSED
from telltale.evidence.margins import logit_margins
from telltale.evidence.reference import Reference
from telltale.kinds.registry import KINDS
from telltale.scores.table import (
    ATTACK,
    CONFIDENCE,
    IMAGE_ID,
    KIND,
    L0,
    L2,
    LABEL,
    LINF,
    LOGSUMEXP,
    MARGIN,
    MAX_LOGIT,
    PREDICTION,
    SPLIT,
    score_column,
)

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
    columns: dict[str, npt.NDArray[np.generic] | list[str]] = {
        IMAGE_ID: part.ids,
        SPLIT: [part.split] * n,
        KIND: part.kinds,
        ATTACK: [part.attack] * n,
        LABEL: part.labels,
        PREDICTION: predictions,
        CONFIDENCE: evidence.trace.probabilities[np.arange(n), predictions],
        **logit_columns(evidence.trace.logits),
        LINF: part.linf,
        L2: part.l2,
        L0: part.l0,
    }
    for name, kind in KINDS.items():
        if name not in reference.missing:
            columns.update(kind.columns(evidence))
    scores = detectors.score(evidence)
    columns.update({score_column(name): values for name, values in scores.items()})
    fused = detectors.fuse(scores, evidence.trace)
    if fused is not None:
        columns[score_column(FUSED)] = fused.attack
        if fused.error is not None:
            columns[ERROR_SCORE] = fused.error
    # Without rows, nothing else says that a list is one of words.
    types = {key: pa.string() if isinstance(value, list) else None for key, value in columns.items()}
    return pa.table({key: pa.array(value, types[key]) for key, value in columns.items()})


def logit_columns(logits: npt.NDArray[np.floating]) -> dict[str, npt.NDArray[np.float64]]:
    """Return what is kept of every row's logits, for the controls that detectors are compared with.

    Parameters
    ----------
    logits : array of float, shape (n, C), C >= 2
    """
    values = logits.astype(np.float64)
    margins = logit_margins(values, values.argmax(1))
    return {MARGIN: margins, LOGSUMEXP: logsumexp(values, axis=1), MAX_LOGIT: values.max(1)}
