"""The shipped bundles give the numbers that they gave when they were built."""

from __future__ import annotations

import json

import numpy as np
import pytest
from safetensors.numpy import load_file

import telltale
from support.golden import (
    ATTACKS,
    GOLDEN,
    Said,
    analysis_numbers,
    attack_numbers,
    bundle_numbers,
    calibration_numbers,
    differing,
    golden,
    same,
)
from telltale.base.images import to_bytes, to_floats
from telltale.data.photographs import find_photograph, open_photograph
from telltale.data.uploads import Square, to_model_input

NUMBERS = golden("numbers.json")
INPUTS = load_file(GOLDEN / "inputs.safetensors")


@pytest.mark.parametrize("name", NUMBERS["bundles"])
def test_a_bundle_is_the_same(name: str) -> None:
    expected, key = NUMBERS["bundles"][name], next(key for key in INPUTS if key.startswith(name))
    found = telltale.analyse(to_floats(INPUTS[key]), bundle=name)
    same(expected, bundle_numbers(name) | {"calibrations": calibration_numbers(found)})


@pytest.mark.parametrize("key", INPUTS)
def test_an_input_is_the_same(key: str) -> None:
    bundle, origin = telltale.load_bundle(NUMBERS["inputs"][key]["bundle"]), NUMBERS["inputs"][key]["origin"]
    if "test_id" in origin:
        assert bundle.image_set is not None and origin["test_id"] in bundle.splits.test
        image = bundle.image_set.images([origin["test_id"]])[0]
    else:
        photograph = find_photograph(origin["photograph"])
        assert photograph is not None
        image = to_model_input(open_photograph(photograph), bundle.image_shape, crop=Square(*origin["square"]).box)
    assert np.array_equal(to_bytes(image), INPUTS[key])


@pytest.mark.parametrize("key", INPUTS)
def test_an_analysis_gives_the_same_numbers(key: str) -> None:
    expected = {name: value for name, value in NUMBERS["inputs"][key].items() if name not in ("origin", "attacks")}
    same(expected, analysis_numbers(to_floats(INPUTS[key]), expected.pop("bundle")))


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("key", INPUTS)
def test_an_attack_gives_the_same_pixels(key: str, attack: str) -> None:
    expected = NUMBERS["inputs"][key]
    same(expected["attacks"][attack], attack_numbers(to_floats(INPUTS[key]), expected["bundle"], attack))


def test_analyse_says_the_same(said: Said) -> None:
    found = json.loads(said("analyse", "assets/digit.png", "--json"))
    assert set(found.pop("timings_ms")) >= {"trace", "total"}
    same(golden("analyse.json"), found)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["digits", "cifar10"])
def test_evaluate_says_the_same(said: Said, name: str) -> None:
    same(golden(f"evaluate_{name}.json.gz"), json.loads(said("evaluate", name, "--json")))


def test_bundles_says_the_same(said: Said) -> None:
    if telltale.load_bundle("cifar10").image_set is not None:
        pytest.skip("the images of cifar10 are on this machine; they were not where the golden file was written")
    assert said("bundles").split() == (GOLDEN / "bundles.txt").read_text().split()


def test_a_difference_is_noticed() -> None:
    expected = {"a": [1.0, 2e-9], "b": 3, "c": {"d": "x"}}
    assert list(differing(expected, {"a": [1.0 + 1e-9, 2e-9], "b": 3, "c": {"d": "x"}})) == []
    for other in (
        {"a": [1.00001, 2e-9], "b": 3, "c": {"d": "x"}},
        {"a": [1.0], "b": 3, "c": {"d": "x"}},
        {"a": [1.0, 2e-9], "b": 4, "c": {"d": "x"}},
        {"a": [1.0, 2e-9], "b": 3, "c": {"d": "y"}},
        {"a": [1.0, 2e-9], "b": 3, "c": {}},
        {"a": [1.0, 2e-9], "b": 3, "c": {"d": "x", "e": None}},
    ):
        assert list(differing(expected, other))
    assert list(differing([2e-9, 1e-9], [2e-9, 1.1e-9])), "small values are compared on their own scale"
