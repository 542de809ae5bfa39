"""Mean entropies of feature responses, guided and plain, of many images in worker processes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from telltale.base.files import load_arrays, save_arrays, whole
from telltale.base.images import to_floats
from telltale.base.processes import Work
from telltale.evidence.response import feature_responses
from telltale.models.spec import ClassifierSpec
from telltale.models.weights import load_weights
from telltale.studies.tables.lab import Lab

CHUNK = 20


@dataclass(frozen=True)
class Entropies:
    """What n images give.

    Attributes
    ----------
    guided, plain : array of float64, shape (n,)
        Mean local entropy of the response in bits (Amirian et al. 2018, Eq. 4), rectifiers guided or not.
    probabilities : array of float64, shape (n, C)
    """

    guided: npt.NDArray[np.float64]
    plain: npt.NDArray[np.float64]
    probabilities: npt.NDArray[np.float64]

    @property
    def confidence(self) -> npt.NDArray[np.float64]:
        """Largest probability of each image, shape (n,)."""
        return np.asarray(self.probabilities.max(1))


@dataclass(frozen=True)
class _Job:
    file: Path
    weights: Path
    spec: ClassifierSpec
    pixels: npt.NDArray[np.uint8]


def measure_entropies(lab: Lab, name: str, pixels: npt.NDArray[np.uint8]) -> Entropies:
    """Measure images, shape (n, C, H, W); what an interrupted run has finished is not done again.

    Parameters
    ----------
    lab : Lab
    name : str
        Of the images, for the files that are kept.
    pixels : array of uint8
    """
    folder = lab.folder / "entropies"
    folder.mkdir(parents=True, exist_ok=True)
    starts = range(0, len(pixels), CHUNK)
    files = [folder / f"{name}-{len(pixels)}-{start}.safetensors" for start in starts]
    jobs = [
        _Job(file, lab.weights, lab.classifier.spec, pixels[start : start + CHUNK])
        for file, start in zip(files, starts, strict=True)
        if not file.exists()
    ]
    lab.processes.run(Work(_measure, jobs, lambda done, _: lab.progress(done / len(jobs), f"Responses to {name}")))
    parts = [load_arrays(file) for file in files]
    return Entropies(*(np.concatenate([part[key] for part in parts]) for key in ("guided", "plain", "probabilities")))


def _measure(job: _Job) -> None:
    classifier, images = load_weights(job.spec, job.weights), to_floats(job.pixels)
    entropies = {
        key: feature_responses(classifier, images, guided=guided).mean_entropy
        for key, guided in (("guided", True), ("plain", False))
    }
    with whole(job.file) as partial:
        save_arrays(partial, entropies | {"probabilities": classifier.trace(images).probabilities})
