"""Detection by the share of neighbours that agree with the prediction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from telltale.base.errors import InputError
from telltale.base.parameters import ParameterValue
from telltale.base.settings import Settings, parameter
from telltale.detectors.base import Arrays, Detector, Labels
from telltale.detectors.tails import TAILS, UPPER, outwardness, which_tails
from telltale.evidence.evidence import Evidence
from telltale.evidence.neighbours import PROCESSINGS, WEIGHTINGS, Neighbours, Processing, Weighting


@dataclass(frozen=True)
class KnnScoreSettings(Settings):
    """Settings of the detector."""

    layer: int = parameter(-1, low=-1000, high=1000, help="Layer index; -1 is the input of the softmax head.")
    processing: Processing = parameter("pca_whiten", choices=PROCESSINGS, help="Applied to the activations first.")
    weighting: Weighting = parameter("dwknn", choices=WEIGHTINGS, help="Weight of a neighbour: 1, 1/rank, 1/d².")
    k: int = parameter(
        1000,
        low=1,
        high=1_000_000,
        help="Neighbours; at most half of the training images are used.",
        title="Neighbours k",
    )
    tails: str = which_tails()


class KnnScoreDetector(Detector):
    """1 - s(x, predicted class), the kNN score of Carrara et al. (2017, Eq. 2).

    Strong attacks can land deeper inside the wrong class than natural images lie in theirs. With ``tails="both"`` an
    unusually high share is as suspicious as an unusually low one.
    """

    name = "knn_score"
    title = "kNN score"
    paper = "Carrara et al. (2017), Detecting adversarial example attacks to deep neural networks"
    summary = "Asks the nearest training images whether they share the predicted class."
    reads = ("neighbours",)
    page = ("neighbours", "Neighbours")
    settings = KnnScoreSettings()
    needs_attacks = False

    @classmethod
    def candidates(cls, evidence: Evidence) -> list[Mapping[str, ParameterValue]]:
        """Every layer, processing and weighting, k from tens to half of the training images, one tail and both."""
        most = largest_k(evidence, 1000)
        # The nearest of the largest k are those of every smaller one: they are searched once.
        ks = sorted({min(k, most) for k in (10, 50, 100, 200, 500, 1000)}, reverse=True)
        layers = range(-len(evidence.reference.layers), 0)
        return [
            {"layer": layer, "processing": p, "weighting": w, "k": k, "tails": tails}
            for layer in layers
            for p in PROCESSINGS
            for w in WEIGHTINGS
            for k in ks
            for tails in TAILS
        ]

    @property
    def processing(self) -> Processing:
        """How activations are processed."""
        return self.settings.processing

    @property
    def weighting(self) -> Weighting:
        """How neighbours are weighted."""
        return self.settings.weighting

    def layer_name(self, evidence: Evidence) -> str:
        """Name of the layer that is searched."""
        layers, layer = evidence.reference.layers, self.settings.layer
        if not -len(layers) <= layer < len(layers):
            raise InputError(f"layer must be an integer in [{-len(layers)}, {len(layers) - 1}], got {layer}.")
        return layers[layer]

    def neighbours(self, evidence: Evidence) -> Neighbours:
        """Return the training images that vote."""
        k = largest_k(evidence, self.settings.k)
        return evidence.neighbours(self.layer_name(evidence), self.processing, k)

    def votes(self, evidence: Evidence) -> npt.NDArray[np.float64]:
        """Share of the vote per class, shape (n, C)."""
        k = largest_k(evidence, self.settings.k)
        return evidence.votes(self.layer_name(evidence), self.processing, self.weighting, k)

    def disagreement(self, evidence: Evidence) -> npt.NDArray[np.float64]:
        """1 - share of the vote for the predicted class, shape (n,)."""
        votes = self.votes(evidence)
        return np.asarray(1.0 - votes[np.arange(len(votes)), evidence.predictions])

    def _fit(self, evidence: Evidence, labels: Labels) -> None:
        self.natural_ = np.sort(self.disagreement(evidence)[~labels.adversarial])

    def _score(self, evidence: Evidence) -> npt.NDArray[np.float64]:
        values = self.disagreement(evidence)
        return values if self.settings.tails == UPPER else outwardness(self.natural_, values)

    def _arrays(self) -> Arrays:
        return {"natural": self.natural_}

    def _restore(self, arrays: Arrays) -> None:
        self.natural_ = arrays["natural"]


def largest_k(evidence: Evidence, k: int) -> int:
    """Limit k to half of the training images."""
    return max(1, min(k, len(evidence.reference.labels) // 2))
