"""The training images that most helped or harmed a prediction, through the softmax head (Cohen et al. 2020)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from telltale.base.files import load_arrays, save_arrays, whole
from telltale.base.processes import Work
from telltale.detectors.base import Arrays
from telltale.evidence.by_size import fit_softmax_head
from telltale.evidence.influence import SoftmaxHead
from telltale.kinds.kind import Finished, Finishing, Fitting, Kind, Seen
from telltale.kinds.needs import LINEAR_HEAD

DAMPINGS = (1e-4, 1e-3, 1e-2, 1e-1)
SHOWN = 50
HARMFUL = 8  # training images that say why an image is misread


@dataclass(frozen=True)
class InfluenceView:
    """Training images that most helped or harmed the prediction, through the softmax head (Cohen 2020).

    Attributes
    ----------
    helpful_ids, harmful_ids : array of int64, shape (M,)
        Data-set ids, strongest first.
    helpful_labels, harmful_labels : array of int64, shape (M,)
    helpful_values, harmful_values : array of float64, shape (M,)
        Influence on the loss of the predicted class when the training image is removed: positive raises the loss.
    helpful_ranks, harmful_ranks : array of float32, shape (L, M)
        Share of all training images that lie nearer than this one, per layer, in [0, 1).
    helpful_distances, harmful_distances : array of float32, shape (L, M)
        Euclidean distance per layer.
    method : str
        How the curvature was computed.
    n_train : int
        Number of training images ranked (all of them).
    """

    kind: ClassVar[str] = "influence"
    helpful_ids: npt.NDArray[np.int64]
    harmful_ids: npt.NDArray[np.int64]
    helpful_labels: npt.NDArray[np.int64]
    harmful_labels: npt.NDArray[np.int64]
    helpful_values: npt.NDArray[np.float64]
    harmful_values: npt.NDArray[np.float64]
    helpful_ranks: npt.NDArray[np.float32]
    harmful_ranks: npt.NDArray[np.float32]
    helpful_distances: npt.NDArray[np.float32]
    harmful_distances: npt.NDArray[np.float32]
    method: str
    n_train: int


class InfluenceKind(Kind):
    """Which training images decided."""

    name = InfluenceView.kind
    title = "Influence"
    needs = (LINEAR_HEAD,)

    def prepare(self, fitting: Fitting) -> Work[Any] | None:
        """Refit the head under every damping."""
        file = _file(fitting.folder)
        if file.exists():
            return None
        job = _Job(file, fitting.trace.hidden, fitting.labels, fitting.classes)
        return Work(_fit_heads, [job])

    def fit(self, fitting: Fitting) -> SoftmaxHead:
        """Return the head with the least held-out cross-entropy."""
        arrays = load_arrays(_file(fitting.folder))
        heads = [SoftmaxHead(arrays[f"{damping:g}"], damping) for damping in DAMPINGS]
        return likeliest_head(heads, fitting.held_out.hidden, fitting.truth)

    def arrays(self, fitted: object) -> Arrays:
        """Return the head."""
        assert isinstance(fitted, SoftmaxHead)
        return {"head.weights": fitted.weights, "head.damping": np.array([fitted.damping])}

    def restore(self, arrays: Arrays, layers: int) -> SoftmaxHead | None:
        """Rebuild the head."""
        del layers
        if "head.weights" not in arrays:
            return None
        return SoftmaxHead(arrays["head.weights"], float(arrays["head.damping"][0]))

    def finish(self, finishing: Finishing) -> Finished:
        """Note how often the refitted head predicts what the network does."""
        head, seen = finishing.reference.head, finishing.test_with_errors
        agreement = float((head.probabilities(seen.trace.hidden).argmax(1) == seen.predictions).mean())
        return Finished(notes={"head": {"damping": head.damping, "agreement": agreement}})

    def explain(self, seen: Seen, labels: npt.NDArray[np.int64]) -> dict[str, Any]:
        """Return the training images that most raise the loss of the true class: they made the model err."""
        reference = seen.evidence.reference
        count = min(HARMFUL, len(reference.labels))
        found = reference.influence.top(seen.evidence.trace.hidden, labels, count)
        return {
            "harmful_ids": reference.ids[found.harmful],
            "harmful_labels": reference.labels[found.harmful],
            "harmful_values": found.harmful_values,
        }

    def view(self, seen: Seen) -> InfluenceView:
        """Return the strongest training images of one prediction."""
        reference, found = seen.evidence.reference, seen.evidence.influential
        m = min(SHOWN, found.helpful.shape[1])
        helpful, harmful = found.helpful[0, :m], found.harmful[0, :m]
        return InfluenceView(
            helpful_ids=reference.ids[helpful],
            harmful_ids=reference.ids[harmful],
            helpful_labels=reference.labels[helpful],
            harmful_labels=reference.labels[harmful],
            helpful_values=found.helpful_values[0, :m],
            harmful_values=found.harmful_values[0, :m],
            helpful_ranks=found.helpful_ranks[0, :, :m],
            harmful_ranks=found.harmful_ranks[0, :, :m],
            helpful_distances=found.helpful_distances[0, :, :m],
            harmful_distances=found.harmful_distances[0, :, :m],
            method=reference.influence.method,
            n_train=len(reference.labels),
        )


@dataclass(frozen=True)
class _Job:
    file: Path
    hidden: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int64]
    classes: int


def fit_heads(hidden: npt.NDArray[np.float32], labels: npt.NDArray[np.int64], classes: int) -> tuple[SoftmaxHead, ...]:
    """Refit the head on hidden states (N, d) under every damping, the strongest first."""
    heads: list[SoftmaxHead] = []
    for damping in sorted(DAMPINGS, reverse=True):  # the strongest converges at once and leads the next ones
        start = heads[-1].weights if heads else None
        heads.append(fit_softmax_head(hidden, labels, classes, damping, start=start))
    return tuple(heads)


def likeliest_head(
    heads: Sequence[SoftmaxHead], hidden: npt.NDArray[np.float32], truth: npt.NDArray[np.int64]
) -> SoftmaxHead:
    """Return the head with the least cross-entropy on held-out hidden states (n, d) of classes (n,)."""
    rows = np.arange(len(truth))

    def cross_entropy(head: SoftmaxHead) -> float:
        return float(-np.log(head.probabilities(hidden)[rows, truth]).mean())

    return min(heads, key=cross_entropy)


def _fit_heads(job: _Job) -> None:
    arrays = {f"{head.damping:g}": head.weights for head in fit_heads(job.hidden, job.labels, job.classes)}
    with whole(job.file) as partial:
        save_arrays(partial, arrays)


def _file(folder: Path) -> Path:
    return folder / "heads.safetensors"
