"""The natural images of a bundle's held-out splits as the model reads them: all that needs neither model nor images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc

if TYPE_CHECKING:
    import pyarrow as pa

Rows = npt.NDArray[np.int64]
NATURAL_KINDS = ("natural", "natural_error")


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


def evaluated_images(scores: pa.Table) -> Evaluated:
    """Return the natural images behind a bundle's stored scores, whether read correctly or not.

    Parameters
    ----------
    scores : pyarrow Table
        `Bundle.scores`.
    """
    natural = scores.filter(pc.is_in(scores["kind"], value_set=_texts(NATURAL_KINDS)))

    def column(name: str, kind: type) -> Any:
        return np.array(natural[name].to_pylist(), dtype=kind)

    return Evaluated(
        ids=column("image_id", np.int64),
        labels=column("label", np.int64),
        predictions=column("prediction", np.int64),
        splits=column("split", np.str_),
        confidences=column("confidence", np.float64),
    )


def _texts(values: tuple[str, ...]) -> pa.Array:
    import pyarrow as pa

    return pa.array(values)
