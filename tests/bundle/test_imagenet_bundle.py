"""The bundle around the ImageNet network: no image and no weight of others, and a photograph's way to a verdict."""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import betabinom

from telltale.analysis.analyse import analyse_image, attack_image
from telltale.analysis.opened import LoadedBundle, open_bundle
from telltale.analysis.results import Unavailable
from telltale.base.files import load_arrays
from telltale.base.places import PRECOMPUTED
from telltale.base.processes import use_one_thread
from telltale.bundle import load_bundle, verify_bundle
from telltale.data.photographs import find_photograph, photograph_for
from telltale.detectors.fusion import FUSED
from telltale.kinds.needs import NOT_TRAINED_ON

FOLDER = PRECOMPUTED / "imagenet"
LARGEST_BYTES = 12_000_000
PHOTOGRAPHS = 475
CATS = {"tabby", "tiger cat", "Persian cat", "Siamese cat", "Egyptian cat", "lynx"}


@functools.cache
def stored() -> dict[str, np.ndarray]:
    table = load_bundle(str(FOLDER)).scores
    return {name: np.asarray(table[name].to_pylist()) for name in table.column_names}


@pytest.fixture(scope="module")
def loaded() -> LoadedBundle:
    use_one_thread()
    return open_bundle(str(FOLDER))


def test_it_is_whole_small_and_holds_neither_images_nor_weights() -> None:
    files = [path for path in FOLDER.rglob("*") if path.is_file()]
    assert {report.state for report in verify_bundle(FOLDER)} == {"ok"}
    assert sum(path.stat().st_size for path in files) <= LARGEST_BYTES
    bundle = load_bundle(str(FOLDER))
    assert bundle.image_shape == (3, 224, 224) and len(bundle.class_names) == 1000
    pixels = int(np.prod(bundle.image_shape))
    for name in (path.relative_to(FOLDER).as_posix() for path in files if path.suffix == ".safetensors"):
        for array in bundle.arrays(name).values():
            assert array.shape[1:] != bundle.image_shape and array.shape[-1:] != (pixels,)
    assert set(load_arrays(FOLDER / "weights.safetensors")) == {"mean", "std"}


def test_it_opens_without_its_photographs_and_says_so() -> None:
    bundle = load_bundle(str(FOLDER))
    assert bundle.manifest.title == "ImageNet photographs, 1,000 classes, 224×224"
    assert not Path(bundle.manifest.data.source).is_absolute() and bundle.manifest.data.n == PHOTOGRAPHS
    assert "The images of 'imagenet' are not on this machine" in str(bundle.data_problem)


def test_what_one_photograph_of_a_class_does_not_give_is_said(loaded: LoadedBundle) -> None:
    assert loaded.reference.missing["influence"] == NOT_TRAINED_ON
    assert "A class with at least 2" in loaded.reference.missing["density"]


@pytest.mark.parametrize("alpha", [0.05, 0.1])
def test_the_stated_false_positive_rate_holds_as_well_as_so_few_calibration_images_allow(alpha: float) -> None:
    natural = (stored()["split"] == "test") & (stored()["kind"] == "natural")
    bundle = load_bundle(str(FOLDER))
    detectors = [*bundle.manifest.detectors, FUSED]
    for name in detectors:
        calibration = bundle.calibration(name)
        assert calibration is not None
        n, scores = len(calibration.scores), stored()[f"score_{name}"][natural]
        expected = betabinom(len(scores), k := int(np.floor(alpha * (n + 1))), n + 1 - k)
        alarms = int((scores >= calibration.threshold(alpha)).sum())
        tail = 0.005 / len(detectors)  # that any of them fails is to be chance in one build of a hundred
        assert expected.ppf(tail) <= alarms <= expected.ppf(1 - tail), f"{name}: {alarms} of {len(scores)}"


def test_a_photograph_is_read_attacked_and_judged(loaded: LoadedBundle) -> None:
    photograph = find_photograph("chelsea")
    assert photograph is not None
    image = photograph_for(photograph, loaded.bundle.image_shape)
    natural = analyse_image(loaded, image)
    assert natural.prediction.name in CATS
    attacked = attack_image(loaded, image, "pgd")
    assert attacked.fooled[0]
    verdict = analyse_image(loaded, attacked.images[0])
    assert verdict.prediction.name != natural.prediction.name
    assert verdict.fused is not None and verdict.fused.attack.p_value is not None
    assert verdict.fused.kind == "adversarial" and natural.fused is not None
    assert natural.fused.kind != "adversarial"
    assert isinstance(verdict.evidence["influence"], Unavailable)
