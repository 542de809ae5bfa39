"""Rounding to 8 bits: norms and budgets against brute force, on random images."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telltale.attacks.perturbation import extended_attempts, is_degenerate, perturbation_norms, round_within_budget
from telltale.base.images import round_to_8_bits

SHAPE = (2, 5, 4)

pairs = st.tuples(st.integers(0, 2**32 - 1), st.floats(0.001, 1.0)).map(
    lambda drawn: random_pair(np.random.default_rng(drawn[0]), drawn[1])
)


def random_pair(generator: np.random.Generator, size: float) -> tuple[np.ndarray, np.ndarray]:
    natural = round_to_8_bits(generator.random(SHAPE))
    attempt = np.clip(natural + generator.uniform(-size, size, SHAPE), 0.0, 1.0).astype(np.float32)
    return natural, attempt


def levels(natural: np.ndarray, image: np.ndarray) -> np.ndarray:
    return np.rint(image.astype(np.float64) * 255) - np.rint(natural.astype(np.float64) * 255)


def norm_by_loops(norm: str, natural: np.ndarray, image: np.ndarray) -> float:
    change = levels(natural, image)
    if norm == "l0":
        return float(sum(bool(change[:, i, j].any()) for i in range(SHAPE[1]) for j in range(SHAPE[2])))
    sizes = [abs(value) / 255 for value in change.flat]
    return {"linf": max(sizes), "l2": sum(s * s for s in sizes) ** 0.5, "l1": sum(sizes)}[norm]


@settings(max_examples=60, deadline=None)
@given(pair=pairs, norm=st.sampled_from(["linf", "l2", "l1", "l0"]), share=st.floats(0.0, 1.5))
def test_rounded_image_keeps_the_budget(pair: tuple[np.ndarray, np.ndarray], norm: str, share: float) -> None:
    natural, attempt = pair
    bound = share * norm_by_loops(norm, natural, attempt)
    bound = float(int(bound)) if norm == "l0" else bound
    rounded = round_within_budget(natural, attempt, norm, bound)
    assert norm_by_loops(norm, natural, rounded) <= bound + 1e-9
    assert np.array_equal(round_to_8_bits(rounded), rounded)
    assert (levels(natural, rounded) * levels(natural, attempt) >= 0).all(), "moved toward the natural image only"


@settings(max_examples=30, deadline=None)
@given(pair=pairs)
def test_wide_budget_changes_nothing_but_the_rounding(pair: tuple[np.ndarray, np.ndarray]) -> None:
    natural, attempt = pair
    for norm, bound in (("linf", 1.0), ("l2", 100.0), ("l1", 1000.0), ("l0", 20.0)):
        assert np.array_equal(round_within_budget(natural, attempt, norm, bound), round_to_8_bits(attempt))


@settings(max_examples=30, deadline=None)
@given(pair=pairs)
def test_norms_equal_those_by_loops(pair: tuple[np.ndarray, np.ndarray]) -> None:
    natural, attempt = pair
    rounded = round_to_8_bits(attempt)
    linf, l2, l0 = perturbation_norms(natural[None], rounded[None])
    assert linf[0] == pytest.approx(norm_by_loops("linf", natural, rounded), abs=1e-12)
    assert l2[0] == pytest.approx(norm_by_loops("l2", natural, rounded), abs=1e-12)
    assert l0[0] == norm_by_loops("l0", natural, rounded)


@pytest.mark.parametrize("numerator", [1, 8, 16, 25.5, 76.5])
def test_linf_budget_allows_the_largest_whole_level(numerator: float) -> None:
    natural = np.full((1, 2, 2), 128 / 255, np.float32)
    rounded = round_within_budget(natural, np.ones((1, 2, 2), np.float32), "linf", numerator / 255)
    assert (levels(natural, rounded) == int(numerator)).all()


def test_l0_budget_keeps_the_positions_that_changed_most() -> None:
    natural = np.zeros((2, 1, 4), np.float32)
    attempt = np.array([[[0.1, 0.5, 0.0, 0.4]], [[0.1, 0.0, 0.0, 0.4]]], np.float32)
    rounded = round_within_budget(natural, attempt, "l0", 2.0)
    assert (levels(natural, rounded) != 0).any(0).tolist() == [[False, True, False, True]]


@settings(max_examples=30, deadline=None)
@given(pair=pairs)
def test_extensions_grow_from_the_attempt(pair: tuple[np.ndarray, np.ndarray]) -> None:
    natural, attempt = pair
    extended = extended_attempts(natural, attempt)
    assert np.array_equal(round_to_8_bits(extended), extended)
    sizes = [norm_by_loops("l1", natural, image) for image in extended]
    assert sizes == sorted(sizes)
    assert np.abs(extended[0] - attempt).max() <= 0.02 + 0.5 / 255 + 1e-6
    assert sizes[-1] > 0


def test_extension_of_a_perturbation_below_half_a_grey_level_still_changes_pixels() -> None:
    natural = np.full((1, 2, 2), 100 / 255, np.float32)
    attempt = natural + np.float32(0.01 / 255)
    assert np.array_equal(round_to_8_bits(attempt), natural)
    assert (extended_attempts(natural, attempt)[-1] != natural).all()


def test_extension_of_nothing_is_nothing() -> None:
    natural = np.full((1, 2, 2), 100 / 255, np.float32)
    assert (extended_attempts(natural, natural) == natural).all()


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (np.zeros((1, 2, 2)), True),
        (np.full((3, 2, 2), 0.7), True),
        (np.array([[[0.1, np.nan]]]), True),
        (np.array([[[0.1, np.inf]]]), True),
        (np.array([[[0.1, 0.1 + 0.2 / 255]]]), True),
        (np.array([[[0.1, 0.1 + 1 / 255]]]), False),
    ],
)
def test_degenerate_images_are_recognised(image: np.ndarray, expected: bool) -> None:
    assert is_degenerate(image) is expected
