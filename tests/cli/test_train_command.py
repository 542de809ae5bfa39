"""``telltale train --from`` as it is typed: what it prints and writes, and one sentence where it cannot."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.clothes import COLOURS, write_splits
from support.coloured import TEXT, write_folder
from telltale.bundle.own_data import LEARNED_FROM_ALL
from telltale.cli import main

TRAIN = [
    *("train", "fruit", "--from", "shop.py:make", "--data", "photos"),
    *("--size", "16", "--mean", "0.4,0.5,0.6", "--std", "0.2,0.25,0.3"),
]


@pytest.fixture
def shop(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("TELLTALE_MODELS", raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "shop.py").write_text(TEXT)
    write_splits(tmp_path / "photos", {"train": 12, "validation": 12, "test": 6})
    return tmp_path


def test_it_prints_how_well_it_learned_and_what_comes_next(shop, capsys) -> None:
    assert main([*TRAIN, "--blocks", "1", "--epochs", "1"]) == 0
    said = capsys.readouterr().out
    assert "100.0% of 36, loss" in said and "100.0% of 18" in said and "validation, with blocks" in said
    assert said.endswith(
        "Wrote fruit.safetensors. Next: telltale inspect fruit --model fruit.safetensors --data photos\n"
    )
    assert (shop / "fruit.safetensors").is_file()


def test_what_it_wrote_is_inspected_without_a_word_about_classes_or_sizes(shop, capsys) -> None:
    assert main(TRAIN) == 0
    assert main(["inspect", "fruit", "--model", "fruit.safetensors", "--data", "photos", "--no-cost"]) == 0
    settings = (shop / "fruit.toml").read_text()
    assert f'reference = "{shop}/fruit.safetensors"' in settings and "weights = " not in settings
    assert "\ntrained_on = true\n" in settings
    assert "mean = [0.4, 0.5, 0.6]" in settings and '"cherry" = 0  # cherry' in settings
    assert "Note: The head of" in capsys.readouterr().out
    (shop / "other.py").write_text(TEXT)
    assert main(["train", "fruit", *(word.replace("shop.py", "other.py") for word in TRAIN[2:]), "--size", "18"]) == 0
    capsys.readouterr()
    assert main(["build", "fruit"]) == 2
    assert "are not those that were inspected" in capsys.readouterr().err


def test_of_a_folder_without_splits_it_is_known_that_held_out_images_were_spared(shop, capsys) -> None:
    write_folder(shop / "loose", 30, COLOURS)
    assert main([word.replace("photos", "loose") for word in TRAIN]) == 0
    for options, line in (([], "trained_on = true"), (["--not-trained-on"], "trained_on = false")):
        arguments = ["inspect", "fruit", "--model", "fruit.safetensors", "--data", "loose", "--no-cost", *options]
        assert main(arguments) == 0
        assert f"\n{line}\n" in (shop / "fruit.toml").read_text()
    assert main(["inspect", "fruit", "--model", "fruit.safetensors", "--data", "photos", "--no-cost"]) == 0
    assert "\n# trained_on = true\n" in (shop / "fruit.toml").read_text()  # of other pictures nobody has said it
    assert LEARNED_FROM_ALL not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (["--from", "shop.py:none"], "There is no function 'none'"),
        (["--from", "shop"], "'shop' is no model; use FILE.py:FUNCTION"),
        (["--from", "none.safetensors"], "There is no file"),
        (["--data", "none"], "There is no data set or folder 'none'"),
        (["--blocks", "9"], "--blocks must be at most 3"),
        (["--out", "fruit.pth"], "--out must end in .safetensors"),
        (["--out", "none/fruit.safetensors"], "there is no folder 'none'"),
        (["--corrections", "fixes.csv"], "--corrections are for a recipe"),
        (["--size", "16x"], "--size takes N or HEIGHTxWIDTH"),
        (["--arguments", '{"ending": "softmax"}'], "has no head that could be replaced"),
    ],
)
def test_every_wrong_option_is_one_sentence(shop, capsys, given, sentence) -> None:
    assert main([*TRAIN, *given]) == 2
    said = capsys.readouterr().err
    assert sentence in said and said.count("\n") == 1
    assert not list(shop.glob("*.safetensors"))


def test_options_of_fine_tuning_need_from_and_from_needs_data(shop, capsys) -> None:
    for given, sentence in (
        (["train", "digits", "--blocks", "2"], "--blocks goes with --from"),
        (["train", "digits", "--size", "32"], "--size goes with --from"),
        (["train", "fruit", "--from", "imagenet"], "--from needs --data"),
        (["train", "Fruit!", "--from", "imagenet", "--data", "photos"], "Fruit!"),
    ):
        assert main(given) == 2
        said = capsys.readouterr().err
        assert sentence in said and said.count("\n") == 1
