"""The natural images of a bundle's held-out splits as the model reads them: all that needs neither model nor images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc

from telltale.scores.table import CONFIDENCE, IMAGE_ID, KIND, LABEL, NATURAL, NATURAL_ERROR, PREDICTION, SPLIT

if TYPE_CHECKING:
    import pyarrow as pa

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Evaluated:
    """n natural images of *fit*, *calibration* and *test*, each once.

    Attributes
    ----------
    ids, labels, predictions : array of int64, shape (n,)
    splits : array of str, shape (n,)
    confidences : array of float64, shape (n,)
        Softmax probability of the predicted class.
    """

    ids: Rows
    labels: Rows
    predictions: Rows
    splits: npt.NDArray[np.str_]
    confidences: npt.NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def wrong(self) -> npt.NDArray[np.bool_]:
        """Which of them the model misreads, shape (n,)."""
        return np.asarray(self.labels != self.predictions)

    def take(self, chosen: npt.NDArray[np.bool_] | Rows) -> Evaluated:
        """Return some of them."""
        return Evaluated(**{name: values[chosen] for name, values in vars(self).items()})

    def errors(self) -> Evaluated:
        """Return those that the model misreads, in the same order."""
        return self.take(self.wrong)

    def confusion(self, classes: int) -> Rows:
        """Count images by true class (row) and predicted class (column), shape (C, C)."""
        cells = np.bincount(self.labels * classes + self.predictions, minlength=classes * classes)
        return np.asarray(cells.reshape(classes, classes), dtype=np.int64)


def evaluated_rows(scores: pa.Table) -> pa.Table:
    """Return the rows of natural images, in the order of `evaluated_images`."""
    return scores.filter(pc.field(KIND).isin([NATURAL, NATURAL_ERROR]))


def evaluated_images(scores: pa.Table) -> Evaluated:
    """Return the natural images behind a bundle's stored scores, whether read correctly or not.

    Parameters
    ----------
    scores : pyarrow Table
        `Bundle.scores`.
    """
    natural = evaluated_rows(scores)

    def column(name: str, kind: type) -> Any:
        return np.array(natural[name].to_pylist(), dtype=kind)

    return Evaluated(
        ids=column(IMAGE_ID, np.int64),
        labels=column(LABEL, np.int64),
        predictions=column(PREDICTION, np.int64),
        splits=column(SPLIT, np.str_),
        confidences=column(CONFIDENCE, np.float64),
    )
