"""What detectors are fitted on: natural images as they are and shifted, and the attacks that succeeded."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from telltale.base.errors import InputError
from telltale.base.files import save_arrays
from telltale.building.fitting import Examples, lacking_detectors, readable
from telltale.building.versions import Versions, check_read
from telltale.bundle.bundle import REFERENCE_FILE
from telltale.bundle.fitted import ReferenceFiles
from telltale.detectors.registry import DETECTORS
from telltale.evidence.readings import Readings
from telltale.models.trace import Trace


def versions(attack: str, success: list[bool], mark: float, first: int = 0) -> Versions:
    """Return versions of images whose one activation says where they come from."""
    count = len(success)
    ids, zeros = np.arange(first, first + count), np.zeros(count)
    marks = np.full((count, 1), mark, dtype=np.float32) + np.arange(count, dtype=np.float32)[:, None]
    trace = Trace(("last",), (marks,), np.zeros((count, 2), dtype=np.float32))
    readings = Readings({"seen": marks[:, 0].astype(np.float64)})
    return Versions("fit", attack, ids, np.zeros(count, int), trace, readings, np.array(success), zeros, zeros, zeros)


def test_shifted_images_that_are_read_right_are_natural_ones_with_the_ids_of_theirs() -> None:
    natural, attacked = versions("", [True, False, True], 0.0), versions("pgd", [False, True, True], 10.0)
    shifted = versions("", [True, False], 20.0, first=1)
    found = Examples.of([natural, attacked], shifted)
    marks = [0.0, 2.0, 11.0, 12.0, 20.0]
    np.testing.assert_array_equal(found.trace.activations[0][:, 0], marks)
    np.testing.assert_array_equal(found.readings["seen"], marks)
    assert found.labels.attacks.tolist() == ["", "", "pgd", "pgd", ""]
    assert found.labels.adversarial.tolist() == [False, False, True, True, False]
    assert found.labels.groups.tolist() == [0, 2, 1, 2, 1]
    np.testing.assert_array_equal(found.error_trace.activations[0][:, 0], [1.0])


def references(folder: Path, labels: list[int], missing: tuple[tuple[str, str], ...] = ()) -> ReferenceFiles:
    save_arrays(folder / REFERENCE_FILE, {"labels": np.array(labels)})
    return ReferenceFiles(folder, ("last",), 50, missing)


def test_references_of_which_hardly_any_share_a_class_give_no_mahalanobis_distance(tmp_path: Path) -> None:
    """One pair among single images would be all that the covariance knows."""
    files = references(tmp_path, [*range(40), 0])
    (reason,) = lacking_detectors(files).values()
    assert reason == (
        "The spread of classes needs at least 2 reference images of a class on average; there are 41 of 40 classes."
    )
    assert set(readable(files)) == set(DETECTORS) - {"mahalanobis"}
    with pytest.raises(InputError, match=r"No detector finds .*The spread of classes needs at least 2"):
        readable(files, ["mahalanobis"])


def test_two_references_of_a_class_on_average_are_enough(tmp_path: Path) -> None:
    files = references(tmp_path, [0, 0, 0, 1])
    assert not lacking_detectors(files) and set(readable(files)) == set(DETECTORS)


def test_a_detector_whose_evidence_is_missing_is_explained_by_that_evidence(tmp_path: Path) -> None:
    files = references(tmp_path, [0, 1, 2], (("density", "No class has two."),))
    assert not lacking_detectors(files) and "mahalanobis" not in readable(files)


def test_images_that_the_network_misreads_are_no_build() -> None:
    """Of ten images, one of a class, not one to fit to is read: said before anything is fitted."""
    splits = {"fit": [True, False, True], "calibration": [True], "test": [False, True]}
    found = {name: replace(versions("", read, 0.0), split=name) for name, read in splits.items()}
    check_read(list(found.values()))
    for name, words in {"fit": "to fit detectors to", "calibration": "to calibrate with", "test": "to test on"}.items():
        none = replace(found[name], success=np.zeros(len(found[name]), dtype=bool))
        with pytest.raises(
            InputError, match=rf"^Of the \d images {words} the network reads 0 correctly; a build takes"
        ):
            check_read([none if other == name else found[other] for other in splits])
    one = replace(found["fit"], success=np.array([True, False, False]))
    with pytest.raises(InputError, match="reads 1 correctly; a build takes 2 at least: more images"):
        check_read([one])
