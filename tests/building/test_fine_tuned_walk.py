"""The walk of docs/own-model-clothing.md on a small part of such a folder: train, inspect, build, debug, train again.

Pictures are generated, with a wrong label among them; those of ``clothing`` too are taken where ``TELLTALE_DATA`` has
them.
"""

from __future__ import annotations

import csv
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import telltale
import telltale.building.build
import telltale.engine
from support.clothes import COLOURS, write_splits
from support.coloured import TEXT, pixels, write_folder
from support.direct_engine import DirectEngine
from support.in_order import InOrder
from support.miniature import FlatMaps
from support.pages import unopened
from telltale.bundle.bundle import Bundle, load_bundle
from telltale.bundle.own_data import HELD_OUT_LEARNED, LEARNED_FROM_ALL
from telltale.cli import main
from telltale.data.sources import DATA_VARIABLE
from telltale.models.references import find_model
from telltale_app.pages import PAGES

pytestmark = pytest.mark.slow

CLOTHES = ("shirt", "shoes", "t-shirt")
PART = {"train": 24, "validation": 12, "test": 8}


@dataclass(frozen=True)
class Walk:
    """Where the steps were taken, and what they printed.

    Attributes
    ----------
    place : Path
    model : str
        The network that was fine-tuned.
    wrong : str or None
        File whose label is known to be wrong.
    """

    place: Path
    model: str
    wrong: str | None


def part_of_clothing(folder: Path) -> None:
    """Copy some photographs of some classes."""
    listed = [Path(entry) / "clothing" for entry in os.environ.get(DATA_VARIABLE, "").split(os.pathsep) if entry]
    source = next((entry for entry in listed if entry.is_dir()), None)
    if source is None:
        pytest.skip(f"{DATA_VARIABLE} names no folder with 'clothing' in it: no photographs to walk with.")
    for split, count in PART.items():
        for name in CLOTHES:
            (folder / split / name).mkdir(parents=True)
            for file in sorted((source / split / name).iterdir())[:count]:
                shutil.copyfile(file, folder / split / name / file.name)


def mislabelled(folder: Path) -> str:
    """Put a green picture among the red ones."""
    picture = pixels(1, np.random.default_rng(3), 17, 20)
    Image.fromarray(picture.transpose(1, 2, 0)).save(folder / "train" / COLOURS[0] / "wrong.png")
    return f"train/{COLOURS[0]}/wrong.png"


