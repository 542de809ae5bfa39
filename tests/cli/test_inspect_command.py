"""``telltale inspect`` as it is typed: what it prints and writes, and one sentence where it cannot."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from safetensors.torch import save_file

from support.coloured import TEXT, ColourNetwork, write_folder
from telltale.building.inspecting.settings_file import read_settings
from telltale.cli import main


@pytest.fixture
def shop(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("TELLTALE_MODELS", raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "shop.py").write_text(TEXT)
    save_file(ColourNetwork().state_dict(), tmp_path / "shop.safetensors")
    write_folder(tmp_path / "photos", each=16)
    return tmp_path


ARGUMENTS = [
    *("inspect", "shop", "--model", "shop.py:make", "--weights", "shop.safetensors", "--data", "photos"),
    *("--classes", "red,green,blue", "--size", "16", "--mean", "0.4,0.5,0.6", "--std", "0.2,0.25,0.3", "--no-cost"),
]


def test_it_prints_one_json_object_and_writes_settings(shop, capsys) -> None:
    assert main([*ARGUMENTS, "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["accuracies"][0]["accuracy"] == 1.0 and record["warnings"] == [] and record["settings"] == "shop.toml"
    assert record["classes"] == {"blue": [2, "blue"], "green": [1, "green"], "red": [0, "red"]}
    settings = read_settings(shop / "shop.toml")
    assert settings.reference == f"{shop}/shop.py:make" and settings.source == str(shop / "photos")
    assert settings.classifier().input_shape == (3, 16, 16)


def test_it_prints_tables_and_warnings(shop, capsys) -> None:
    wrong = [value if value != "red,green,blue" else "green,blue,red" for value in ARGUMENTS]
    assert main(wrong) == 0
    out = capsys.readouterr().out
    assert "as stated" in out and "Warning: The names of the classes are probably not in the order" in out
    assert out.endswith("Wrote shop.toml.\n")
    assert "# Look at this first: The names" in (shop / "shop.toml").read_text()


def test_names_from_a_file_or_from_sorted_folders(shop) -> None:
    (shop / "names.txt").write_text("red\ngreen\nblue\n")
    for value, names in (("names.txt", ("red", "green", "blue")), ("folders", ("blue", "green", "red"))):
        assert main([value if given == "red,green,blue" else given for given in ARGUMENTS]) == 0
        assert read_settings(shop / "shop.toml").classifier().class_names == names


def test_names_are_asked_for_before_any_picture_is_read(shop, capsys, monkeypatch) -> None:
    read: list[str] = []
    monkeypatch.setattr("telltale.building.inspecting.pictures.read_pictures", lambda source, _: read.append(source))
    place = ARGUMENTS.index("--classes")
    assert main([*ARGUMENTS[:place], *ARGUMENTS[place + 2 :]]) == 2
    assert "give the names, in the order of the outputs, by --classes" in capsys.readouterr().err
    assert read == [] and not (shop / "shop.toml").exists()


@pytest.mark.parametrize(
    ("option", "value", "sentence"),
    [
        ("--model", "shop.py:none", "There is no function 'none'"),
        ("--model", "shop", "'shop' is no model; use FILE.py:FUNCTION"),
        ("--weights", "none.pth", "There is no file of weights"),
        ("--weights", "shop.pkl", "which can run anything"),
        ("--data", "none", "There is no data set or folder 'none'"),
        ("--size", "16x", "--size takes N or HEIGHTxWIDTH"),
        ("--mean", "a", "--mean takes a number"),
        ("--classes", "red,green", "The network has 3 outputs, and 2 classes are given for them."),
        ("--out", "none/shop.toml", "there is no folder"),
        ("--arguments", "[1]", "--arguments takes a JSON object"),
        ("--arguments", '{"order": 3}', "fails when called with"),
        ("--resize", "20", ""),
    ],
)
def test_every_wrong_option_is_one_sentence(shop, capsys, option, value, sentence) -> None:
    given = [*ARGUMENTS]
    if option in given:
        given[given.index(option) + 1] = value
    else:
        given += [option, value]
    status = main(given)
    said = capsys.readouterr()
    if not sentence:
        assert status == 0
        preprocess = read_settings(shop / "shop.toml").classifier().preprocess
        assert (preprocess.resize, preprocess.crop) == (20, (16, 16))
        return
    assert status == 2 and sentence in said.err and said.err.count("\n") == 1
    assert not (shop / "shop.toml").exists()


@pytest.mark.parametrize(
    ("option", "trained_on", "line"),
    [
        (["--trained-on"], True, "trained_on = true"),
        (["--not-trained-on"], False, "trained_on = false"),
        ([], None, "# trained_on = true"),
    ],
)
def test_whether_the_network_has_learned_from_the_pictures_is_written_with_what_it_brings(
    shop, capsys, option, trained_on, line
) -> None:
    assert main([*ARGUMENTS, *option, "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    text = (shop / "shop.toml").read_text()
    assert f"\n{line}\n" in text and "# Only true brings influence and training images" in text
    assert read_settings(shop / "shop.toml").stated.trained_on is trained_on and record["trained_on"] is trained_on
    # Half of the pictures would be held out, and have been learned from as well.
    assert any("no validation folder of their own" in warning for warning in record["warnings"]) == bool(trained_on)


def test_with_a_validation_folder_there_is_nothing_to_warn_of(shop, capsys) -> None:
    (shop / "photos").rename(shop / "train")
    write_folder(shop / "both" / "validation", each=8)
    (shop / "train").rename(shop / "both" / "train")
    given = ["both" if value == "photos" else value for value in ARGUMENTS]
    assert main([*given, "--trained-on", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["warnings"] == []
