"""The three steps in a notebook: a network in one's hands, photographs of any size, minutes, a bundle that opens."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from torch import nn

import telltale
import telltale.building.build
import telltale.building.inspecting.minutes
import telltale.building.planning
from support.coloured import MEAN, NAMES, STD, ColourNetwork, write_folder
from support.in_order import InOrder
from support.miniature import FlatMaps
from telltale.base.errors import InputError
from telltale.building.inspecting.cost import Measured
from telltale.bundle.summary import summarise
from telltale.cli import main
from telltale.models.classifier import Classifier
from telltale.models.factories import make

EACH = 40
NETWORKS = """
import telltale
from support.coloured import ColourNetwork


@telltale.model_factory
def notebook_colours(order=(0, 1, 2)):
    return ColourNetwork(order)
"""
PREPROCESS = telltale.Preprocess(resize=16, crop=(16, 16), mean=MEAN, std=STD)


def wrapped(network: nn.Module | None = None, **options: object) -> Classifier:
    given = {"classes": list(NAMES), "size": 16, "preprocess": PREPROCESS} | options
    return telltale.wrap(network or ColourNetwork(), **given)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TELLTALE_BUNDLES", str(tmp_path / "bundles"))
    monkeypatch.delenv("TELLTALE_MODELS", raising=False)
    monkeypatch.setattr(telltale.building.build, "Processes", InOrder)
    monkeypatch.setattr(telltale.building.build, "LayerMaps", FlatMaps)
    write_folder(tmp_path / "photos", each=EACH)
    return tmp_path


@pytest.fixture(scope="module")
def networks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file that makes the network; a name is registered by one file only."""
    file = tmp_path_factory.mktemp("code") / "networks.py"
    file.write_text(NETWORKS)
    return file


@pytest.fixture
def classifier(place: Path, networks: Path, monkeypatch: pytest.MonkeyPatch) -> Classifier:
    monkeypatch.setenv("TELLTALE_MODELS", str(networks))
    return wrapped(make("notebook_colours", {}))