@pytest.fixture(scope="module", params=["generated", "clothing"])
def walk(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Walk:
    """Train, inspect and build by three commands, tests must not change it."""
    place, wrong, model = tmp_path_factory.mktemp(request.param), None, "imagenet"
    if request.param == "generated":
        write_splits(place / "photos", {"train": 24, "validation": 30, "test": 12})
        wrong, model = mislabelled(place / "photos"), "shop.py:make"
    else:
        part_of_clothing(place / "photos")
    with pytest.MonkeyPatch.context() as patch:
        _at(place, patch)
        patch.setattr(telltale.building.build, "Processes", InOrder)
        patch.setattr(telltale.building.build, "LayerMaps", FlatMaps)
        (place / "shop.py").write_text(TEXT)
        known = ["--size", "16", "--mean", "0.4,0.5,0.6", "--std", "0.2,0.25,0.3"] if wrong else []
        assert main(["train", "mine", "--from", model, "--data", "photos", *known]) == 0
        assert main(["inspect", "mine", "--model", "mine.safetensors", "--data", "photos", "--no-cost"]) == 0
        settings = (place / "mine.toml").read_text()
        assert "Look at this first" not in settings
        (place / "mine.toml").write_text(settings.replace("attacks = []", 'attacks = ["fgsm"]'))  # the others take long
        assert main(["build", "mine", "--out", str(place / "bundles" / "mine")]) == 0
    return Walk(place, model, wrong)


@pytest.fixture
def bundle(walk: Walk, monkeypatch: pytest.MonkeyPatch) -> Bundle:
    _at(walk.place, monkeypatch)
    return load_bundle("mine")


def _at(place: Path, patch: pytest.MonkeyPatch) -> None:
    patch.setenv("XDG_DATA_HOME", str(place / "home"))
    patch.setenv("TELLTALE_BUNDLES", str(place / "bundles"))
    patch.delenv("TELLTALE_MODELS", raising=False)
    patch.chdir(place)


def told(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    """Run a command that prints one JSON object."""
    capsys.readouterr()
    assert main([*arguments, "--json"]) == 0
    found: dict[str, object] = json.loads(capsys.readouterr().out)
    return found


def test_its_file_says_what_the_network_has_learned_from(bundle: Bundle) -> None:
    assert bundle.trained_on is True and bundle.training_problem is None


def test_references_are_the_training_folder_and_classes_its_folders(bundle: Bundle) -> None:
    images = bundle.require_images()
    assert {Path(images.names[place]).parts[0] for place in bundle.splits.train} == {"train"}
    assert len(bundle.splits.train) == sum(name.startswith("train/") for name in images.names)
    assert {Path(images.names[place]).parts[0] for place in bundle.splits.test} == {"test"}
    assert bundle.class_names == images.class_names
    named = [Path(name).parts[1] for name in images.names]
    assert [bundle.class_names[label] for label in images.labels] == named
    assert bundle.manifest.accuracies["test"] >= 0.7


def test_doubtful_labels_are_listed_with_their_files(walk: Walk, bundle: Bundle, capsys) -> None:
    found = told(["label-errors", "mine", "--count", "5"], capsys)["images"]
    assert all((walk.place / "photos" / entry["file"]).is_file() for entry in found)
    if walk.wrong is not None:
        assert found[0]["file"] == walk.wrong and bundle.class_names[found[0]["neighbour_label"]] == COLOURS[1]


def test_corrections_go_from_proposal_to_a_network_that_learned_without_the_error(walk: Walk, bundle, capsys) -> None:
    place = walk.place
    assert main(["corrections", "propose", "mine", "--count", "1", "--out", "fixes.csv"]) == 0
    (row,) = csv.DictReader((place / "fixes.csv").read_text().splitlines())
    assert bundle.require_images().names[int(row["image_id"])] == row["file"]
    told(["corrections", "refit", "mine", "fixes.csv"], capsys)
    assert main(["corrections", "folders", "mine", "fixes.csv", "--out", "corrected"]) == 0
    copies = {file.name: file for file in (place / "corrected" / "train").rglob("*.*")}
    names = bundle.require_images().names
    assert len(copies) == len(bundle.splits.train)
    for image_id in bundle.splits.train:
        original = place / "photos" / names[image_id]
        copy = copies[f"{image_id}{original.suffix}"]
        assert copy.read_bytes() == original.read_bytes()
        assert (copy.parent.name == original.parent.name) == (image_id != int(row["image_id"]))
    capsys.readouterr()
    known = ["--size", "16", "--mean", "0.4,0.5,0.6", "--std", "0.2,0.25,0.3"] if walk.wrong else []
    assert main(["train", "again", "--from", walk.model, "--data", "corrected", *known]) == 0
    assert "Next: telltale inspect again --model again.safetensors --data corrected" in capsys.readouterr().out


def test_a_photograph_is_attacked_and_analysed_as_it_is(walk: Walk, bundle: Bundle, capsys) -> None:
    test = bundle.splits.test
    predicted = [telltale.analyse(bundle.require_images().images([i])[0], bundle="mine").prediction for i in test[:1]]
    name = bundle.require_images().names[test[0]]
    file = f"photos/{name}"
    found = told(["analyse", file, "--bundle", "mine"], capsys)
    assert found["prediction"]["confidence"] == pytest.approx(predicted[0].confidence, abs=1e-5)
    attacked = told(["attack", file, "--bundle", "mine", "--attack", "fgsm", "--out", "attacked.png"], capsys)
    assert attacked["linf"] <= 8 / 255 + 1e-6
    again = told(["analyse", "attacked.png", "--bundle", "mine"], capsys)
    assert (again["prediction"]["label"] != found["prediction"]["label"]) == attacked["success"]


def test_groups_of_errors_are_searched(bundle: Bundle, capsys) -> None:
    assert "slices" in told(["slices", "mine"], capsys)


@pytest.mark.parametrize("page", [page.file for page in PAGES])
def test_every_page_opens(bundle: Bundle, page: str, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = DirectEngine()
    monkeypatch.setattr(telltale.engine, "get_engine", lambda: engine)
    case = {"bundle": "mine", "image": f"test-{bundle.splits.test[0]}", "attack": "fgsm"}
    app = unopened(f"app_pages/{page}", 120, **case).run()
    assert not app.exception, app.exception
    assert not app.error


def test_held_out_images_of_a_folder_without_splits_were_spared(tmp_path, monkeypatch) -> None:
    _at(tmp_path, monkeypatch)
    monkeypatch.setattr(telltale.building.build, "Processes", InOrder)
    monkeypatch.setattr(telltale.building.build, "LayerMaps", FlatMaps)
    (tmp_path / "shop.py").write_text(TEXT)
    write_folder(tmp_path / "loose", 40, COLOURS)
    known = ["--size", "16", "--mean", "0.4,0.5,0.6", "--std", "0.2,0.25,0.3"]
    assert main(["train", "mine", "--from", "shop.py:make", "--data", "loose", *known]) == 0
    assert main(["inspect", "mine", "--model", "mine.safetensors", "--data", "loose", "--no-cost"]) == 0
    text = (tmp_path / "mine.toml").read_text()
    text = text.replace("attacks = []", 'attacks = ["fgsm"]').replace("detectors = []", 'detectors = ["confidence"]')
    (tmp_path / "mine.toml").write_text(text)
    assert main(["build", "mine", "--out", str(tmp_path / "bundles" / "mine")]) == 0
    built = load_bundle("mine")
    assert built.trained_on and HELD_OUT_LEARNED not in built.notes


def test_a_notebook_knows_what_the_network_of_a_file_has_learned_from(tmp_path, monkeypatch) -> None:
    """As the commands do: without splits too, the held-out images were spared, and no sentence says otherwise."""
    _at(tmp_path, monkeypatch)
    monkeypatch.setattr(telltale.building.build, "Processes", InOrder)
    monkeypatch.setattr(telltale.building.build, "LayerMaps", FlatMaps)
    (tmp_path / "shop.py").write_text(TEXT)
    write_folder(tmp_path / "loose", 40, COLOURS)
    known = ["--size", "16", "--mean", "0.4,0.5,0.6", "--std", "0.2,0.25,0.3"]
    assert main(["train", "mine", "--from", "shop.py:make", "--data", "loose", *known]) == 0
    found = find_model("mine.safetensors")
    model = telltale.wrap(found.network, classes=found.class_names, size=found.size, preprocess=found.preprocess)
    looked = telltale.inspect("mine", model, str(tmp_path / "loose"), cost=False)
    assert looked.trained_on and LEARNED_FROM_ALL not in looked.warnings
    built = telltale.build(
        "mine",
        model,
        tmp_path / "loose",
        trained_on=True,
        out=tmp_path / "bundles" / "mine",
        attacks=["fgsm"],
        detectors=["confidence"],
    )
    assert built.trained_on and HELD_OUT_LEARNED not in built.notes
    write_folder(tmp_path / "others", 41, COLOURS)
    other = telltale.inspect("mine", model, str(tmp_path / "others"), cost=False, trained_on=True)
    assert LEARNED_FROM_ALL in other.warnings, "of other images nothing is known"
