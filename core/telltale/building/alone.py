"""Writing a bundle around a network and no image: at once, and opened like any other."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np

from telltale.analysis.alone import data_of_none, detectors_alone, reference_alone
from telltale.analysis.observing import observe_images
from telltale.base.files import save_arrays, save_table
from telltale.base.origin import library_versions
from telltale.base.processes import use_one_thread
from telltale.base.progress import Progress
from telltale.building.scoring import score_table
from telltale.building.versions import Versions
from telltale.building.writing import attack_entry
from telltale.bundle import store
from telltale.bundle.bundle import (
    CALIBRATION_FILE,
    MAPS_FILE,
    OWN,
    REFERENCE_FILE,
    SCORES_FILE,
    SPLITS_FILE,
    WEIGHTS_FILE,
)
from telltale.bundle.fitted import reference_arrays, save_detectors
from telltale.bundle.manifest import Manifest, check_name
from telltale.bundle.own_data import sizing_notes
from telltale.data.splits import Splits
from telltale.detectors.fitted_detectors import FittedDetectors
from telltale.evidence.reference import Reference
from telltale.models.classifier import Classifier
from telltale.models.factories import check_known_elsewhere
from telltale.models.weights import save_weights
from telltale.recipes import BundlePlan

SELECTED_BY = "its defaults, without any image"


def build_alone(classifier: Classifier, plan: BundlePlan, folder: Path, progress: Progress) -> Path:
    """Write a bundle of a classifier alone.

    Parameters
    ----------
    classifier : Classifier
        Made by a registered factory or named code, so that other processes can make it again.
    plan : BundlePlan
        Only its name, its title and its attacks' settings are used.
    folder : Path
        Of the bundle, named as the plan.
    progress : callable

    Returns
    -------
    Path
        `folder`.

    Raises
    ------
    InputError
        If no process can make the classifier again.
    """
    use_one_thread()
    check_name(folder.name)
    spec = classifier.spec
    check_known_elsewhere(spec.factory, spec.code)
    progress(0.0, "Writing")
    store.write_bundle(folder, partial(_write_files, classifier=classifier, plan=plan))
    progress(1.0, "Done")
    return folder


def _write_files(empty: Path, classifier: Classifier, plan: BundlePlan) -> Manifest:
    reference, detectors = reference_alone(classifier), detectors_alone(classifier)
    save_weights(classifier, empty / WEIGHTS_FILE)
    save_arrays(empty / SPLITS_FILE, Splits(*(reference.ids for _ in range(4))).to_arrays())
    save_arrays(empty / REFERENCE_FILE, reference_arrays(reference, half=False))
    save_detectors(empty, detectors.detectors)
    save_table(empty / SCORES_FILE, score_table(_no_versions(classifier), reference, detectors))
    save_arrays(empty / MAPS_FILE, {})
    save_arrays(empty / CALIBRATION_FILE, {})
    return _manifest(classifier, plan, reference, detectors)


def _no_versions(classifier: Classifier) -> Versions:
    """Return no version of no image, with everything that is read off one."""
    seen = observe_images(classifier, np.zeros((1, *classifier.input_shape), dtype=np.float32))
    none = np.empty(0, dtype=np.int64)
    numbers = none.astype(np.float64)
    trace, readings = seen.trace.take(none), seen.readings.take(none)
    return Versions("test", "", none, none, trace, readings, none.astype(np.bool_), numbers, numbers, numbers)


def _manifest(classifier: Classifier, plan: BundlePlan, reference: Reference, detectors: FittedDetectors) -> Manifest:
    return Manifest(
        name=plan.name,
        title=plan.title,
        seed=plan.seed,
        data=data_of_none(classifier),
        layers=classifier.layers,
        architecture=classifier.spec.to_json(),
        accuracies={},
        attacks=tuple(attack_entry(attack, ()) for attack in plan.attacks),
        detectors={
            name: {"parameters": detector.settings.values(), "selected_by": SELECTED_BY}
            for name, detector in detectors.detectors.items()
        },
        versions=library_versions(),
        notes={
            OWN: True,
            "training_images": 0,
            "calibration_images": 0,
            "missing": dict(reference.missing),
            **sizing_notes(classifier.preprocess, classifier.input_shape[0]),
        },
    )
