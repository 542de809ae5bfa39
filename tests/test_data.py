"""Splits and image sources."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.data.splits import SPLIT_NAMES, Splits, SplitSizes
from core.errors import InputError


@st.composite
def split_problems(draw: st.DrawFn) -> tuple[np.ndarray, SplitSizes]:
    labels = np.array(draw(st.lists(st.integers(0, 6), min_size=4, max_size=120)), dtype=np.int64)
    fit = draw(st.integers(0, len(labels) - 1))
    calibration = draw(st.integers(0, len(labels) - 1 - fit))
    test = draw(st.integers(0, len(labels) - 1 - fit - calibration))
    return labels, SplitSizes(fit, calibration, test)


@settings(max_examples=150, deadline=None)
@given(split_problems(), st.integers(0, 2**32))
def test_splits_cover_every_image_once_with_exact_sizes_and_even_classes(problem, seed) -> None:
    labels, sizes = problem
    splits = Splits.draw(labels, sizes, seed)
    arrays = splits.to_arrays()
    assert (len(splits.fit), len(splits.calibration), len(splits.test)) == (sizes.fit, sizes.calibration, sizes.test)
    assert sorted(np.concatenate(list(arrays.values())).tolist()) == list(range(len(labels)))
    for ids in arrays.values():
        assert ids.dtype == np.int64
        assert ids.tolist() == sorted(ids.tolist())
        for label in np.unique(labels):
            quota = (labels == label).sum() * len(ids) / len(labels)
            assert abs((labels[ids] == label).sum() - quota) < 1


def test_splits_depend_on_the_seed_and_on_nothing_else() -> None:
    labels = np.arange(100, dtype=np.int64) % 10
    first, again, other = (Splits.draw(labels, SplitSizes(20, 20, 20), seed) for seed in (1, 1, 2))
    assert all(np.array_equal(getattr(first, n), getattr(again, n)) for n in SPLIT_NAMES)
    assert not np.array_equal(first.test, other.test)


def test_splits_survive_storage() -> None:
    splits = Splits.draw(np.arange(30, dtype=np.int64) % 3, SplitSizes(5, 5, 5), 0)
    again = Splits.from_arrays(splits.to_arrays())
    assert all(np.array_equal(getattr(splits, n), getattr(again, n)) for n in SPLIT_NAMES)


@pytest.mark.parametrize("sizes", [SplitSizes(5, 5, 0), SplitSizes(-1, 2, 2)])
def test_impossible_sizes_are_refused(sizes) -> None:
    with pytest.raises(InputError, match="leave training images"):
        Splits.draw(np.zeros(10, dtype=np.int64), sizes, 0)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"fit": np.array([0], dtype=np.int64)}, "one split only"),
        ({"fit": np.array([5, 4], dtype=np.int64)}, "ascending"),
        ({"fit": np.array([4.0])}, "64-bit integers"),
        ({"extra": np.array([9], dtype=np.int64)}, "must be train, fit"),
    ],
)
def test_stored_splits_that_overlap_or_are_malformed_are_refused(change, sentence) -> None:
    good = {name: np.array([i], dtype=np.int64) for i, name in enumerate(SPLIT_NAMES)}
    with pytest.raises(InputError, match=sentence):
        Splits.from_arrays(good | change)
