"""The table of what is taken for what, with all classes without references as one."""

from __future__ import annotations

import numpy as np

from telltale.model_errors.confusion import OUTSIDE, OUTSIDE_NAME, WORST_ROWS, answered, confusion_of

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


def test_of_many_classes_those_confused_most_often_are_shown_in_order() -> None:
    rng = np.random.default_rng(2)
    classes = 150
    first = rng.integers(0, classes, 3000)
    second = np.where(rng.random(3000) < 0.8, first, (first * 7 + 1) % 12)
    names = [f"class {c}" for c in range(classes)]
    whole = confusion_of(first, second, names, np.ones(classes, dtype=bool))
    found = whole.shown()
    wrong = [
        sum((f == c) != (s == c) for f, s in zip(first.tolist(), second.tolist(), strict=True)) for c in range(classes)
    ]
    assert len(found.labels) == WORST_ROWS and found.labels == tuple(sorted(found.labels))
    least = min(wrong[label] for label in found.labels)
    assert all(wrong[c] <= least for c in range(classes) if c not in found.labels)
    for row, one in enumerate(found.labels):
        assert found.names[row] == f"class {one}"
        for column, other in enumerate(found.labels):
            assert found.counts[row, column] == ((first == one) & (second == other)).sum()


def test_few_classes_are_all_shown() -> None:
    found = confusion_of(np.arange(5), np.arange(5), NAMES, np.ones(5, dtype=bool))
    assert found.shown() is found
