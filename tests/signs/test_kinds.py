"""Every kind of sign as designed: proportions, symmetries, colours, and that none can be taken for another."""

from __future__ import annotations

from itertools import combinations
from math import pi, sqrt

import numpy as np
import pytest

from telltale.signs.kinds import KINDS, NAMES, NO_ENTRY_BAR, RED_RING, RIM, STOP_HEIGHT, Colour
from telltale.signs.lettering import CHARACTERS, WEIGHT, written
from telltale.signs.painted import FINE, PAINT, clean_form, painted
from telltale.signs.shapes import Shape

SYMMETRIC = ("give way", "no entry", "priority road", "ahead only", "danger")
LIMITS = tuple(name for name in NAMES if name.startswith("speed limit "))
DISCS = (
    "no entry",
    "no overtaking",
    "end of limits",
    "ahead only",
    "turn left",
    "turn right",
    "roundabout",
    "cycle path",
)


def grid(name: str) -> np.ndarray:
    return painted(NAMES.index(name))


def where(name: str, colour: Colour) -> np.ndarray:
    return grid(name) == colour


X = ((2.0 * np.arange(FINE) + (1 - FINE)) / FINE)[None, :]
Y = X.T


def extent(mask: np.ndarray) -> tuple[float, float]:
    """Return width and height of what is there, a sign being 2 wide."""
    down, across = np.nonzero(mask)
    return (np.ptp(across) + 1) * 2 / FINE, (np.ptp(down) + 1) * 2 / FINE


def test_there_are_22_kinds_with_plain_names() -> None:
    assert len(KINDS) == len(set(NAMES)) == 22
    assert all(name == name.lower() and name.replace(" ", "").isalnum() for name in NAMES)
    assert tuple(f"speed limit {limit}" for limit in (20, 30, 50, 60, 70, 80, 100, 120)) == LIMITS


@pytest.mark.parametrize("name", SYMMETRIC)
def test_a_symmetric_sign_equals_its_mirror_image(name: str) -> None:
    assert np.array_equal(grid(name), grid(name)[:, ::-1])


def test_only_symmetric_signs_are_their_own_mirror_image() -> None:
    own = [name for name in NAMES if (grid(name) == grid(name)[:, ::-1]).mean() > 0.995]
    assert own == [name for name in NAMES if name in SYMMETRIC]


def test_the_turns_are_each_others_mirror_image() -> None:
    assert np.array_equal(grid("turn left"), grid("turn right")[:, ::-1])
    white = where("turn right", Colour.WHITE) & (X**2 + Y**2 < 0.9**2)
    assert (white & (X > 0.5)).any() and not (white & (X < -0.5)).any(), "the arrow points to the right"


def test_the_roundabout_is_the_same_after_a_third_of_a_turn() -> None:
    from scipy.ndimage import rotate

    white = where("roundabout", Colour.WHITE).astype(np.float64)
    assert np.abs(rotate(white, 120, reshape=False, order=1) - white).mean() < 0.01
    assert np.abs(rotate(white, 60, reshape=False, order=1) - white).mean() > 0.1


@pytest.mark.parametrize("name", [*DISCS, *LIMITS])
def test_a_round_sign_covers_pi_r_squared(name: str) -> None:
    assert (grid(name) != Colour.NOTHING).mean() == pytest.approx(pi / 4, rel=2e-3)


def test_the_outlines_of_the_others_cover_their_closed_forms() -> None:
    assert (grid("stop") != Colour.NOTHING).mean() * 4 == pytest.approx(8 * (sqrt(2) - 1), rel=2e-3)
    for name in ("danger", "road works", "give way"):
        side, corner = 2 * sqrt(3) * (0.605 - 0.11), 0.11
        expected = sqrt(3) / 4 * side**2 + 3 * side * corner + pi * corner**2
        assert (grid(name) != Colour.NOTHING).mean() * 4 == pytest.approx(expected, rel=2e-3), name
    assert (grid("priority road") != Colour.NOTHING).mean() * 4 == pytest.approx(
        2 * 0.99**2 - (4 - pi) * 0.06**2, rel=3e-3
    )
    assert (grid("pedestrian crossing") != Colour.NOTHING).mean() * 4 == pytest.approx(
        1.8**2 - (4 - pi) * 0.1**2, rel=5e-3
    )


def test_give_way_hangs_from_its_level_edge_and_warnings_stand_on_theirs() -> None:
    assert np.array_equal(grid("give way") != Colour.NOTHING, (grid("danger") != Colour.NOTHING)[::-1])
    down, _ = np.nonzero(grid("danger"))
    assert down.mean() > FINE / 2


