"""Generated features of any size: what a trained network's hidden states look like, without a data set."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from telltale.evidence.influence import SoftmaxHead

Floats = npt.NDArray[np.float32]

SIBLINGS = 10  # classes of one family, which are the likeliest to be confused
SEPARATION = 3.05  # of a family's and of a class's own mean, in standard deviations of the noise
DECAY = 0.5  # the j-th principal direction's standard deviation falls as j ** -DECAY
DAMPING = 1e-4
CHUNK = 16_384


@dataclass(frozen=True)
class GeneratedFeatures:
    """Gaussian classes in families, with one covariance of decaying spectrum, and the best head for them.

    For classes that share their covariance the best classifier is exactly a softmax of linear functions, so the head
    is written down and not fitted: its probabilities are calibrated and it errs as often as the classes overlap.

    Attributes
    ----------
    means : array of float32, shape (C, d)
        Class means, in standard deviations along the principal directions.
    axes : array of float32, shape (d, d)
        Principal directions of the noise, scaled by its standard deviation: rows.
    """

    means: Floats
    axes: Floats

    @classmethod
    def make(cls, classes: int, width: int, seed: int = 0) -> GeneratedFeatures:
        """Place the classes: C means for hidden states of width d."""
        draws = np.random.default_rng([seed, classes, width])
        unit = SEPARATION / np.sqrt(width)
        families = unit * draws.standard_normal((-(-classes // SIBLINGS), width))
        own = unit * draws.standard_normal((classes, width))
        spread = np.arange(1, width + 1) ** -DECAY
        spread *= np.sqrt(width / np.square(spread).sum())
        rotation = np.linalg.qr(draws.standard_normal((width, width)))[0]
        means = families[np.arange(classes) // SIBLINGS] + own
        return cls(means.astype(np.float32), (spread[:, None] * rotation).astype(np.float32))

    def draw(self, count: int, seed: int) -> tuple[Floats, npt.NDArray[np.int64]]:
        """Draw hidden states (count, d), around 1 as those after a ReLU are off zero, and their classes."""
        draws = np.random.default_rng([seed, 1])
        labels = draws.integers(0, len(self.means), count)
        noise = draws.standard_normal((count, self.means.shape[1]), dtype=np.float32)
        hidden = (noise + self.means[labels]) @ self.axes + np.float32(1.0)
        return np.asarray(hidden, dtype=np.float32), labels

    def write(self, path: Path, count: int, seed: int) -> npt.NDArray[np.int64]:
        """Write hidden states as ``.npy``, chunk by chunk, and return their classes."""
        hidden = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=(count, self.means.shape[1]))
        labels = np.empty(count, dtype=np.int64)
        for chunk, start in enumerate(range(0, count, CHUNK)):
            part = slice(start, min(start + CHUNK, count))
            hidden[part], labels[part] = self.draw(part.stop - start, seed + chunk)
        hidden.flush()
        return labels

    def head(self) -> SoftmaxHead:
        """Return the softmax head with the least expected loss on these classes."""
        inverse = np.linalg.inv(self.axes.astype(np.float64))
        weights = self.means.astype(np.float64) @ inverse.T
        biases = -0.5 * np.square(self.means.astype(np.float64)).sum(1) - weights.sum(1)
        return SoftmaxHead(np.hstack([weights, biases[:, None]]), DAMPING)
