"""The classifier trace: everything one forward pass leaves behind, as plain arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Index = npt.NDArray[np.int64] | npt.NDArray[np.bool_] | slice


@dataclass(frozen=True)
class Trace:
    """One forward pass: logits and the pooled activation of every layer.

    Attributes
    ----------
    layers : tuple of str, length L
    activations : tuple of L arrays of float32, shape (n, d_l)
        Global average of each layer's output. The last one is the hidden state, the input of the softmax head.
    logits : array of float32, shape (n, C)
    """

    layers: tuple[str, ...]
    activations: tuple[npt.NDArray[np.float32], ...]
    logits: npt.NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.logits)

    @property
    def hidden(self) -> npt.NDArray[np.float32]:
        """Input of the softmax head, shape (n, d)."""
        return self.activations[-1]

    @property
    def predictions(self) -> npt.NDArray[np.int64]:
        """Predicted class of every image, shape (n,)."""
        return np.asarray(self.logits.argmax(1), dtype=np.int64)

    @property
    def probabilities(self) -> npt.NDArray[np.float64]:
        """Softmax of the logits, shape (n, C)."""
        return softmax(self.logits.astype(np.float64))

    def take(self, index: Index) -> Trace:
        """Return the trace of some of the images."""
        return Trace(self.layers, tuple(a[index] for a in self.activations), self.logits[index])

    @staticmethod
    def concatenate(traces: list[Trace]) -> Trace:
        """Join traces of the same network."""
        activations = tuple(np.concatenate(parts) for parts in zip(*(t.activations for t in traces), strict=True))
        return Trace(traces[0].layers, activations, np.concatenate([t.logits for t in traces]))


def softmax(logits: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Softmax over the last axis, without overflow."""
    exponentials = np.exp(logits - logits.max(-1, keepdims=True))
    return np.asarray(exponentials / exponentials.sum(-1, keepdims=True), dtype=np.float64)