def test_the_bar_of_no_entry_has_its_proportions() -> None:
    bar = where("no entry", Colour.WHITE) & (X**2 + Y**2 < (1 - RIM) ** 2)
    assert extent(bar) == pytest.approx((2 * NO_ENTRY_BAR[0], 2 * NO_ENTRY_BAR[1]), abs=2 / FINE)
    assert bar.mean() * 4 == pytest.approx(4 * NO_ENTRY_BAR[0] * NO_ENTRY_BAR[1], rel=2e-2)
    assert np.array_equal(bar, bar[::-1])


def test_the_word_stop_is_at_least_a_third_as_high_as_its_panel() -> None:
    # Annex 1 of the convention, section B.
    letters = where("stop", Colour.WHITE) & (np.abs(X) + np.abs(Y) < 1.25) & (np.maximum(np.abs(X), np.abs(Y)) < 0.9)
    _, height = extent(letters)
    assert height == pytest.approx(STOP_HEIGHT, abs=4 / FINE) and height >= 2 / 3


@pytest.mark.parametrize("name", [*LIMITS, "no overtaking"])
def test_prohibitions_have_a_red_ring_that_nothing_touches(name: str) -> None:
    outer, inner = 1 - RIM, 1 - RIM - RED_RING
    red, black = where(name, Colour.RED), where(name, Colour.BLACK)
    off = np.sqrt(X**2 + Y**2)
    ring = red & (off > inner)
    assert ring.mean() * 4 == pytest.approx(pi * (outer**2 - inner**2), rel=5e-3)
    assert black.any() and off[black].max() < inner
    assert name == "no overtaking" or not (red & (off <= inner)).any()


def test_the_end_of_limits_slopes_down_from_right_to_left() -> None:
    # Annex 1 of the convention, sign C,17a.
    bars = where("end of limits", Colour.BLACK) & (X**2 + Y**2 < 0.9**2)
    down, across = np.nonzero(bars)
    assert np.corrcoef(down, across)[0, 1] < -0.7
    assert (np.diff(np.diagonal(bars).astype(np.int8)) == 1).sum() == 5, "so many lie along the other diagonal"


@pytest.mark.parametrize("name", NAMES)
def test_every_kind_differs_from_every_other_in_its_clean_form(name: str) -> None:
    own = clean_form(NAMES.index(name), 48).astype(np.int64)
    assert own.shape == (3, 48, 48)
    for other in set(NAMES) - {name}:
        difference = np.abs(own - clean_form(NAMES.index(other), 48).astype(np.int64))
        assert (difference.max(0) > 60).mean() > 0.012, (name, other)


def test_a_clean_form_shows_the_paint_where_there_is_one_and_grey_around() -> None:
    form = clean_form(NAMES.index("no entry"), 48)
    assert form[:, 0, 0] == pytest.approx([128, 128, 128])
    assert form[:, 10, 24] == pytest.approx(PAINT[Colour.RED] * 255, abs=0.51)
    assert form[:, 24, 24] == pytest.approx(PAINT[Colour.WHITE] * 255, abs=0.51)


def raster(*shapes: Shape) -> np.ndarray:
    middles = (np.arange(200) + 0.5) / 100 - 1
    return np.logical_or.reduce([shape.covers(middles[None, :], middles[:, None]) for shape in shapes])


@pytest.mark.parametrize("letter", CHARACTERS)
def test_a_character_is_one_unit_high_and_as_wide_as_it_says(letter: str) -> None:
    down, across = np.nonzero(raster(*written(letter, (0.0, 0.0), 1.6)))
    assert (down.min() / 100 - 1, (down.max() + 1) / 100 - 1) == pytest.approx((-0.8, 0.8), abs=0.035)
    half = 1.6 * CHARACTERS[letter].half_width
    assert max(1 - across.min() / 100, (across.max() + 1) / 100 - 1) == pytest.approx(half, abs=0.045)


def test_all_characters_differ_and_six_upside_down_is_nine() -> None:
    drawn = {letter: raster(*written(letter, (0.0, 0.0), 1.6)) for letter in CHARACTERS}
    for one, other in combinations("0123456789", 2):
        assert (drawn[one] ^ drawn[other]).mean() > 0.02, (one, other)
    assert (drawn["6"] ^ drawn["9"][::-1, ::-1]).mean() < 1e-3


def test_a_word_is_centred_and_its_characters_stand_apart() -> None:
    shapes = written("100", (0.0, 0.0), 0.7, 0.86)
    columns = raster(*shapes).any(0)
    left, right = np.flatnonzero(columns)[[0, -1]]
    assert abs((left + right) / 2 - 99.5) < 3
    assert (np.diff(columns.astype(np.int8)) == 1).sum() == 3
    assert (
        raster(*written("0", (0.0, 0.0), 1.0, 0.7)).any(0).sum() < raster(*written("0", (0.0, 0.0), 1.0)).any(0).sum()
    )
    assert WEIGHT < 0.2
