"""Natural shift: how often detectors and controls alarm on natural images that were only processed, not attacked."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pyarrow.compute as pc

from telltale.analysis.opened import LoadedBundle
from telltale.base.images import to_bytes
from telltale.base.processes import Processes
from telltale.base.progress import Progress, part
from telltale.building.collecting import Collector
from telltale.building.fresh import reference_files
from telltale.building.scoring import score_versions
from telltale.bundle.bundle import WEIGHTS_FILE
from telltale.bundle.fitted import FittedFiles
from telltale.data.shifts import SHIFTS
from telltale.scores.controls import column_of, controls_in, with_controls
from telltale.scores.rates import Rate, thresholds
from telltale.scores.shift import AlarmsUnderShift, ShiftAlarms
from telltale.scores.table import KIND, NATURAL, SPLIT, draw_test_ids, numbers, scored_detectors


def shift_alarms(loaded: LoadedBundle, alpha: float, images: int, progress: Progress) -> ShiftAlarms:
    """Shift natural test images in every way, and count alarms among those still read correctly.

    Parameters
    ----------
    loaded : LoadedBundle
    alpha : float
        False-positive rate of the thresholds, in (0, 1).
    images : int
        How many correctly read natural test images, drawn under the bundle's seed; fewer where there are fewer.
    progress : callable
        Told the fraction done and what is being done.

    Raises
    ------
    InputError
        If alpha is not in (0, 1), or the data set is not on this machine.
    """
    bundle = loaded.bundle
    known = thresholds(bundle.scores, alpha)
    image_set = bundle.require_images()
    ids = draw_test_ids(bundle.scores, images, bundle.manifest.seed)
    natural = image_set.images(ids)
    # Through bytes, as every image that is looked at.
    groups = [(shift.name, ids, to_bytes(shift.apply(natural))) for shift in SHIFTS]
    settings = {name: detector.settings.values() for name, detector in loaded.detectors.items()}
    fitted = FittedFiles.of(reference_files(loaded, bundle.folder), settings)
    with TemporaryDirectory() as kept, Processes() as processes:
        folder, weights = Path(kept), bundle.path(WEIGHTS_FILE)
        collect = Collector(loaded.classifier, weights, image_set, folder / "observed", processes)
        versions = collect.changed(groups, part(progress, 0.0, 0.6))
        scores = score_versions(versions, fitted, folder / "scores", processes, part(progress, 0.6, 1.0))
    table = with_controls(scores)
    names = tuple(name for name in (*scored_detectors(table), *controls_in(table)) if name in known)
    shifts = tuple(_count(table, shift.name, shift.title, names, known) for shift in SHIFTS)
    return ShiftAlarms(alpha, len(ids), names, shifts)


def _count(
    table: pa.Table, shift: str, title: str, names: tuple[str, ...], known: Mapping[str, float]
) -> AlarmsUnderShift:
    rows = table.filter((pc.field(SPLIT) == shift) & (pc.field(KIND) == NATURAL))
    alarms = {name: int((numbers(rows, column_of(name)) >= known[name]).sum()) for name in names}
    rates = {name: Rate(count, rows.num_rows) for name, count in alarms.items()}
    return AlarmsUnderShift(shift, title, rows.num_rows, rates)
