"""The table of what is taken for what, with all classes without references as one."""

from __future__ import annotations

import numpy as np

from telltale.model_errors.confusion import OUTSIDE, OUTSIDE_NAME, answered, confusion_of

NAMES = ["a", "b", "c", "d", "e"]


def test_every_class_has_its_place_where_all_are_known() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.integers(0, 5, (2, 200))
    found = confusion_of(first, second, NAMES, np.ones(5, dtype=bool))
    assert found.labels == (0, 1, 2, 3, 4) and found.names == tuple(NAMES)
    for row in range(5):
        for column in range(5):
            assert found.counts[row, column] == ((first == row) & (second == column)).sum()


def test_classes_without_references_are_one_answer() -> None:
    rng = np.random.default_rng(1)
    first, second = rng.integers(0, 5, (2, 200))
    known = np.array([False, True, False, True, False])
    found = confusion_of(first, second, NAMES, known)
    assert found.labels == (1, 3, OUTSIDE) and found.names == ("b", "d", OUTSIDE_NAME)
    assert found.counts.sum() == 200
    for row, one in enumerate(found.labels):
        for column, other in enumerate(found.labels):
            both = answered(first, known, one) & answered(second, known, other)
            assert found.counts[row, column] == both.sum()
    slow = [f in (0, 2, 4) and s == 3 for f, s in zip(first, second, strict=True)]
    assert found.counts[2, 1] == sum(slow)
