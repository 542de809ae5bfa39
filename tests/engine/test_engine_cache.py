"""Content addresses and the bounded result cache, on arbitrary content."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from telltale.base.errors import InputError
from telltale.engine.cache import ResultCache, content_size, fingerprint, freeze

scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary()
content = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4), max_leaves=12
)
arrays = hnp.arrays(
    dtype=st.sampled_from([np.float32, np.float64, np.uint8, np.int64]),
    shape=hnp.array_shapes(max_dims=3, max_side=5),
)


def canonical(value: object) -> object:
    """What two equal requests have in common, types included."""
    if isinstance(value, Mapping):
        return ("mapping", frozenset((key, canonical(item)) for key, item in value.items()))
    if isinstance(value, list | tuple):
        return ("sequence", tuple(canonical(item) for item in value))
    return (type(value).__name__, value.hex() if isinstance(value, float) else value)


@given(content, content)
def test_addresses_agree_exactly_when_the_content_does(first: object, second: object) -> None:
    assert (fingerprint(first) == fingerprint(second)) == (canonical(first) == canonical(second))


@given(st.dictionaries(st.text(), scalars, min_size=2))
def test_the_order_of_a_mapping_does_not_matter(mapping: dict[str, object]) -> None:
    assert fingerprint(mapping) == fingerprint(dict(reversed(mapping.items())))


@given(arrays, st.data())
def test_every_value_of_an_array_counts(array: np.ndarray, data: st.DataObject) -> None:
    place = tuple(data.draw(st.integers(0, side - 1)) for side in array.shape)
    changed = array.copy()
    changed.view(np.uint8).reshape(*array.shape, -1)[place][0] ^= 1
    assert fingerprint(changed) != fingerprint(array)
    assert fingerprint(array.copy(order="F")) == fingerprint(array)


def test_one_value_of_a_large_array_counts() -> None:
    image = np.zeros((3, 512, 512), np.float32)
    changed = image.copy()
    changed[1, 300, 77] = 1 / 255
    assert fingerprint(image) != fingerprint(changed)


def test_dtype_and_shape_count() -> None:
    image = np.zeros((2, 2, 3), np.float32)
    others = [image.reshape(3, 2, 2), image.astype(np.float64), image.view(np.int32), image.tolist(), image.tobytes()]
    assert len({fingerprint(other) for other in [image, *others]}) == 6


@pytest.mark.parametrize("value", [object(), print, {1: {2, 3}}, np.array([object()])])
def test_content_that_has_no_bytes_of_its_own_is_refused(value: object) -> None:
    with pytest.raises(InputError, match="cannot be part of a request"):
        fingerprint(value)


@settings(max_examples=50)
@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(0, 900)), max_size=40), st.integers(0, 2000))
def test_the_cache_never_holds_more_than_its_bound(puts: list[tuple[str, int]], bound: int) -> None:
    cache: ResultCache[bytes] = ResultCache(bound)
    kept: dict[str, bytes] = {}  # the same cache, by brute force
    for key, length in puts:
        value = bytes(length)
        cache.put(key, value)
        kept.pop(key, None)
        if content_size(value) <= bound:
            kept[key] = value
        while sum(content_size(item) for item in kept.values()) > bound:
            kept.pop(next(iter(kept)))
        assert cache.total_bytes == sum(content_size(item) for item in kept.values()) <= bound
        assert len(cache) == len(kept)
    assert {key: cache.get(key) for key in "abcdef" if cache.get(key) is not None} == kept


def test_the_least_recently_used_result_goes_first() -> None:
    cache: ResultCache[bytes] = ResultCache(2 * content_size(bytes(100)))
    cache.put("old", bytes(100))
    cache.put("used", bytes(100))
    assert cache.get("old") is not None
    cache.put("new", bytes(100))
    assert cache.get("used") is None
    assert cache.get("old") is not None


@dataclass(frozen=True)
class View:
    image: np.ndarray
    parts: Mapping[str, tuple[np.ndarray, ...]]


def test_results_are_weighed_and_frozen_to_the_last_array() -> None:
    view = View(np.zeros(1000, np.float32), {"a": (np.zeros(500, np.float64),)})
    assert 8000 <= content_size(view) < 8000 + 1000
    assert freeze(view) is view
    for array in (view.image, view.parts["a"][0]):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1
