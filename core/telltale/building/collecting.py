"""Versions of whole splits, observed by the classifier, as builds and fresh evaluations need them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from telltale.analysis.observing import Observed
from telltale.base.images import to_bytes
from telltale.base.processes import Processes
from telltale.base.progress import Progress
from telltale.building.attacking import AttackedImages
from telltale.building.observing import Batch, observe
from telltale.building.versions import Versions
from telltale.data.image_set import ImageSet
from telltale.data.rows import Rows
from telltale.data.shifts import change_at_random
from telltale.models.classifier import Classifier

SHIFTED = "fit-shifted"
AT_ONCE = 250
DIGITS = 12


@dataclass(frozen=True)
class Collector:
    """Runs data-set images, natural and attacked, through a classifier.

    Attributes
    ----------
    classifier : Classifier
    weights : Path
        Its weights.
    image_set : ImageSet
    folder : Path
        Where finished chunks are kept.
    processes : Processes
    """

    classifier: Classifier
    weights: Path
    image_set: ImageSet
    folder: Path
    processes: Processes

    def natural(
        self, splits: Sequence[tuple[str, npt.NDArray[np.int64]]], progress: Progress, readings: bool = True
    ) -> list[Versions]:
        """Return the natural images of named splits, whose success is a right prediction."""
        batches = [Batch(split, Rows(self.image_set.pixels, ids), readings) for split, ids in splits]
        found = self._observe(batches, progress)
        return [self._natural(split, ids, seen) for (split, ids), seen in zip(splits, found, strict=True)]

    def attacked(
        self, groups: Sequence[tuple[str, AttackedImages]], progress: Progress, readings: bool = True
    ) -> list[Versions]:
        """Return attacked images with the split that each group belongs to."""
        batches = [Batch(f"{split}-{a.attack}", Rows.all_of(a.pixels), readings) for split, a in groups]
        found = self._observe(batches, progress)
        return [self._attacked(split, a, seen) for (split, a), seen in zip(groups, found, strict=True)]

    def changed(
        self, groups: Sequence[tuple[str, npt.NDArray[np.int64], npt.NDArray[np.uint8]]], progress: Progress
    ) -> list[Versions]:
        """Return natural images whose pixels were changed, named by the change in place of a split.

        Their success is a right prediction; ``groups`` are (name, ids, pixels (n, C, H, W)).
        """
        batches = [Batch(name, Rows.all_of(pixels), True) for name, _, pixels in groups]
        found = self._observe(batches, progress)
        return [self._natural(name, ids, seen) for (name, ids, _), seen in zip(groups, found, strict=True)]

    def shifted(self, ids: npt.NDArray[np.int64], seed: int, progress: Progress) -> Versions:
        """Return natural images of the *fit* split, each changed at random as pictures are without an attack.

        Parameters
        ----------
        ids : array of int64, shape (n,)
        seed : int
        progress : callable

        Returns
        -------
        Versions
            Of n images in 8 bits; their success is a right prediction.
        """
        pixels = np.empty((len(ids), *self.image_set.pixels.shape[1:]), dtype=np.uint8)
        for start in range(0, len(ids), AT_ONCE):  # as floats, all of them would fill the memory
            some = ids[start : start + AT_ONCE]
            pixels[start : start + AT_ONCE] = to_bytes(change_at_random(self.image_set.images(some), some, seed))
        # The pixels name the files: another way of changing them must not find what this one has left.
        name = f"{SHIFTED}-{hashlib.sha256(pixels.tobytes()).hexdigest()[:DIGITS]}"
        (found,) = self.changed([(name, ids, pixels)], progress)
        return replace(found, split=SHIFTED)

    def _observe(self, batches: list[Batch], progress: Progress) -> list[Observed]:
        return observe(self.classifier, self.weights, batches, self.folder, self.processes, progress)

    def _natural(self, split: str, ids: npt.NDArray[np.int64], seen: Observed) -> Versions:
        labels, zeros = self.image_set.labels[ids], np.zeros(len(ids))
        right = seen.trace.predictions == labels
        return Versions(split, "", ids, labels, seen.trace, seen.readings, right, zeros, zeros, zeros)

    def _attacked(self, split: str, found: AttackedImages, seen: Observed) -> Versions:
        labels = self.image_set.labels[found.ids]
        norms = (found.linf, found.l2, found.l0)
        return Versions(split, found.attack, found.ids, labels, seen.trace, seen.readings, found.success, *norms)
