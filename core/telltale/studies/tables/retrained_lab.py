"""A lab whose network was trained for fewer epochs than the bundle's, with everything that detectors need of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from telltale.building.referencing import fit_reference
from telltale.building.versions import Versions
from telltale.bundle.bundle import REFERENCE_FILE
from telltale.bundle.fitted import FittedFiles, ReferenceFiles, save_reference
from telltale.evidence.reference import Reference
from telltale.models.classifier import Classifier
from telltale.recipes import get_recipe
from telltale.studies.tables.lab import Lab
from telltale.studies.tables.training import learned_images, trained_network


@dataclass(frozen=True)
class RetrainedLab(Lab):
    """A lab with another network on the same data, splits and training images.

    Attributes
    ----------
    epochs : int
        How long its network is trained.
    """

    epochs: int

    @classmethod
    def of(cls, lab: Lab, epochs: int) -> RetrainedLab:
        """Put another network into a lab."""
        return cls(lab.recipe, lab.data, lab.images, lab.processes, lab.progress, epochs)

    @cached_property
    def classifier(self) -> Classifier:
        """The network, trained once and read afterwards."""
        return trained_network(self, replace(get_recipe(self.recipe), epochs=self.epochs), self.weights)

    @property
    def network(self) -> str:
        """What sets this network apart from all others."""
        return f"{self.loaded.bundle.id} after {self.epochs} epochs on {len(learned_images(self))} images"

    @cached_property
    def reference(self) -> ReferenceFiles:
        """Where worker processes find the reference set, fitted once."""
        folder, bundle = self.folder / "model", self.loaded.bundle
        if not (folder / REFERENCE_FILE).exists():
            save_reference(folder, bundle.splits, self._fit_reference(), half=False)
        return ReferenceFiles.filled(folder, self.classifier.layers, len(bundle.class_names))

    def _fit_reference(self) -> Reference:
        bundle = self.loaded.bundle
        train, held_out = (self._whole_split(split) for split in ("train", "fit"))
        return fit_reference(
            train.ids,
            train.labels,
            train.trace,
            (held_out.trace, held_out.labels),
            len(bundle.class_names),
            bundle.manifest.seed,
            self.folder / "candidates",
            self.processes,
        )

    def _whole_split(self, split: str) -> Versions:
        return self._natural("natural", split, getattr(self.loaded.bundle.splits, split), readings=False)

    @property
    def _fitted(self) -> FittedFiles | None:
        """No detectors: the bundle's were fitted to its own network."""
        return None

    @property
    def weights(self) -> Path:
        """File of the network's weights."""
        return self.folder / "weights.safetensors"

    def _natural_predictions(self, split: str) -> npt.NDArray[np.int64]:
        return self._whole_split(split).trace.predictions
