"""The nearest reference of one class against a loop over all of them."""

from __future__ import annotations

import math

import numpy as np
import pytest

from telltale.base.errors import InputError
from telltale.evidence.nearest_of_class import NONE, nearest_of_class

DRAWS = np.random.default_rng(11)


@pytest.mark.parametrize("kind", [np.float32, np.float16])
def test_it_is_what_looking_at_every_reference_finds(kind: type) -> None:
    references, labels = DRAWS.normal(size=(300, 7)).astype(kind), DRAWS.integers(0, 4, 300)
    queries, classes = DRAWS.normal(size=(25, 7)).astype(np.float32), DRAWS.integers(0, 5, 25)
    rows, distances = nearest_of_class(queries, classes, references, labels)
    for query, wanted, row, distance in zip(queries, classes, rows, distances, strict=True):
        best, least = NONE, math.inf
        for at in range(300):
            apart = math.dist(query.tolist(), references[at].tolist())
            if labels[at] == wanted and apart < least:
                best, least = at, apart
        assert row == best
        assert math.isnan(distance) if best == NONE else distance == pytest.approx(least, rel=1e-12)
    assert (rows == NONE).any() and (classes == 4).sum() == (rows == NONE).sum()


def test_of_equal_distances_the_first_is_taken() -> None:
    references = np.array([[0.0], [2.0], [4.0], [2.0]], np.float32)
    rows, distances = nearest_of_class(np.array([[3.0]]), np.array([1]), references, np.array([1, 1, 1, 1]))
    assert rows.tolist() == [1] and distances.tolist() == [1.0]


def test_another_width_is_refused() -> None:
    with pytest.raises(InputError, match="must have the references' width of 3; got 2"):
        nearest_of_class(np.zeros((1, 2)), np.array([0]), np.zeros((4, 3)), np.zeros(4, np.int64))
