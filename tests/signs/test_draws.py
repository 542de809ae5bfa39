"""Draws against numpy's own, and arithmetic on rasters against scipy's and plain loops."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import convolve1d

import telltale.signs
from telltale.signs.draws import Draws
from telltale.signs.rasters import cloudy, halved, mix, ramp, shifted, smeared, softened

ROOM = Path(telltale.signs.__file__).parent
# Value by value and fixed by IEEE 754 to the last bit, or without arithmetic.
EXACT = {
    *("abs", "floor", "maximum", "minimum", "sqrt"),
    *(
        "arange",
        "array",
        "asarray",
        "ascontiguousarray",
        "broadcast_shapes",
        "concatenate",
        "empty",
        "frombuffer",
        "full",
        "moveaxis",
        "searchsorted",
        "take",
    ),
    *("where", "zeros", "zeros_like"),
    *("bool_", "float64", "int64", "uint64", "uint8", "ndarray", "dtype"),
    *("random.PCG64", "random.SeedSequence"),
}


def test_shares_are_those_of_numpys_generator_which_makes_them_of_the_same_words() -> None:
    bits = np.random.Generator(np.random.PCG64(np.random.SeedSequence((3, 1, 7))))
    draws = Draws(3, 1, 7)
    assert [draws.share() for _ in range(5)] == bits.random(5).tolist()
    assert np.array_equal(draws.shares(4, 6), bits.random((4, 6)))


def test_every_picture_has_draws_of_its_own() -> None:
    firsts = {Draws(*words).share() for words in [(0, 0, 0), (0, 0, 1), (0, 1, 0), (1, 0, 0), (2, 0, 0), (0, 0, 256)]}
    assert len(firsts) == 6
    assert Draws(5, 1, 9).share() == Draws(5, 1, 9).share()


def test_whole_numbers_are_all_equally_likely_and_ends_belong_to_them() -> None:
    draws = Draws(0)
    counts = np.bincount([draws.whole(2, 8) for _ in range(7000)], minlength=9)
    assert counts[:2].tolist() == [0, 0] and len(counts) == 9
    assert np.abs(counts[2:] - 1000).max() < 150
    assert {draws.whole(-3, -3) for _ in range(5)} == {-3}
    assert {draws.one_of("abc") for _ in range(100)} == set("abc")


def test_numbers_between_and_happenings() -> None:
    draws = Draws(1)
    found = np.array([draws.between(-2.0, 3.0) for _ in range(4000)])
    assert -2.0 <= found.min() < -1.98 and 2.98 < found.max() <= 3.0
    assert found.mean() == pytest.approx(0.5, abs=0.1)
    assert np.mean([draws.happens(0.3) for _ in range(4000)]) == pytest.approx(0.3, abs=0.03)


def test_bells_have_the_moments_of_a_normal_law_nearly() -> None:
    from scipy.stats import kstest

    found = Draws(2).bells(200, 200)
    assert found.shape == (200, 200)
    assert (found.mean(), found.std()) == pytest.approx((0.0, 1.0), abs=0.02)
    assert kstest(found.ravel(), "norm").statistic < 0.02
    assert abs(np.corrcoef(found[:, :-1].ravel(), found[:, 1:].ravel())[0, 1]) < 0.02


def test_softening_is_the_convolution_with_1_2_1_along_both_axes() -> None:
    raster = Draws(3).shares(20, 20, 3)
    expected = raster
    for _ in range(3):
        for axis in (0, 1):
            expected = convolve1d(expected, [0.25, 0.5, 0.25], axis=axis, mode="nearest")
    assert softened(raster, 3) == pytest.approx(expected)
    assert softened(raster, 0) is raster


def test_smearing_is_the_mean_of_copies_along_a_way() -> None:
    raster = np.zeros((15, 15))
    raster[7, 7] = 1.0
    found = smeared(raster, 6.0, 0.0, 7)
    assert found[7] == pytest.approx([0, 0, 0, 0, *[1 / 7] * 7, 0, 0, 0, 0]) and found.sum() == pytest.approx(1.0)
    assert smeared(raster, 0.0, 4.0, 5)[:, 7] == pytest.approx([0] * 5 + [0.2] * 5 + [0] * 5)


def test_halving_takes_means_of_four_and_shifting_repeats_the_edge() -> None:
    raster = Draws(4).shares(8, 8, 3)
    assert halved(raster) == pytest.approx(raster.reshape(4, 2, 4, 2, 3).mean((1, 3)))
    row = np.arange(5.0)[None, :]
    assert shifted(row, 2, 1).tolist() == [[0, 0, 0, 1, 2]] and shifted(row, -1, 1).tolist() == [[1, 2, 3, 4, 4]]


def test_mixing_and_ramps() -> None:
    one = np.zeros((2, 2, 3))
    assert mix(one, (1.0, 2.0, 4.0), np.array([[0.0, 0.5], [1.0, 0.25]]))[..., 2].tolist() == [[0, 2], [4, 1]]
    assert mix(one, one + 2, 0.5).tolist() == (one + 1).tolist()
    assert ramp(np.array([0.0, 1.0, 1.5, 2.0, 9.0]), 1.0, 2.0).tolist() == [0, 0, 0.5, 1, 1]


def test_noise_passes_through_its_corners_smoothly_and_stays_below_1() -> None:
    corners = Draws(5).shares(4, 4)
    found = cloudy(Draws(5), 3, side=300)
    for down, across in ((0, 0), (100, 200), (200, 100)):
        assert found[down, across] == pytest.approx(corners[down // 100, across // 100], abs=0.01)
    assert np.abs(np.diff(found, axis=0)).max() < 0.03
    rough = cloudy(Draws(6), 3, 4, side=300)
    assert 0.0 <= rough.min() < rough.max() < 1.0
    assert turns(rough) > 3 * turns(cloudy(Draws(6), 3, side=300)), "finer noise goes up and down more often"


def turns(raster: np.ndarray) -> int:
    return int((np.diff(np.sign(np.diff(raster, axis=0)), axis=0) != 0).sum())


def numpy_names(tree: ast.AST) -> set[str]:
    names = {ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    return {name.removeprefix("np.") for name in names if re.fullmatch(r"np(\.\w+)+", name)} - {"random"}


def test_nothing_is_called_whose_last_bit_depends_on_the_machine() -> None:
    # Sines, powers and exponentials differ between mathematical libraries; float sums with the width of vectors.
    for file in sorted(ROOM.glob("*.py")):
        tree = ast.parse(file.read_text())
        assert numpy_names(tree) <= EXACT, file.name
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module == "math":
                assert [name.name for name in node.names] == ["sqrt"], file.name
            if isinstance(node, ast.Import):
                assert "math" not in {name.name for name in node.names}, file.name
            if isinstance(node, ast.BinOp):
                assert not isinstance(node.op, ast.MatMult), file.name
                assert not isinstance(node.op, ast.Pow) or isinstance(node.left, ast.Constant), file.name
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                whole = file.name == "painted.py"  # of whole numbers, in any order the same
                assert node.func.attr not in {"mean", "dot", "std", "prod"}, file.name
                assert node.func.attr != "sum" or whole, file.name