@pytest.fixture
def one_core(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A build in one process, whose parts take what they say: a minute for every reference."""
    asked = []

    def measure(*_: object, read: float) -> Measured:
        assert read > 0.0, "reading all pictures was timed"
        asked.append(1)
        return Measured(60.0, 0.01, {"fgsm": 0.01, "deepfool": 1000.0}, 0, 10)

    monkeypatch.setattr(telltale.building.planning, "measure", measure)
    monkeypatch.setattr(telltale.building.inspecting.minutes, "cores", lambda: 1)
    return asked


# --- inspect --------------------------------------------------------------------------------------------------------


def test_what_was_found_can_be_read_and_is_json(place: Path, classifier: Classifier) -> None:
    found = telltale.inspect("shop", classifier, place / "photos", cost=False)
    record = found.to_json()
    assert record["model"] == "notebook_colours" and record["remarks"] == record["warnings"] == []
    assert record["classes"] == {"blue": [2, "blue"], "green": [1, "green"], "red": [0, "red"]}
    assert record["data"] == str(place / "photos") and record["accuracies"][0]["accuracy"] == 1.0
    said = repr(found)
    assert said.startswith(f"shop: {3 * EACH} pictures of ") and "red and blue swapped (BGR)" in said
    assert "blue = blue, green = green, red = red; the network has 3 outputs" in said
    html = found._repr_html_()
    assert html.count("<table>") == 2 and "as stated" in html and "100.0%" in html


def test_the_command_says_the_same(
    place: Path, classifier: Classifier, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(place)
    (place / "shop.py").write_text("from support.coloured import ColourNetwork as make\n")
    numbers = [",".join(map(str, values)) for values in (MEAN, STD)]
    told = ["--model", "shop.py:make", "--data", "photos", "--mean", numbers[0], "--std", numbers[1]]
    options = ["--classes", ",".join(NAMES), "--size", "16", "--resize", "16", "--no-cost", "--json"]
    assert main(["inspect", "shop", *told, *options]) == 0
    command = json.loads(capsys.readouterr().out)
    notebook = json.loads(json.dumps(telltale.inspect("shop", classifier, "photos", cost=False).to_json()))
    named = {"model", "arguments", "code_sha256", "settings"}  # how the network was told of
    assert {k: v for k, v in command.items() if k not in named} == {k: v for k, v in notebook.items() if k not in named}


def test_what_stands_in_the_way_of_a_build_is_said_before_it(place: Path) -> None:
    found = telltale.inspect("shop", wrapped(), place / "photos", cost=False)
    assert found.model.reference == "ColourNetwork"
    assert found.model.remarks[0].startswith("Nothing can be built yet. No registered factory made this network")
    assert "Note: Nothing can be built yet" in repr(found) and "<p>Note: Nothing" in found._repr_html_()


def test_pictures_without_labels_are_looked_at_too(place: Path) -> None:
    found = telltale.inspect("shop", wrapped(), place / "photos" / "red", cost=False)
    assert found.accuracies == () and "the network has 3 outputs" in repr(found)
    assert found._repr_html_().count("<table>") == 1 and found.warnings


def test_names_are_escaped(place: Path) -> None:
    names = ["<b>red</b>", "green", "blue"]
    found = telltale.inspect("shop", wrapped(classes=names), place / "photos", cost=False)
    assert "<b>" not in replace(found, warnings=("<b>",))._repr_html_()
    assert found.classes.unmatched == ("red",)


def test_outputs_without_names_are_the_classes_in_their_order_and_that_is_said(place: Path) -> None:
    found = telltale.inspect("shop", wrapped(classes=3), place / "photos", cost=False)
    assert found.classes.outputs == {"blue": 0, "green": 1, "red": 2}
    said = "\n".join(found.warnings)
    assert "have no names, so the data's classes are taken for them in their order" in said
    assert "not in the order of the outputs" in said  # which is red, green, blue


def test_what_cannot_be_looked_at_is_one_sentence(place: Path) -> None:
    photos = place / "photos"
    with pytest.raises(InputError, match=r"takes pictures of 16 x 16 pixels, and some have 16 x 20: say by telltale\."):
        telltale.inspect("shop", wrapped(preprocess=telltale.Preprocess(mean=MEAN, std=STD)), photos)
    with pytest.raises(InputError, match="tells 4 classes apart; the data set names 3"):
        telltale.inspect("shop", wrapped(nn.Sequential(nn.Flatten(), nn.Linear(768, 4)), classes=4), photos)
    with pytest.raises(InputError, match="images must be a whole number of at least 10"):
        telltale.inspect("shop", wrapped(), photos, images=3)
    with pytest.raises(InputError, match="name is made of letters"):
        telltale.inspect("my shop", wrapped(), photos)
    with pytest.raises(InputError, match="There is no file or folder"):
        telltale.inspect("shop", wrapped(), place / "nothing")


# --- build ----------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_build_within_minutes_says_what_it_left_out(
    place: Path, classifier: Classifier, one_core: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, logger="telltale.building.planning"):
        bundle = telltale.build(
            "shop",
            classifier,
            place / "photos",
            minutes=16,
            out=place / "bundles" / "shop",
            attacks=("fgsm", "deepfool"),
            detectors=("confidence", "knn_score"),
        )
    sentence = bundle.notes["cut"]
    began = "To be read, observed and attacked within 16 minutes it takes 15 of 42 reference images, 4"
    ending = " of 96 attacked images, and leaves out the attack deepfool; fitting, maps and scores come on top."
    assert sentence.startswith(began) and sentence.endswith(ending)
    assert sentence in caplog.messages and sentence in summarise("shop").lacks
    assert sentence in bundle._repr_html_()
    labels = bundle.require_images().labels
    assert bundle.require_images().pixels.shape == (3 * EACH, 3, 16, 16)
    assert np.bincount(labels[bundle.splits.train]).tolist() == [5, 5, 5]
    assert [attack["name"] for attack in bundle.manifest.attacks] == ["fgsm"]
    assert bundle.notes["macro_attacks"] == ["fgsm"] and not bundle.unfinished
    scored = bundle.scores.filter(np.array(bundle.scores["attack"].to_pylist()) == "fgsm")
    assert set(labels[scored["image_id"].to_numpy()]) == {0, 1, 2}
    assert [entry.name for entry in (place / "bundles").iterdir()] == ["shop"], "nothing is left beside it"


@pytest.mark.slow
def test_a_build_that_was_stopped_goes_on_with_the_same_images(
    place: Path, classifier: Classifier, one_core: list[int]
) -> None:
    class Killed(Exception):
        """Takes the place of a kill."""

    def stop(fraction: float, message: str) -> None:
        del fraction
        if message.startswith("Attacking"):
            raise Killed

    options = {"minutes": 30, "out": place / "bundles" / "shop", "attacks": ["fgsm"], "detectors": ["confidence"]}
    with pytest.raises(Killed):
        telltale.build("shop", classifier, place / "photos", **options, progress=stop)
    first = telltale.load_bundle("shop")
    assert first.unfinished and "30 minutes" in first.notes["cut"]
    second = telltale.build("shop", classifier, place / "photos", **options)
    np.testing.assert_array_equal(second.splits.train, first.splits.train)
    assert len(one_core) == 1, "what was measured is kept"


def test_minutes_that_are_too_few_say_how_many_are_needed(
    place: Path, classifier: Classifier, one_core: list[int]
) -> None:
    options = {"out": place / "bundles" / "shop", "attacks": ["fgsm"]}
    with pytest.raises(InputError, match=r"^15 minutes are too few .* take at least 15\.1\.$"):
        telltale.build("shop", classifier, place / "photos", minutes=15, **options)
    with pytest.raises(InputError, match="minutes must be a number above 0"):
        telltale.build("shop", classifier, place / "photos", minutes=0, **options)
    with pytest.raises(InputError, match="No registered factory made this network"):
        telltale.build("shop", wrapped(), place / "photos", minutes=20, **options)
    assert not (place / "bundles" / "shop").exists()


def test_a_recipe_is_not_cut(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["build", "digits", "--minutes", "5"]) == 2
    assert "'digits' is built as its recipe says; --minutes is for a network of your own." in capsys.readouterr().err
