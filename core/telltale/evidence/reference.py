"""The reference set: the classifier's own training images and everything fitted to them once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from telltale.base.errors import InputError
from telltale.evidence.by_size import (
    describe_index,
    make_distances,
    make_index,
    make_influence,
    searched_approximately,
)
from telltale.evidence.density import ClassDensities
from telltale.evidence.distances import SquaredDistances
from telltale.evidence.influence import SoftmaxHead
from telltale.evidence.mahalanobis import TiedGaussians
from telltale.evidence.most_influential import Influence
from telltale.evidence.neighbours import NeighbourIndex, Processing
from telltale.evidence.prepared import Prepared
from telltale.evidence.trajectory import Pivots
from telltale.models.trace import Trace

Part = TypeVar("Part")


@dataclass
class Reference:
    """Training images as seen by the classifier.

    Attributes
    ----------
    ids : array of int64, shape (N,)
        Data-set ids.
    labels : array of int64, shape (N,)
        True classes.
    classes : int
    trace : Trace of the N images
    fitted : mapping of str to object
        What each kind of evidence has fitted to them, by the kind's name.
    missing : mapping of str to str
        Why a kind of evidence has nothing here, in one sentence, by the kind's name.
    prepared : Prepared, optional
        Files from which indices and tables for influence are opened instead of being made.
    """

    ids: npt.NDArray[np.int64]
    labels: npt.NDArray[np.int64]
    classes: int
    trace: Trace
    fitted: Mapping[str, object] = field(default_factory=dict)
    missing: Mapping[str, str] = field(default_factory=dict)
    prepared: Prepared | None = None
    _indices: dict[tuple[str, Processing], NeighbourIndex] = field(default_factory=dict, repr=False)
    _distances: dict[str, SquaredDistances] = field(default_factory=dict, repr=False)
    _influence: Influence | None = field(default=None, repr=False)
    _gaussians: TiedGaussians | None = field(default=None, repr=False)

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the traced layers."""
        return self.trace.layers

    def index(self, layer: str, processing: Processing = "none") -> NeighbourIndex:
        """Return the neighbour index of one layer, exact or, for very many images, approximate; built on first use.

        As many are kept as there are layers, and one: choosing among all layers and processings asks for thrice that.
        """
        key = (layer, processing)
        found = self._indices.pop(key, None) or self._find_index(layer, processing)
        while len(self._indices) > len(self.layers):
            del self._indices[next(iter(self._indices))]
        self._indices[key] = found  # last, as the one used last
        return found

    def distances(self, layer: str) -> SquaredDistances:
        """Return the distances to one layer's activations, prepared on first use and shared with its index."""
        if layer not in self._distances:
            self._distances[layer] = make_distances(self.activations(layer))
        return self._distances[layer]

    @property
    def pivots(self) -> Pivots:
        """One reference point per class and layer; `InputError` says why where there are none."""
        return self._part("trajectory", Pivots)

    @property
    def head(self) -> SoftmaxHead:
        """The refitted softmax head; `InputError` says why where there is none."""
        return self._part("influence", SoftmaxHead)

    @property
    def densities(self) -> ClassDensities:
        """The class mixtures over the hidden state; `InputError` says why where there are none."""
        return self._part("density", ClassDensities)

    def _part(self, kind: str, expected: type[Part]) -> Part:
        found = self.fitted.get(kind)
        if not isinstance(found, expected):
            raise InputError(self.missing.get(kind, f"Nothing was fitted for '{kind}' in this reference set."))
        return found

    @property
    def influence(self) -> Influence:
        """Influence through the softmax head, as exact as the size allows; built on first use."""
        if self._influence is None:
            fitted = self.head, self.trace.hidden, self.labels
            stored = self.prepared.influence(*fitted) if self.prepared is not None else None
            self._influence = stored or make_influence(*fitted)
        return self._influence

    @property
    def gaussians(self) -> TiedGaussians:
        """Class means with one tied covariance per layer; fitted on first use."""
        if self._gaussians is None:
            self._gaussians = TiedGaussians.fit(self.trace, self.labels)
        return self._gaussians

    def describe_indices(self) -> dict[str, dict[str, object]]:
        """Return, for a manifest's notes, how every layer's neighbours are found and with what measured recall."""
        return {layer: describe_index(self.index(layer)) for layer in self.layers}

    def prepare(self) -> None:
        """Build now what would otherwise be built for the first image."""
        if not len(self.labels):
            return  # of a network alone: nothing is ever compared
        for layer in self.layers:
            self.index(layer)
            self.distances(layer)
        if "influence" in self.fitted:
            _ = self.influence

    def _find_index(self, layer: str, processing: Processing) -> NeighbourIndex:
        place, activations = self.layers.index(layer), self.activations(layer)
        stored = self.prepared.index(place, activations, processing) if self.prepared is not None else None
        if stored is not None or searched_approximately(len(activations)):
            return stored or make_index(activations, processing)
        return make_index(activations, processing, self.distances(layer) if processing == "none" else None)

    def activations(self, layer: str) -> npt.NDArray[np.float32]:
        """Pooled activations of one layer, shape (N, d)."""
        return self.trace.activations[self.layers.index(layer)]
