"""How usual the hidden state is for each class (Zheng & Hong 2018)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from telltale.base.files import load_arrays, load_metadata, save_arrays, whole
from telltale.base.processes import Work
from telltale.detectors.base import Arrays
from telltale.evidence.density import (
    COVARIANCES,
    ClassDensities,
    DensityChart,
    MixtureSettings,
    density_chart,
    enough,
    held_out_log_density,
    keep_rate,
)
from telltale.evidence.evidence import Evidence
from telltale.kinds.kind import Finished, Finishing, Fitting, Kind, Seen, Stored, opened
from telltale.kinds.needs import SEVERAL_OF_A_CLASS

DENSITY_MAP_FILE = "density_map.safetensors"
COMPONENTS = (1, 2, 3, 5)
PREFIX = "density."
HELD_OUT = "held_out"  # mean log density of images that have not shaped a mixture, in the metadata of its file
LOG_DENSITY = "log_density"  # column of the stored scores


@dataclass(frozen=True)
class DensityView:
    """How usual the hidden state is for each class (Zheng & Hong 2018).

    Attributes
    ----------
    log_density : array of float64, shape (C,)
        log p(H | class) in nats; -inf for classes with too few reference images.
    thresholds : mapping of float to array of float64, shape (C,)
        Per-class rejection threshold TH_c, keyed by the nominal keep rate (0.95, 0.99).
    position : array of float32, shape (2,)
        The hidden state on the bundle's 2-D class map (see `Bundle.density_map`).
    """

    kind: ClassVar[str] = "density"
    log_density: npt.NDArray[np.float64]
    thresholds: Mapping[float, npt.NDArray[np.float64]]
    position: npt.NDArray[np.float32]


class DensityKind(Kind):
    """One Gaussian mixture per class over the hidden state."""

    name = DensityView.kind
    title = "Hidden-state density"
    needs = (SEVERAL_OF_A_CLASS,)

    def prepare(self, fitting: Fitting) -> Work[Any] | None:
        """Fit mixtures of every shape."""
        files = {shape: _file(fitting.folder, shape) for shape in shapes(fitting)}
        hidden, labels, classes = fitting.trace.hidden, fitting.labels, fitting.classes
        held_out, truth = fitting.held_out.hidden, fitting.truth
        missing = [
            _Job(file, hidden, labels, classes, held_out, truth, shape, fitting.seed)
            for shape, file in files.items()
            if not file.exists()
        ]
        return Work(_fit, missing) if missing else None

    def fit(self, fitting: Fitting) -> ClassDensities:
        """Return the fitted mixtures with the largest held-out likelihood.

        All candidates model the whole hidden state in its principal axes: likelihoods of different subspaces could not
        be compared. Only the chosen one is read: of a wide layer all of them together take gigabytes.
        """
        files = [_file(fitting.folder, shape) for shape in shapes(fitting)]
        likeliest = max(files, key=lambda file: float(load_metadata(file)[HELD_OUT]))
        return ClassDensities.from_arrays(load_arrays(likeliest))

    def arrays(self, fitted: object) -> Arrays:
        """Return the mixtures."""
        assert isinstance(fitted, ClassDensities)
        return {PREFIX + key: value for key, value in fitted.to_arrays().items()}

    def restore(self, arrays: Arrays, layers: int) -> ClassDensities | None:
        """Rebuild the mixtures."""
        del layers
        own = {key.removeprefix(PREFIX): value for key, value in arrays.items() if key.startswith(PREFIX)}
        return ClassDensities.from_arrays(own) if own else None

    def finish(self, finishing: Finishing) -> Finished:
        """Store the class map, and thresholds from fit and calibration images: neither has shaped the mixtures."""
        reference, held_out = finishing.reference, (finishing.fit, finishing.calibration)
        log_density = np.concatenate([evidence.log_density for evidence in held_out])
        predictions = np.concatenate([evidence.predictions for evidence in held_out])
        chart, arrays = density_chart(reference.trace.hidden, reference.labels, log_density, predictions)
        kept = {
            f"{keep:g}": keep_rate(finishing.test.log_density, finishing.test.predictions, row)
            for keep, row in zip(chart.keep_rates, chart.thresholds, strict=True)
        }
        notes = {"keep_rates": kept, "mixtures": asdict(reference.densities.settings)}
        return Finished({DENSITY_MAP_FILE: arrays}, notes)

    def open(self, stored: Stored) -> DensityChart:
        """Read the class map."""
        arrays = stored.arrays(DENSITY_MAP_FILE)
        return DensityChart(**{key: arrays[key] for key in ("origin", "axes", "keep_rates", "thresholds")})

    def columns(self, evidence: Evidence) -> dict[str, npt.NDArray[np.float64]]:
        """Return the log density under the predicted class."""
        own = evidence.log_density[np.arange(len(evidence)), evidence.predictions]
        return {LOG_DENSITY: np.where(np.isfinite(own), own, np.nan)}

    def view(self, seen: Seen) -> DensityView:
        """Return the log density under every class, beside the thresholds."""
        chart: DensityChart = opened(seen, DensityChart)
        thresholds = {float(keep): row for keep, row in zip(chart.keep_rates, chart.thresholds, strict=True)}
        place = chart.position(seen.evidence.trace.hidden)[0]
        return DensityView(seen.evidence.log_density[0], thresholds, place)


@dataclass(frozen=True)
class _Job:
    file: Path
    hidden: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int64]
    classes: int
    held_out: npt.NDArray[np.float32]
    truth: npt.NDArray[np.int64]
    shape: MixtureSettings
    seed: int


def _fit(job: _Job) -> None:
    densities = ClassDensities.fit(job.hidden, job.labels, job.classes, job.shape, job.seed)
    held_out = held_out_log_density(densities, job.held_out, job.truth)
    with whole(job.file) as partial:
        save_arrays(partial, densities.to_arrays(), {HELD_OUT: repr(held_out)})


def shapes(fitting: Fitting) -> list[MixtureSettings]:
    """Return the mixtures that are compared: those that the smallest class has images for, the largest first.

    Classes that get no mixture do not count.
    """
    hidden = fitting.trace.hidden
    dimensions = min(hidden.shape[1], len(hidden) - 1)
    counts = np.bincount(fitting.labels, minlength=fitting.classes)
    least = int(counts[enough(fitting.labels, fitting.classes)].min())
    fitting_components = sorted((k for k in COMPONENTS if k <= least), reverse=True)
    return [MixtureSettings(k, c, dimensions) for c in COVARIANCES for k in fitting_components]


def _file(folder: Path, shape: MixtureSettings) -> Path:
    return folder / f"mixtures-{shape.covariance}-{shape.components}.safetensors"
