"""What is read off an analysis, against results worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from telltale.analysis import reading
from telltale.analysis.results import Prediction
from telltale.scores.verdicts import Verdict


def verdict(answer: bool | None) -> Verdict:
    return Verdict("d", 0.0, None, None, answer, 0.05, 0)


def test_pivot_distances_leave_out_both_named_classes() -> None:
    table = np.array([[1.0, 9.0, 3.0, 4.0], [5.0, -9.0, 7.0, 8.0]])
    found = reading.pivot_distances(table, 0, 1)
    assert found.own.tolist() == [1, 5] and found.rival.tolist() == [9, -9]
    assert found.low.tolist() == [3, 7] and found.high.tolist() == [4, 8]


def test_two_classes_leave_a_band_over_themselves() -> None:
    found = reading.pivot_distances(np.array([[1.0, 2.0]]), 0, 1)
    assert (found.low[0], found.high[0]) == (1.0, 2.0)


@pytest.mark.parametrize(("similarity", "expected"), [(False, 2), (True, 1)])
def test_nearest_other(similarity: bool, expected: int) -> None:
    assert reading.nearest_other(np.array([[0.1, 9.0, 3.0]]), 0, similarity) == expected


@pytest.mark.parametrize(
    ("labels", "expected"), [([1, 1, 2, 2], 2), ([1, 2, 1, 2], 3), ([1, 2, 1], None), ([1, 1], None)]
)
def test_first_lasting_change(labels: list[int], expected: int | None) -> None:
    assert reading.first_lasting_change(labels) == expected


def test_uncalibrated_detectors_are_not_counted() -> None:
    assert reading.count_noticing([verdict(True), verdict(False), verdict(None)]) == (1, 2)


def test_top_classes_descend() -> None:
    prediction = Prediction(1, "b", 0.6, np.array([0.3, 0.6, 0.1]))
    assert reading.top_classes(prediction, 2) == ((1, 0.6), (0, 0.3))
