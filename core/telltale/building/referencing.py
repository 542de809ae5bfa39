"""Fitting the reference set: what every kind of evidence fits to the training images, candidates side by side."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from telltale.base.processes import Processes
from telltale.evidence.reference import Reference
from telltale.kinds.kind import Fitting
from telltale.kinds.registry import KINDS, missing
from telltale.models.trace import Trace


def fit_reference(
    ids: npt.NDArray[np.int64],
    labels: npt.NDArray[np.int64],
    trace: Trace,
    held_out: tuple[Trace, npt.NDArray[np.int64]],
    classes: int,
    seed: int,
    folder: Path,
    processes: Processes,
    head_problem: str | None = None,
    lacking: Mapping[str, str] | None = None,
    trained_on: bool | None = True,
) -> Reference:
    """Fit every kind of evidence to the training images; one that lacks what it needs is left out with the reason.

    Parameters
    ----------
    ids, labels : array of int64, shape (N,)
        Training images and their true classes.
    trace : Trace of the N training images
    held_out : (Trace, array of int64)
        Natural images of the fit split with their true classes; they choose settings by their likelihood.
    classes, seed : int
    folder : Path
        Where candidates are kept; a later call with the same folder does not fit them again.
    processes : Processes
    head_problem : str, optional
        Why the network has no linear head; None where it has one.
    lacking : mapping of str to str, optional
        Kinds that cannot observe this classifier's images, with the reason.
    trained_on : bool, optional
        Whether the network has learned from these images; None where nobody says.
    """
    fitting = Fitting(labels, classes, trace, held_out[0], held_out[1], seed, folder, head_problem, trained_on)
    lost = missing(fitting, lacking or {})
    present = {name: kind for name, kind in KINDS.items() if name not in lost}
    works = [work for kind in present.values() if (work := kind.prepare(fitting)) is not None]
    processes.run(*works)
    found = {name: kind.fit(fitting) for name, kind in present.items()}
    fitted = {name: part for name, part in found.items() if part is not None}
    return Reference(ids, labels, classes, trace, fitted, lost)
