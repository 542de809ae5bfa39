"""The nearest training images, and how they vote (Carrara et al. 2017)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from telltale.detectors.fitted_detectors import FittedDetectors
from telltale.detectors.knn_score import KnnScoreDetector
from telltale.evidence.evidence import Evidence
from telltale.evidence.label_doubt import class_shares, label_error_score
from telltale.evidence.neighbours import Neighbours
from telltale.evidence.placing import PLACED_BETWEEN, place_between, place_on_map
from telltale.kinds.kind import Finished, Finishing, Kind, Seen, Stored
from telltale.kinds.needs import ANY_REFERENCES

SHOWN = 50
VOTING = 20  # neighbours that say why an image is misread

Maps = Mapping[str, npt.NDArray[np.float32]]


@dataclass(frozen=True)
class NeighboursView:
    """Nearest training images of one image on every layer.

    Attributes
    ----------
    layers : tuple of str, length L
    ids : array of int64, shape (L, k)
        Data-set ids of training images, nearest first (Euclidean distance, unprocessed activations).
    labels : array of int64, shape (L, k)
        Their true classes.
    distances : array of float32, shape (L, k)
    votes : array of float64, shape (C,)
        The kNN-score detector's weighted share of votes per class (Carrara 2017, Eq. 2).
    score_layer, processing, weighting : str
        The detector's settings behind `votes`.
    score_k : int
    score_ids : array of int64, shape (score_k,)
        The training images that voted, nearest first in the detector's own space.
    positions : mapping of {"umap", "pca"} to array of float32, shape (L, 2)
        Place of the image on each layer's map: mean of its nearest neighbours' coordinates, weighted by 1/distance.
    """

    kind: ClassVar[str] = "neighbours"
    layers: tuple[str, ...]
    ids: npt.NDArray[np.int64]
    labels: npt.NDArray[np.int64]
    distances: npt.NDArray[np.float32]
    votes: npt.NDArray[np.float64]
    score_layer: str
    processing: str
    weighting: str
    score_k: int
    score_ids: npt.NDArray[np.int64]
    positions: Mapping[str, npt.NDArray[np.float32]]


class NeighboursKind(Kind):
    """Which training images lie nearest, layer by layer."""

    name = NeighboursView.kind
    title = "Neighbours"
    needs = (ANY_REFERENCES,)

    def finish(self, finishing: Finishing) -> Finished:
        """Note how neighbours are found on every layer."""
        return Finished(notes={"indices": finishing.reference.describe_indices()})

    def open(self, stored: Stored) -> Maps:
        """Read the maps on which an image is placed."""
        return stored.maps

    def explain(self, seen: Seen, labels: npt.NDArray[np.int64]) -> dict[str, Any]:
        """Return how the nearest training images vote, how doubtful each label is, and each place on the maps."""
        evidence, reference = seen.evidence, seen.evidence.reference
        near = _neighbours_per_layer(evidence)
        shares = class_shares(reference.labels[near[-1].rows], reference.classes)
        rows = np.arange(len(evidence))
        return {
            "true_share": shares[rows, labels],
            "predicted_share": shares[rows, evidence.predictions],
            "label_error": label_error_score(evidence.trace.probabilities, shares, labels),
            "positions": {
                name: np.stack([place_between(*pair) for pair in zip(near, coordinates, strict=True)], axis=1)
                for name, coordinates in _maps(seen).items()
            },
            "k": near[-1].rows.shape[1],
        }

    def view(self, seen: Seen) -> NeighboursView:
        """Return the nearest training images of one image, and who voted."""
        evidence, reference = seen.evidence, seen.evidence.reference
        detector = _detector(seen.fitted)
        count = min(SHOWN, len(reference.labels))
        found = [evidence.neighbours(layer, "none", count) for layer in reference.layers]
        rows = np.stack([n.rows[0] for n in found])
        voters = detector.neighbours(evidence)
        return NeighboursView(
            layers=reference.layers,
            ids=reference.ids[rows],
            labels=reference.labels[rows],
            distances=np.stack([n.distances[0] for n in found]).astype(np.float32),
            votes=detector.votes(evidence)[0],
            score_layer=detector.layer_name(evidence),
            processing=detector.processing,
            weighting=detector.weighting,
            score_k=voters.rows.shape[1],
            score_ids=reference.ids[voters.rows[0]],
            positions={name: place_on_map(found, coordinates) for name, coordinates in _maps(seen).items()},
        )


def _maps(seen: Seen) -> Maps:
    return seen.opened if isinstance(seen.opened, Mapping) else {}


def _detector(fitted: FittedDetectors) -> KnnScoreDetector:
    """Return the kNN score, or one with its defaults: it votes without having been fitted."""
    detector = fitted.detectors.get(KnnScoreDetector.name)
    return detector if isinstance(detector, KnnScoreDetector) else KnnScoreDetector()


def _neighbours_per_layer(evidence: Evidence) -> list[Neighbours]:
    """Return the neighbours that place an image on each layer's map, and on the last layer those that vote."""
    reference, most = evidence.reference, len(evidence.reference.labels)
    counts = [min(PLACED_BETWEEN, most)] * (len(reference.layers) - 1) + [min(VOTING, most)]
    return [evidence.neighbours(layer, "none", k) for layer, k in zip(reference.layers, counts, strict=True)]
