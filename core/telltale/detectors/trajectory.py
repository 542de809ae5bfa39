"""Detection by the path through the layers in pivot-distance space."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from telltale.base.parameters import ParameterValue
from telltale.base.settings import Settings, parameter
from telltale.detectors.base import Arrays, Detector, Labels, macro_auc
from telltale.evidence.evidence import Evidence
from telltale.evidence.trajectory import DISTANCES, PIVOTS, DistanceKind, PivotKind

if TYPE_CHECKING:
    from torch import nn

    from telltale.detectors.sequence_networks import TrajectoryLstm, TrajectoryMlp

ARCHITECTURES = ("lstm", "mlp")
RUNNING_SUSPICION = "running_suspicion"
SEEN_SEQUENCES = 900_000  # in all epochs together: few sequences are seen more often, never less than in the paper


@dataclass(frozen=True)
class TrajectorySettings(Settings):
    """Settings of the detector."""

    architecture: Literal["lstm", "mlp"] = parameter(
        "lstm", choices=ARCHITECTURES, help="Network that reads the trajectory."
    )
    pivot: PivotKind = parameter("medoid", choices=PIVOTS, help="Reference point of a class on a layer.")
    distance: DistanceKind = parameter("cosine", choices=DISTANCES, help="Euclidean distance or cosine similarity.")
    epochs: int = parameter(500, low=1, high=5000, help="Most passes over the fit split; the best one is kept.")
    seed: int = parameter(0, low=0, high=2**31 - 1, help="Seeds weights and sampling.")


class TrajectoryDetector(Detector):
    """LSTM or perceptron over a trajectory (Carrara et al. 2018).

    The paper's 100 epochs run over far more images; here up to 500 do where there are few, stopped once 100 bring
    nothing. Distances are standardised per layer and class over the natural images of the fit split before the
    network reads them. The best epoch is chosen by macro-AUC on one image-grouped fold of the fit split.
    """

    name = "trajectory"
    title = "Trajectory"
    paper = "Carrara et al. (2018), Adversarial examples detection in features distance spaces"
    summary = "Follows the image through the layers by its distances to one pivot per class."
    reads = ("trajectory",)
    page = ("trajectories", "Trajectories")
    settings = TrajectorySettings()

    @classmethod
    def candidates(cls, evidence: Evidence) -> list[Mapping[str, ParameterValue]]:
        """Both networks over both pivots and both distances: Table 2 of the paper."""
        epochs = int(np.clip(SEEN_SEQUENCES // len(evidence), 100, 500))
        return [
            {"architecture": a, "pivot": p, "distance": d, "epochs": epochs}
            for a in ARCHITECTURES
            for p in PIVOTS
            for d in DISTANCES
        ]

    selection_folds = 1

    @property
    def pivot(self) -> PivotKind:
        """Kind of pivot."""
        return self.settings.pivot

    @property
    def distance(self) -> DistanceKind:
        """Kind of distance."""
        return self.settings.distance

    def running_scores(self, evidence: Evidence) -> npt.NDArray[np.float64] | None:
        """Score after every layer, shape (n, L), the last one being `score`; None for the perceptron."""
        if self.settings.architecture != "lstm":
            return None
        import torch

        with torch.inference_mode():
            logits = self.network_.running_logits(torch.from_numpy(self._sequences(evidence)))  # type: ignore[operator]
        return np.asarray(logits.double().numpy())

    def companions(self, evidence: Evidence, labels: Labels) -> dict[str, Detector]:
        """Fit the LSTM whose state after every layer is shown: this detector itself where it is one."""
        if self.settings.architecture == "lstm":
            return {RUNNING_SUSPICION: self}
        running = TrajectoryDetector(**{**self.settings.values(), "architecture": "lstm"})
        return {RUNNING_SUSPICION: running.fit(evidence, labels)}

    def _fit(self, evidence: Evidence, labels: Labels) -> None:
        from telltale.detectors.sequence_networks import train_network

        raw = self._distances(evidence).astype(np.float64)
        natural = raw[~labels.adversarial]
        self.mean_ = natural.mean(0)
        spread = natural.std(0)
        self.scale_ = np.where(spread > 0.0, spread, 1.0)
        sequences = self._sequences(evidence)
        train, held_out = next(labels.folds())

        def quality(network: nn.Module) -> float:
            return macro_auc(_logits(network, sequences[held_out]), labels.take(held_out))

        self.network_ = self._network(evidence)
        epochs, seed = self.settings.epochs, self.settings.seed
        weights = labels.balanced_weights()
        train_network(self.network_, sequences[train], labels.adversarial[train], weights[train], quality, epochs, seed)

    def _score(self, evidence: Evidence) -> npt.NDArray[np.float64]:
        return _logits(self.network_, self._sequences(evidence))

    def _sequences(self, evidence: Evidence) -> npt.NDArray[np.float32]:
        raw = self._distances(evidence)
        return np.asarray((raw - self.mean_) / self.scale_, dtype=np.float32)

    def _distances(self, evidence: Evidence) -> npt.NDArray[np.float32]:
        """Distances to the pivots that there are, shape (n, L, classes with references)."""
        found, known = evidence.trajectory(self.pivot, self.distance), evidence.reference.pivots.known
        return found if known.all() else found[:, :, known]

    def _network(self, evidence: Evidence) -> TrajectoryLstm | TrajectoryMlp:
        return self._build(len(evidence.reference.layers), int(evidence.reference.pivots.known.sum()))

    def _build(self, layers: int, classes: int) -> TrajectoryLstm | TrajectoryMlp:
        from telltale.detectors.sequence_networks import build_network

        return build_network(self.settings.architecture, layers, classes, self.settings.seed)

    def _arrays(self) -> Arrays:
        state = {f"network.{k}": v.double().numpy() for k, v in self.network_.state_dict().items()}
        return {"mean": self.mean_, "scale": self.scale_, **state}

    def _restore(self, arrays: Arrays) -> None:
        import torch

        self.mean_, self.scale_ = arrays["mean"], arrays["scale"]
        self.network_ = self._build(*self.mean_.shape)
        prefix = "network."
        state = {k[len(prefix) :]: torch.from_numpy(v).float() for k, v in arrays.items() if k.startswith(prefix)}
        self.network_.load_state_dict(state)
        self.network_.eval()


def _logits(network: nn.Module, sequences: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    import torch

    with torch.inference_mode():
        return np.asarray(network(torch.from_numpy(sequences)).double().numpy())
