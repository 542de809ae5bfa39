"""Fitting the reference set: pivots, softmax head and class mixtures, their candidates side by side."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from telltale.base.files import load_arrays, save_arrays, whole
from telltale.base.processes import Processes, Work
from telltale.evidence.density import COVARIANCES, ClassDensities, MixtureSettings, held_out_log_density
from telltale.evidence.influence import SoftmaxHead, fit_head
from telltale.evidence.reference import Reference
from telltale.evidence.trajectory import fit_pivots
from telltale.models.trace import Trace

DAMPINGS = (1e-4, 1e-3, 1e-2, 1e-1)
COMPONENTS = (1, 2, 3, 5)


@dataclass(frozen=True)
class HiddenStates:
    """What heads and mixtures are fitted to, and what chooses among them.

    Attributes
    ----------
    hidden : array of float32, shape (N, d)
        Of the training images.
    labels : array of int64, shape (N,)
        Their true classes.
    classes : int
    held_out : array of float32, shape (n, d)
        Of natural images of the fit split.
    truth : array of int64, shape (n,)
        Their true classes.
    """

    hidden: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int64]
    classes: int
    held_out: npt.NDArray[np.float32]
    truth: npt.NDArray[np.int64]


def fit_reference(
    ids: npt.NDArray[np.int64],
    labels: npt.NDArray[np.int64],
    trace: Trace,
    held_out: tuple[Trace, npt.NDArray[np.int64]],
    classes: int,
    seed: int,
    folder: Path,
    processes: Processes,
) -> Reference:
    """Fit pivots, the softmax head and the class mixtures to the training images.

    Parameters
    ----------
    ids, labels : array of int64, shape (N,)
        Training images and their true classes.
    trace : Trace of the N training images
    held_out : (Trace, array of int64)
        Natural images of the fit split with their true classes; they choose the head's damping and the mixtures'
        shape by their likelihood.
    classes, seed : int
    folder : Path
        Where candidates are kept; a later call with the same folder does not fit them again.
    processes : Processes
    """
    states = HiddenStates(trace.hidden, labels, classes, held_out[0].hidden, held_out[1])
    fit_candidates(states, seed, folder, processes)
    pivots = fit_pivots(trace, labels, classes)
    return Reference(ids, labels, classes, trace, pivots, choose_head(states, folder), choose_densities(states, folder))


def fit_candidates(states: HiddenStates, seed: int, folder: Path, processes: Processes) -> None:
    """Refit the head under every damping and fit mixtures of every shape, each into a file of `folder`."""
    # What takes longest begins first.
    jobs = [_Job(_heads_file(folder), states, None, seed)]
    jobs += [_Job(_mixtures_file(folder, shape), states, shape, seed) for shape in _shapes(states)]
    processes.run(Work(_fit, [job for job in jobs if not job.file.exists()], lambda _count, _job: None))


def choose_head(states: HiddenStates, folder: Path) -> SoftmaxHead:
    """Return the fitted head with the least held-out cross-entropy."""
    arrays = load_arrays(_heads_file(folder))
    heads = [SoftmaxHead(arrays[f"{damping:g}"], damping) for damping in DAMPINGS]

    def cross_entropy(head: SoftmaxHead) -> float:
        own = head.probabilities(states.held_out)[np.arange(len(states.truth)), states.truth]
        return float(-np.log(own).mean())

    return min(heads, key=cross_entropy)


def choose_densities(states: HiddenStates, folder: Path) -> ClassDensities:
    """Return the fitted mixtures with the largest held-out likelihood.

    All candidates model the whole hidden state in its principal axes: likelihoods of different subspaces could not
    be compared.
    """
    fitted = [ClassDensities.from_arrays(load_arrays(_mixtures_file(folder, shape))) for shape in _shapes(states)]
    return max(fitted, key=lambda densities: held_out_log_density(densities, states.held_out, states.truth))


@dataclass(frozen=True)
class _Job:
    """Mixtures of one shape, or the heads of all dampings where there is none."""

    file: Path
    states: HiddenStates
    shape: MixtureSettings | None
    seed: int


def _fit(job: _Job) -> None:
    states = job.states
    if job.shape is None:
        arrays = _fit_heads(states)
    else:
        densities = ClassDensities.fit(states.hidden, states.labels, states.classes, job.shape, job.seed)
        arrays = densities.to_arrays()
    with whole(job.file) as partial:
        save_arrays(partial, arrays)


def _fit_heads(states: HiddenStates) -> dict[str, npt.NDArray[np.float64]]:
    arrays: dict[str, npt.NDArray[np.float64]] = {}
    start = None
    for damping in sorted(DAMPINGS, reverse=True):  # the strongest converges at once and leads the next ones
        start = fit_head(states.hidden, states.labels, states.classes, damping, start=start).weights
        arrays[f"{damping:g}"] = start
    return arrays


def _shapes(states: HiddenStates) -> list[MixtureSettings]:
    dimensions = min(states.hidden.shape[1], len(states.hidden) - 1)
    return [MixtureSettings(k, c, dimensions) for c in COVARIANCES for k in sorted(COMPONENTS, reverse=True)]


def _heads_file(folder: Path) -> Path:
    return folder / "heads.safetensors"


def _mixtures_file(folder: Path, shape: MixtureSettings) -> Path:
    return folder / f"mixtures-{shape.covariance}-{shape.components}.safetensors"
