"""What an analysis returns: plain arrays that pages, notebooks and the command line draw from. No torch here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from telltale.base.display import Drawn
from telltale.base.errors import InputError
from telltale.scores.verdicts import FusedVerdict, Verdict

FloatArray = npt.NDArray[np.float32]
DoubleArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Prediction:
    """The classifier's answer for one image.

    Attributes
    ----------
    label : int
        Index of the predicted class.
    name : str
        Its name.
    confidence : float
        Its softmax probability.
    probabilities : array of float64, shape (C,)
    """

    label: int
    name: str
    confidence: float
    probabilities: DoubleArray


@dataclass(frozen=True)
class ResponseView:
    """Feature response and local entropy of one image (Amirian 2018, Eqs. 3 and 4).

    Attributes
    ----------
    response : array of float32, shape (H, W)
        Grey guided-backprop response before rescaling; signed.
    grey : array of uint8, shape (H, W)
        The response rescaled to the 8-bit grey levels whose entropy is taken.
    entropy : array of float32, shape (H - p + 1, W - p + 1)
        Entropy in bits of the grey-level histogram in every interior p x p patch.
    mean_entropy : float
        Mean over the patches, in bits.
    levels, patch : int
        Grey levels and patch side used.
    method : str
        ``"guided backprop"``, or ``"plain gradient"`` for a network without ReLU modules.
    """

    response: FloatArray
    grey: npt.NDArray[np.uint8]
    entropy: FloatArray
    mean_entropy: float
    levels: int
    patch: int
    method: str


@dataclass(frozen=True)
class TrajectoryView:
    """Path of one image through the layers in pivot-distance space (Carrara 2018).

    Attributes
    ----------
    layers : tuple of str, length L
    distances : mapping of (pivot, distance) to array of float32, shape (L, C)
        For pivot in {"centroid", "medoid"} and distance in {"l2", "cosine"}. ``cosine`` is a similarity:
        larger is nearer.
    pivot, distance : str
        The variant that the trajectory detector uses.
    suspicion : array of float64, shape (L,)
        1 - p-value of the LSTM's score after each layer: near 1 where hardly any held-out natural image looked as
        suspicious after the same layer.
    """

    layers: tuple[str, ...]
    distances: Mapping[tuple[str, str], FloatArray]
    pivot: str
    distance: str
    suspicion: DoubleArray


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

    layers: tuple[str, ...]
    ids: IntArray
    labels: IntArray
    distances: FloatArray
    votes: DoubleArray
    score_layer: str
    processing: str
    weighting: str
    score_k: int
    score_ids: IntArray
    positions: Mapping[str, FloatArray]


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

    helpful_ids: IntArray
    harmful_ids: IntArray
    helpful_labels: IntArray
    harmful_labels: IntArray
    helpful_values: DoubleArray
    harmful_values: DoubleArray
    helpful_ranks: FloatArray
    harmful_ranks: FloatArray
    helpful_distances: FloatArray
    harmful_distances: FloatArray
    method: str
    n_train: int


@dataclass(frozen=True)
class DensityView:
    """How usual the hidden state is for each class (Zheng & Hong 2018).

    Attributes
    ----------
    log_density : array of float64, shape (C,)
        log p(H | class) in nats.
    thresholds : mapping of float to array of float64, shape (C,)
        Per-class rejection threshold TH_c, keyed by the nominal keep rate (0.95, 0.99).
    position : array of float32, shape (2,)
        The hidden state on the bundle's 2-D class map (see `Bundle.density_map`).
    """

    log_density: DoubleArray
    thresholds: Mapping[float, DoubleArray]
    position: FloatArray


@dataclass(frozen=True)
class Analysis(Drawn):
    """One image through trace, evidence, scores and verdicts; computed together, identical under any load.

    Attributes
    ----------
    bundle : str
    bundle_id : str
        Content id of the bundle that computed it.
    image_sha256 : str
    image : array of float32, shape (C, H, W)
    prediction : Prediction
    response, trajectory, neighbours, influence, density
        The five kinds of evidence.
    verdicts : tuple of Verdict
        One per detector.
    fused : FusedVerdict or None
        None for a bundle without a fusion.
    timings_ms : mapping of str to float
        Milliseconds per stop of the flow and in ``total``.
    """

    bundle: str
    bundle_id: str
    image_sha256: str
    image: FloatArray
    prediction: Prediction
    response: ResponseView
    trajectory: TrajectoryView
    neighbours: NeighboursView
    influence: InfluenceView
    density: DensityView
    verdicts: tuple[Verdict, ...]
    fused: FusedVerdict | None
    timings_ms: Mapping[str, float]

    def verdict(self, detector: str) -> Verdict:
        """Return the verdict of one detector, or the fused one, by name."""
        fused: tuple[Verdict, ...] = () if self.fused is None else (self.fused.attack,)
        return next(v for v in (*self.verdicts, *fused) if v.detector == detector)

    def to_json(self) -> dict[str, object]:
        """Return the stable JSON object of ``python -m telltale analyse --json``."""
        return {
            "image_sha256": self.image_sha256,
            "prediction": {"label": self.prediction.name, "confidence": self.prediction.confidence},
            "verdicts": [v.to_json() for v in self.verdicts],
            "fused": None if self.fused is None else self.fused.to_json(),
            "timings_ms": dict(self.timings_ms),
        }


@dataclass(frozen=True)
class Comparison(Drawn):
    """A natural image and its attacked version, analysed by the same bundle.

    Attributes
    ----------
    natural, attacked : Analysis

    Raises
    ------
    InputError
        If two bundles, or two false-positive rates, are behind them.
    """

    natural: Analysis
    attacked: Analysis

    def __post_init__(self) -> None:
        if self.natural.bundle_id != self.attacked.bundle_id:
            raise InputError("Both images must be analysed by the same bundle.")
        if {v.alpha for v in self.natural.verdicts} != {v.alpha for v in self.attacked.verdicts}:
            raise InputError("Both images must be analysed at the same false-positive rate alpha.")


@dataclass(frozen=True)
class SweepPoint:
    """One strength on the straight line from a natural to an attacked image.

    Attributes
    ----------
    strength : float
        0 is the natural image, 1 the attacked one; clipped to [0, 1] pixels and rounded to 8 bits.
    linf : float
        Largest pixel change from the natural image.
    prediction : Prediction
    trajectory : TrajectoryView
    """

    strength: float
    linf: float
    prediction: Prediction
    trajectory: TrajectoryView


@dataclass(frozen=True)
class SavedReading:
    """How an attacked image is read after it was saved as a file and opened again.

    Attributes
    ----------
    file : str
        Format, with its quality where it has one.
    size : int
        Bytes of the file.
    linf : float
        Largest change of a pixel through saving, in [0, 1] pixel units; 0 for a lossless format.
    prediction : Prediction
    adversarial : bool
        Whether the attack still reaches its aim.
    """

    file: str
    size: int
    linf: float
    prediction: Prediction
    adversarial: bool


@dataclass(frozen=True)
class LiveScores:
    """Scores of freshly attacked images beside their natural versions.

    Attributes
    ----------
    ids : array of int64, shape (n,)
        Images that the classifier gets right; only those are attacked.
    natural, attacked : mapping of detector name to array of float64, shape (n,)
    success : array of bool, shape (n,)
        Whether the attacked image is adversarial; scores of failed attempts never count as adversarial.
    skipped : int
        Images left out because the classifier errs on them.
    """

    ids: IntArray
    natural: Mapping[str, DoubleArray]
    attacked: Mapping[str, DoubleArray]
    success: npt.NDArray[np.bool_]
    skipped: int
