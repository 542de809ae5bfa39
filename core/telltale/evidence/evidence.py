"""Evidence about a batch of images: each kind computed at most once, shared by detectors and pages."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from telltale.base.errors import InputError
from telltale.evidence.distances import Block
from telltale.evidence.mahalanobis import TiedGaussians
from telltale.evidence.neighbours import Neighbours, Processing, Weighting, class_votes
from telltale.evidence.ranks import ranks_and_distances
from telltale.evidence.readings import Readings
from telltale.evidence.reference import Reference
from telltale.evidence.trajectory import DistanceKind, PivotKind, trajectories
from telltale.models.trace import Index, Trace

MAX_INFLUENTIAL = 500
# Of more images than this only the neighbours asked for last are kept: a thousand of each fill gigabytes.
FEW_IMAGES = 64
ESTIMATED = 8  # images of which estimated distances to all training images are kept, for whoever needs them next
Stepped: TypeAlias = Callable[[TiedGaussians, float], npt.NDArray[np.float64]]


@dataclass(frozen=True)
class Influential:
    """The training images that most helped or harmed n predictions, and where they lie.

    Attributes
    ----------
    helpful, harmful : arrays of int64, shape (n, M)
        Rows of the reference set, strongest first.
    helpful_values, harmful_values : arrays of float64, shape (n, M)
    helpful_ranks, harmful_ranks : arrays of float32, shape (n, L, M)
        Share of all training images that are nearer, in [0, 1).
    helpful_distances, harmful_distances : arrays of float32, shape (n, L, M)
        Euclidean.
    """

    helpful: npt.NDArray[np.int64]
    harmful: npt.NDArray[np.int64]
    helpful_values: npt.NDArray[np.float64]
    harmful_values: npt.NDArray[np.float64]
    helpful_ranks: npt.NDArray[np.float32]
    harmful_ranks: npt.NDArray[np.float32]
    helpful_distances: npt.NDArray[np.float32]
    harmful_distances: npt.NDArray[np.float32]

    def take(self, index: Index) -> Influential:
        """Return the rows of some of the images."""
        return Influential(**{name: array[index] for name, array in vars(self).items()})


class Evidence:
    """What the methods read about n images; each part is computed once, when it is first asked for.

    Parameters
    ----------
    reference : Reference
    trace : Trace of the n images
    readings : Readings of the n images, or a callable that returns them
        A callable is run on first use, so that nothing is backpropagated for detectors that do not ask.
    stepped : callable, optional
        Takes `TiedGaussians` and a step in pixel units and returns their scores (n, L) after it; only who has the
        images can give it (`telltale.evidence.mahalanobis_step`).

    Raises
    ------
    InputError
        If the trace's layers or shapes are not the reference set's, or a value is not finite.
    """

    def __init__(
        self,
        reference: Reference,
        trace: Trace,
        readings: Readings | Callable[[], Readings],
        stepped: Stepped | None = None,
    ) -> None:
        if trace.layers != reference.layers:
            raise InputError(f"Expected a trace of the layers {reference.layers}, got {trace.layers}.")
        _check_shapes(trace, reference)
        if not all(np.isfinite(part).all() for part in (trace.logits, *trace.activations)):
            raise InputError("Activations and logits must be finite.")
        self.reference = reference
        self.trace = trace
        self._readings = readings
        self._stepped = stepped
        self._whole: tuple[Evidence, Index] | None = None
        self._trajectories: dict[tuple[PivotKind, DistanceKind], npt.NDArray[np.float32]] = {}
        self._blocks: dict[str, list[Block]] = {}
        self._neighbours: dict[tuple[str, Processing], Neighbours] = {}
        self._votes: dict[tuple[str, Processing, Weighting, int], npt.NDArray[np.float64]] = {}
        self._mahalanobis: dict[tuple[TiedGaussians, float], npt.NDArray[np.float64]] = {}
        self._derived: dict[Hashable, npt.NDArray[np.float64]] = {}

    def __len__(self) -> int:
        return len(self.trace)

    @property
    def predictions(self) -> npt.NDArray[np.int64]:
        """Predicted classes, shape (n,)."""
        return self.trace.predictions

    @cached_property
    def readings(self) -> Readings:
        """What was measured on the pixels."""
        if self._whole is not None:
            return self._whole[0].readings.take(self._whole[1])
        return (self._readings() if callable(self._readings) else self._readings).check(len(self))

    def trajectory(self, pivot: PivotKind, distance: DistanceKind) -> npt.NDArray[np.float32]:
        """Pivot distances, shape (n, L, C)."""
        if self._whole is not None:
            return self._whole[0].trajectory(pivot, distance)[self._whole[1]]
        key = (pivot, distance)
        if key not in self._trajectories:
            self._trajectories[key] = trajectories(self.trace, self.reference.pivots, pivot, distance)
        return self._trajectories[key]

    def neighbours(self, layer: str, processing: Processing, k: int) -> Neighbours:
        """Return the k nearest training images on one layer."""
        if self._whole is not None:
            return self._whole[0].neighbours(layer, processing, k).take(self._whole[1])
        key = (layer, processing)
        known = self._neighbours.get(key)
        if known is None or known.rows.shape[1] < k:
            if len(self) > FEW_IMAGES:
                self._neighbours.clear()
            activations = self.trace.activations[self.reference.layers.index(layer)]
            index = self.reference.index(layer, processing)
            shared = processing == "none" and index.distances is not None
            blocks = self._estimated(layer) if shared else None
            known = self._neighbours[key] = index.search(activations, k, blocks=blocks)
        return known.first(k)

    def votes(self, layer: str, processing: Processing, weighting: Weighting, k: int) -> npt.NDArray[np.float64]:
        """Share of the k nearest training images' weight that each class holds, shape (n, C)."""
        if self._whole is not None:
            return self._whole[0].votes(layer, processing, weighting, k)[self._whole[1]]
        key = (layer, processing, weighting, k)
        if key not in self._votes:
            found = self.neighbours(layer, processing, k)
            self._votes[key] = class_votes(found, self.reference.labels, self.reference.classes, weighting)
        return self._votes[key]

    def mahalanobis(self, gaussians: TiedGaussians, step: float) -> npt.NDArray[np.float64]:
        """Score of the nearest class on every layer after a step in pixel units, shape (n, L).

        Raises
        ------
        InputError
            If there is a step but no pixels are at hand.
        """
        if self._whole is not None:
            return self._whole[0].mahalanobis(gaussians, step)[self._whole[1]]
        key = (gaussians, step)
        if key not in self._mahalanobis:
            self._mahalanobis[key] = self._stepped_scores(gaussians, step) if step else gaussians.scores(self.trace)
        return self._mahalanobis[key]

    def derived(
        self, name: Hashable, compute: Callable[[Evidence], npt.NDArray[np.float64]]
    ) -> npt.NDArray[np.float64]:
        """Return what a detector makes of every image, computed once for all of them under a name, shape (n, ...)."""
        if self._whole is not None:
            return self._whole[0].derived(name, compute)[self._whole[1]]
        if name not in self._derived:
            self._derived[name] = compute(self)
        return self._derived[name]

    @cached_property
    def influential(self) -> Influential:
        """The most influential training images with ranks and distances on every layer, M = min(500, N // 2)."""
        if self._whole is not None:
            return self._whole[0].influential.take(self._whole[1])
        count = min(MAX_INFLUENTIAL, len(self.reference.labels) // 2)
        found = self.reference.influence.top(self.trace.hidden, self.predictions, count)
        rows = np.hstack([found.helpful, found.harmful])
        ranks = np.empty((len(self), len(self.reference.layers), 2 * count), dtype=np.float32)
        distances = np.empty_like(ranks)
        for i, layer in enumerate(self.reference.layers):
            to_all = self.reference.distances(layer)
            ranks[:, i], distances[:, i] = ranks_and_distances(
                self.trace.activations[i], to_all, rows, self._estimated(layer)
            )
        return Influential(
            found.helpful,
            found.harmful,
            found.helpful_values,
            found.harmful_values,
            ranks[:, :, :count],
            ranks[:, :, count:],
            distances[:, :, :count],
            distances[:, :, count:],
        )

    @cached_property
    def log_density(self) -> npt.NDArray[np.float64]:
        """Log p(H | class) in nats, shape (n, C)."""
        if self._whole is not None:
            return self._whole[0].log_density[self._whole[1]]
        return self.reference.densities.log_density(self.trace.hidden)

    def take(self, index: Index) -> Evidence:
        """Return the evidence about some of the images; it asks this one, so nothing is computed twice."""
        part = Evidence(self.reference, self.trace.take(index), lambda: self.readings.take(index))
        part._whole = (self, index)
        return part

    def _estimated(self, layer: str) -> list[Block] | None:
        """Return the estimated distances to all training images on one layer; None where there are too many to keep."""
        if len(self) > ESTIMATED:
            return None
        if layer not in self._blocks:
            activations = self.trace.activations[self.reference.layers.index(layer)]
            self._blocks[layer] = list(self.reference.distances(layer).blocks(activations))
        return self._blocks[layer]

    def _stepped_scores(self, gaussians: TiedGaussians, step: float) -> npt.NDArray[np.float64]:
        if self._stepped is None:
            raise InputError("An input step needs the images' pixels, but only traces are at hand; set step to 0.")
        return self._stepped(gaussians, step)


def _check_shapes(trace: Trace, reference: Reference) -> None:
    known = zip(trace.layers, reference.trace.activations, strict=True)
    expected = {**{layer: activations.shape[1] for layer, activations in known}, "logits": reference.classes}
    for (name, width), part in zip(expected.items(), (*trace.activations, trace.logits), strict=True):
        if part.shape != (len(trace), width):
            raise InputError(f"Expected {name} of shape ({len(trace)}, {width}), got {part.shape}.")
