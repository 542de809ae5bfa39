"""Why a model misreads its natural errors: neighbours, departure layer, harmful training images, doubtful labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from telltale.base.progress import Progress
from telltale.detectors.trajectory import TrajectoryDetector
from telltale.evidence.placing import PLACED_BETWEEN, place_between
from telltale.evidence.trajectory import departure_layer, trajectories
from telltale.model_errors.evaluated import Evaluated, evaluated_images
from telltale.model_errors.label_votes import class_shares

if TYPE_CHECKING:
    from telltale.analysis.opened import LoadedBundle
    from telltale.evidence.neighbours import Neighbours
    from telltale.models.trace import Trace

Rows = npt.NDArray[np.int64]
Doubles = npt.NDArray[np.float64]

NEIGHBOURS = 20
HARMFUL = 8
IMAGES_AT_ONCE = 16
NO_LAYER = -1
LIKELY_LABEL_ERROR = 0.9  # network and neighbours nearly agree on another class


@dataclass(frozen=True)
class ErrorReasons:
    """What lies behind n natural errors, in the order of `Evaluated.errors`.

    Attributes
    ----------
    ids : array of int64, shape (n,)
        Data-set ids of the misread images.
    true_share, predicted_share : array of float64, shape (n,)
        Share of the k nearest training images, on the last layer, with the true and with the predicted class.
    departures : array of int64, shape (n,)
        First layer from which, to the last, the predicted class's pivot is nearer than the true one's;
        `NO_LAYER` where the path never ends nearer to the predicted class.
    harmful_ids, harmful_labels : array of int64, shape (n, M)
        Training images that most raise the loss of the *true* class, the strongest first.
    harmful_values : array of float64, shape (n, M)
        Negative: by how much, in nats, that loss would change without the training image.
    label_error : array of float64, shape (n,)
        In [0, 1]; see `label_error_score`.
    positions : dict of {"umap", "pca"} to array of float32, shape (n, L, 2)
        Places on the training images' maps.
    k : int
    pivot, distance : str
        Of the trajectories behind `departures`.
    """

    ids: Rows
    true_share: Doubles
    predicted_share: Doubles
    departures: Rows
    harmful_ids: Rows
    harmful_labels: Rows
    harmful_values: Doubles
    label_error: Doubles
    positions: dict[str, npt.NDArray[np.float32]]
    k: int
    pivot: str
    distance: str


def label_error_score(probabilities: Doubles, shares: Doubles, labels: Rows) -> Doubles:
    """Score how likely given labels are wrong: the mean doubt of the network and of the nearest training images.

    The doubt of a distribution over classes is (1 - m) / 2 with m the label's normalised margin, its share less the
    largest other one (Northcutt, Jiang & Chuang 2021; Kuan & Mueller 2022): 0 where all of it is on the label, 1 where
    all is on one other class, about 1/2 where two classes compete, however many there are.

    Parameters
    ----------
    probabilities : array of float64, shape (n, C)
        The network's softmax outputs.
    shares : array of float64, shape (n, C)
        Shares of the nearest training images' labels.
    labels : array of int64, shape (n,)
        The labels in doubt.

    Returns
    -------
    array of float64, shape (n,), in [0, 1]
    """
    return (_doubt(probabilities, labels) + _doubt(shares, labels)) / 2.0


def explain_errors(loaded: LoadedBundle, checkpoint: Progress) -> ErrorReasons:
    """Find what lies behind every natural error of a bundle's model.

    Parameters
    ----------
    loaded : LoadedBundle
    checkpoint : callable
        Told the done share and what is being done; may raise to stop.

    Raises
    ------
    InputError
        If the images are not on this machine.
    """
    images = loaded.bundle.require_images()
    errors = evaluated_images(loaded.bundle.scores).errors()
    if not len(errors):
        return _no_reasons(loaded)
    parts = []
    for start in range(0, len(errors), IMAGES_AT_ONCE):
        checkpoint(start / len(errors), f"error {start + 1} of {len(errors)}")
        part = errors.take(np.arange(start, min(start + IMAGES_AT_ONCE, len(errors))))
        parts.append(_explain(loaded, part, images.images(part.ids)))
    return _joined(parts)


def _no_reasons(loaded: LoadedBundle) -> ErrorReasons:
    detector, layers = _trajectory_detector(loaded), len(loaded.reference.layers)
    none, rows = np.empty(0), np.empty((0, HARMFUL), dtype=np.int64)
    return ErrorReasons(
        ids=none.astype(np.int64),
        true_share=none,
        predicted_share=none,
        departures=none.astype(np.int64),
        harmful_ids=rows,
        harmful_labels=rows,
        harmful_values=np.empty((0, HARMFUL)),
        label_error=none,
        positions={name: np.empty((0, layers, 2), dtype=np.float32) for name in loaded.bundle.maps},
        k=min(NEIGHBOURS, len(loaded.reference.labels)),
        pivot=detector.pivot,
        distance=detector.distance,
    )


def _trajectory_detector(loaded: LoadedBundle) -> TrajectoryDetector:
    detector = loaded.detectors["trajectory"]
    assert isinstance(detector, TrajectoryDetector)
    return detector


def _explain(loaded: LoadedBundle, errors: Evaluated, images: npt.NDArray[np.float32]) -> ErrorReasons:
    reference, detector = loaded.reference, _trajectory_detector(loaded)
    trace = loaded.classifier.trace(images)
    near = _neighbours_per_layer(loaded, trace)
    k = near[-1].rows.shape[1]
    shares = class_shares(reference.labels[near[-1].rows], reference.classes)
    rows = np.arange(len(errors))
    paths = trajectories(trace, reference.pivots, detector.pivot, detector.distance)
    departures = [
        departure_layer(path, detector.distance, int(label), int(predicted))
        for path, label, predicted in zip(paths, errors.labels, errors.predictions, strict=True)
    ]
    # The loss is taken at the true class: what is harmful to it is what made the model err.
    found = reference.influence.top(trace.hidden, errors.labels, min(HARMFUL, len(reference.labels)))
    return ErrorReasons(
        ids=errors.ids,
        true_share=shares[rows, errors.labels],
        predicted_share=shares[rows, errors.predictions],
        departures=np.array([NO_LAYER if layer is None else layer for layer in departures], dtype=np.int64),
        harmful_ids=reference.ids[found.harmful],
        harmful_labels=reference.labels[found.harmful],
        harmful_values=found.harmful_values,
        label_error=label_error_score(trace.probabilities, shares, errors.labels),
        positions={
            name: np.stack([place_between(*pair) for pair in zip(near, coordinates, strict=True)], axis=1)
            for name, coordinates in loaded.bundle.maps.items()
        },
        k=k,
        pivot=detector.pivot,
        distance=detector.distance,
    )


def _neighbours_per_layer(loaded: LoadedBundle, trace: Trace) -> list[Neighbours]:
    """Return the neighbours that place an image on each layer's map, and on the last layer those that vote."""
    reference, most = loaded.reference, len(loaded.reference.labels)
    counts = [min(PLACED_BETWEEN, most)] * (len(reference.layers) - 1) + [min(NEIGHBOURS, most)]
    triples = zip(reference.layers, trace.activations, counts, strict=True)
    return [reference.index(layer).search(activations, k) for layer, activations, k in triples]


def _doubt(shares: Doubles, labels: Rows) -> Doubles:
    rows = np.arange(len(labels))
    own = shares[rows, labels]
    others = shares.copy()
    others[rows, labels] = -np.inf
    return np.asarray((1.0 + others.max(1) - own) / 2.0, dtype=np.float64)


def _joined(parts: list[ErrorReasons]) -> ErrorReasons:
    joined = {
        name: np.concatenate([getattr(part, name) for part in parts])
        for name, value in vars(parts[0]).items()
        if isinstance(value, np.ndarray)
    }
    positions = {name: np.concatenate([part.positions[name] for part in parts]) for name in parts[0].positions}
    first = parts[0]
    return ErrorReasons(**joined, positions=positions, k=first.k, pivot=first.pivot, distance=first.distance)
