"""What is said of the shipped bundles: their own figures, and what is missing on this machine."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from telltale.base.places import PRECOMPUTED
from telltale.bundle import load_bundle
from telltale.bundle.absent_classes import absent_classes
from telltale.bundle.summary import images_command, summarise
from telltale.data.sources import KNOWN_SOURCES
from telltale.recipes import RECIPES


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with the compact bundle and none of its images."""
    shutil.copytree(PRECOMPUTED / "cifar10", tmp_path / "bundles" / "cifar10")
    monkeypatch.setenv("TELLTALE_BUNDLES", str(tmp_path / "bundles"))
    monkeypatch.setenv("TELLTALE_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("TELLTALE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", str(tmp_path / "hub"))
    return tmp_path


def test_digits_lack_nothing() -> None:
    found = summarise("digits")
    assert (found.lacks, found.images_command, found.problem) == ((), None, None)
    assert (found.images, found.image_shape) == (1797, (1, 32, 32))
    files = [path for path in (PRECOMPUTED / "digits").rglob("*") if path.is_file() and path.name != "manifest.json"]
    assert found.size_bytes == sum(path.stat().st_size for path in files)


def test_classes_without_a_reference_are_named() -> None:
    bundle = load_bundle("imagenet")
    counted = Counter(bundle.training_labels.tolist())
    expected = [
        bundle.class_names[output] for output in sorted(bundle.notes["outputs"].values()) if not counted[output]
    ]
    assert absent_classes(bundle) == tuple(expected) and 0 < len(expected) < len(bundle.notes["outputs"])
    (said,) = [lack for lack in summarise("imagenet").lacks if "reference image of" in lack]
    assert expected[0] in said and f"({len(expected)})" in said
    assert absent_classes(load_bundle("digits")) == ()


def test_missing_images_are_said_with_the_command_that_brings_them(place: Path) -> None:
    found = summarise("cifar10")
    assert (found.references, found.training_images, found.images) == (10_000, 45_000, 60_000)
    assert "not on this machine" in found.lacks[0]
    assert "10,000 of 45,000 training images" in found.lacks[1]
    assert found.images_command == "telltale build cifar10 --data uoft-cs/cifar10"


def test_other_images_of_the_same_name_are_never_taken_for_its_own(place: Path) -> None:
    rng = np.random.default_rng(0)
    for name in ("cat", "dog"):
        folder = place / "data" / "cifar10" / name
        folder.mkdir(parents=True)
        for number in range(3):
            pixels = rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / f"{number}.png")
    bundle = load_bundle("cifar10")
    assert bundle.image_set is None
    assert "fingerprint" in str(bundle.data_problem)
    assert summarise("cifar10").lacks[0] == bundle.data_problem


def test_every_recipes_command_names_data_that_the_build_takes() -> None:
    hub_ids = {known.hub_id for known in KNOWN_SOURCES.values()}
    for name in RECIPES:
        command = images_command(type("Named", (), {"name": name})())  # type: ignore[arg-type]
        words = str(command).split()
        assert words[:4] == ["telltale", "build", name, "--data"]
        assert words[4] in hub_ids | {"FOLDER_OR_HUB_ID"}
