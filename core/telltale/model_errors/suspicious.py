"""Training images whose label is probably wrong: self-influence and contradicting neighbours as one ranked list."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

from telltale.base.progress import Progress, stage
from telltale.evidence.influence import SoftmaxHead
from telltale.model_errors.label_votes import leave_one_out_votes
from telltale.model_errors.self_influence import self_influence

if TYPE_CHECKING:
    from telltale.evidence.reference import Reference

NEIGHBOURS = 20


@dataclass(frozen=True)
class SuspiciousImages:
    """All N training images, the most suspicious label first; equal ones by id.

    Attributes
    ----------
    ids : array of int64, shape (N,)
        Data-set ids.
    labels : array of int64, shape (N,)
        The labels they were given.
    suspicion : array of float64, shape (N,)
        Mean of the two shares of training images with less (ties count half) self-influence and less neighbour
        disagreement, in [0, 1].
    self_influence : array of float64, shape (N,)
        In nats: how much the loss of the given label would rise without the image.
    disagreement : array of float64, shape (N,)
        Share of the k nearest other training images, on the last layer, that have another label.
    neighbour_labels : array of int64, shape (N,)
        The most frequent other label among them, ...
    neighbour_shares : array of float64, shape (N,)
        ... and its share.
    k : int
    method : str
        How self-influence was computed, in words.
    """

    ids: npt.NDArray[np.int64]
    labels: npt.NDArray[np.int64]
    suspicion: npt.NDArray[np.float64]
    self_influence: npt.NDArray[np.float64]
    disagreement: npt.NDArray[np.float64]
    neighbour_labels: npt.NDArray[np.int64]
    neighbour_shares: npt.NDArray[np.float64]
    k: int
    method: str

    def __len__(self) -> int:
        return len(self.ids)

    def records(self, count: int) -> Iterator[dict[str, int | float]]:
        """Yield the first `count` images as one flat record each, for tables and files."""
        for row in range(min(count, len(self))):
            yield {
                "rank": row + 1,
                "image_id": int(self.ids[row]),
                "label": int(self.labels[row]),
                "neighbour_label": int(self.neighbour_labels[row]),
                "suspicion": float(self.suspicion[row]),
                "self_influence": float(self.self_influence[row]),
                "disagreement": float(self.disagreement[row]),
                "neighbour_share": float(self.neighbour_shares[row]),
            }


def suspicious_images(reference: Reference, checkpoint: Progress) -> SuspiciousImages:
    """Rank the training images of a bundle's reference set; see `rank_labels`."""
    return rank_labels(
        reference.ids, reference.trace.hidden, reference.labels, reference.classes, reference.head, checkpoint
    )


def rank_labels(
    ids: npt.NDArray[np.int64],
    hidden: npt.NDArray[np.float32],
    labels: npt.NDArray[np.int64],
    classes: int,
    head: SoftmaxHead,
    checkpoint: Progress,
) -> SuspiciousImages:
    """Rank training images by how suspicious their label is.

    Parameters
    ----------
    ids, labels : array of int64, shape (N,)
    hidden : array of float32, shape (N, d)
    classes : int
    head : SoftmaxHead
        At the optimum of its own damping on exactly these images.
    checkpoint : callable
        Told the done share and what is being done; may raise to stop.
    """
    checkpoint(0.0, "measuring self-influence")
    influence, method = self_influence(head, hidden, labels, stage(checkpoint, 0.0, 0.5, "measuring self-influence"))
    k = min(NEIGHBOURS, len(hidden) - 1)
    votes = leave_one_out_votes(hidden, labels, classes, k, stage(checkpoint, 0.5, 1.0, "asking the neighbours"))
    disagreement = 1.0 - votes.own.astype(np.float64)
    suspicion = (share_below(influence) + share_below(disagreement)) / 2.0
    order = np.lexsort((ids, -suspicion))
    return SuspiciousImages(
        ids=ids[order],
        labels=labels[order],
        suspicion=suspicion[order],
        self_influence=influence[order],
        disagreement=disagreement[order],
        neighbour_labels=votes.rival[order],
        neighbour_shares=votes.rival_share[order].astype(np.float64),
        k=k,
        method=method,
    )


def share_below(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return for every value the share of all values that are smaller, equal ones counting half; shape (n,)."""
    return np.asarray((rankdata(values) - 0.5) / len(values), dtype=np.float64)
