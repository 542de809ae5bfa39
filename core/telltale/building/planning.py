"""What a build around somebody's own classifier takes: which images serve what, and what minutes leave of that."""

from __future__ import annotations

import hashlib
import json
import logging
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from telltale.base.files import load_json, save_json, whole
from telltale.base.origin import code_sha256, library_versions
from telltale.base.progress import Progress
from telltale.building.inspecting.cost import IMAGES, Counts, Measured, measure
from telltale.building.inspecting.minutes import EACH, cut_to
from telltale.bundle.own_data import CUT
from telltale.data.image_set import ImageSet
from telltale.data.outputs import draw_labelled
from telltale.data.splits import Splits, SplitSizes
from telltale.models.classifier import Classifier
from telltale.recipes import BundlePlan, spared_sizes

MEASURED_FILE = "measured.json"
KEY_LENGTH = 16
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Planned:
    """What a build takes.

    Attributes
    ----------
    plan : BundlePlan
    splits : Splits
    notes : dict of str to object
        For the manifest.
    """

    plan: BundlePlan
    splits: Splits
    notes: dict[str, object]


def plan_around(
    classifier: Classifier,
    plan: BundlePlan,
    image_set: ImageSet,
    minutes: float | None,
    kept: Path,
    name: str,
    progress: Progress,
    reading: float = 0.0,
) -> Planned:
    """Draw the splits of a build and, where there are minutes, cut them to what fits.

    What was cut is told as a warning of the logger of this module, too.

    Parameters
    ----------
    classifier : Classifier
    plan : BundlePlan
    image_set : ImageSet
    minutes : float or None
    kept : Path
        Where the build keeps what it has finished. What was measured lies there: a build that was stopped goes on with
        the same images.
    name : str
        Of the bundle.
    progress : callable
        Told what is being measured.
    reading : float
        Seconds that reading all images has taken.

    Raises
    ------
    InputError
        If the images or the minutes are too few.
    """
    splits = draw_own_splits(plan, image_set)
    if minutes is None:
        return Planned(plan, splits, {})
    held_out = SplitSizes(len(splits.fit), len(splits.calibration), len(splits.test))
    _, members = np.unique(image_set.labels[splits.train], return_counts=True)
    read = reading / max(1, len(image_set))
    measured = _measured(classifier, plan, image_set, splits, kept, name, progress, read)
    full = Counts(len(splits.train), held_out, plan.attacks, len(image_set))
    cut = cut_to(minutes, full, int(np.minimum(members, EACH).sum()), measured)
    if cut.sentence is None:
        return Planned(plan, splits, {})
    _log.warning("%s", cut.sentence)
    counts = cut.counts
    kept_attacks = {attack.name for attack in counts.attacks}
    macro = tuple(name for name in plan.macro_attacks if name in kept_attacks)
    return Planned(
        replace(plan, sizes=counts.sizes, attacks=counts.attacks, macro_attacks=macro),
        splits.thinned(image_set.labels, counts.references, counts.sizes, plan.seed, EACH),
        {CUT: cut.sentence},
    )


def draw_own_splits(plan: BundlePlan, image_set: ImageSet) -> Splits:
    """Return the splits of somebody's own images; few without splits of their own are spread by shares.

    Raises
    ------
    InputError
        If they are too few.
    """
    sizes = plan.sizes if any(image_set.own_held_out) else spared_sizes(plan.sizes, len(image_set))
    return draw_labelled(image_set, sizes, plan.seed)


def _measured(
    classifier: Classifier,
    plan: BundlePlan,
    image_set: ImageSet,
    splits: Splits,
    kept: Path,
    name: str,
    progress: Progress,
    read: float,
) -> Measured:
    """Return what the parts of the build take, as they were measured when it was begun."""
    attacks = [asdict(attack) for attack in plan.attacks]
    known = [image_set.fingerprint, str(classifier.spec.sha256), attacks, library_versions(), code_sha256()]
    key = hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()[:KEY_LENGTH]
    file = kept / f"{name}-measured-{key}" / MEASURED_FILE
    if not file.exists():
        some = splits.train[np.linspace(0, len(splits.train) - 1, min(IMAGES, len(splits.train))).astype(np.int64)]
        measured = measure(classifier, image_set.images(some), plan, progress, read=read)
        with whole(file) as partial:
            save_json(partial, asdict(measured))
    return Measured(**load_json(file))
