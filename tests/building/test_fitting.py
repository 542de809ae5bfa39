"""What detectors are fitted on: natural images as they are and shifted, and the attacks that succeeded."""

from __future__ import annotations

import numpy as np

from telltale.building.fitting import Examples
from telltale.building.versions import Versions
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
