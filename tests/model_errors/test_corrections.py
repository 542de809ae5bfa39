"""Corrections as values, CSV, folders and a training: what goes out comes in, and what is wrong is said."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import telltale.cli.corrections as corrections_cli
import telltale.models.training as training_module
from support.fake_analysis import FakeBundle
from support.miniature import RECIPE
from telltale import recipes
from telltale.base.errors import InputError
from telltale.base.images import to_floats
from telltale.bundle import load_bundle
from telltale.cli import main
from telltale.data.splits import Splits
from telltale.data.uploads import png_bytes
from telltale.model_errors.corrected_folders import folder_names, layout, write_folders, write_zip
from telltale.model_errors.corrections import (
    COLUMNS,
    REMOVED,
    Correction,
    LabelEvidence,
    TrainingSet,
    as_arrays,
    from_csv,
    proposed,
    require_corrections,
    summary,
    to_csv,
)
from telltale.model_errors.retraining import corrected_images
from telltale.model_errors.suspicious import SuspiciousImages

NAMES = ("cat", "dog", "a, b", 'the "big" one')
TRAINING = TrainingSet(np.array([30, 10, 20, 40]), np.array([0, 1, 2, 3]), NAMES)
MADE = (
    Correction(30, 0, None, "harmful, says\nsomebody", LabelEvidence(0.1 + 0.2, 1 / 3, 3)),
    Correction(20, 2, 3, '"quoted"'),
    Correction(40, 3, 0, "", LabelEvidence(self_influence=0.0)),
)


def silent(*_: object) -> None:
    """Take progress and say nothing."""


def test_what_goes_out_as_csv_comes_in_the_same() -> None:
    text = to_csv(MADE, NAMES)
    for data in (text, text.encode(), b"\xef\xbb\xbf" + text.encode(), text.replace("\n", "\r\n").encode()):
        read = from_csv(data, TRAINING)
        assert not read.problems
        assert [replace(each, reason=each.reason.replace("\r", "")) for each in read.corrections] == list(MADE)
    frame = pd.read_csv(io.StringIO(text), keep_default_na=False)
    assert tuple(frame.columns) == COLUMNS
    assert frame["image_id"].tolist() == [30, 20, 40] and frame["action"].tolist() == ["remove", "relabel", "relabel"]
    assert frame["new_class"].tolist() == ["", 'the "big" one', "cat"]
    assert from_csv(to_csv((), NAMES), TRAINING).corrections == ()


def test_no_cell_is_a_formula_and_all_come_in_the_same() -> None:
    names = ["=cmd", "-odd", "@cat", "'+frog", *NAMES[4:]]
    made = (
        Correction(30, 0, reason="=HYPERLINK(1)"),
        Correction(20, 2, 3, "+1 for the frog"),
        Correction(40, 3, 1, "-3"),
    )
    text = to_csv(made, names)
    assert [cell for row in csv.reader(io.StringIO(text)) for cell in row if cell[:1] in set("=+@")] == []
    assert from_csv(text, replace(TRAINING, class_names=names)).corrections == made


def test_a_short_list_by_hand_is_enough() -> None:
    read = from_csv("action,image_id,new_class\n Remove ,30,\nrelabel,10,cat\n", TRAINING)
    assert read.corrections == (Correction(30, 0), Correction(10, 1, 0)) and not read.problems


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("12,,remove,", "Row 3: image 12 is not among the training images."),
        ("-3,,remove,", "Row 3: image_id must be a whole number; got '-3'."),
        ("1.5,,remove,", "Row 3: image_id must be a whole number; got '1.5'."),
        (f"{'9' * 30},,remove,", "Row 3: image_id must be a whole number"),
        ("²,,remove,", "Row 3: image_id must be a whole number"),
        (",,,", "Row 3: image_id must be a whole number; got ''."),
        ("10,cat,remove,", "Row 3: image 10 is of class 'dog' here, not 'cat'."),
        ("10,dog,drop,", "Row 3: action must be 'remove' or 'relabel'; got 'drop'."),
        ("10,dog,relabel,cow", "Row 3: there is no class 'cow'; the classes are cat, dog, a, b, the"),
        ("10,dog,relabel,", "Row 3: there is no class ''"),
        ("10,dog,relabel,dog", "Row 3: image 10 is of class 'dog' already."),
        ("10,dog,remove,cat", "Row 3: image 10 cannot be removed and get a new class at once."),
        ("30,cat,relabel,dog", "Row 3: image 30 is corrected above already."),
        ("10", "Row 3: action must be 'remove' or 'relabel'; got ''."),
        ("10,dog,remove,,,nan", "Row 3: self_influence must be a number; got 'nan'."),
        ("10,dog,remove,,,much", "Row 3: self_influence must be a number; got 'much'."),
    ],
)
def test_a_bad_row_is_said_in_one_sentence_and_the_others_are_taken(row: str, said: str) -> None:
    text = f"image_id,class,action,new_class,reason,self_influence\n30,cat,remove,\n{row}\n40,,relabel,cat\n"
    read = from_csv(text, TRAINING)
    assert read.corrections == (Correction(30, 0), Correction(40, 3, 0))
    (problem,) = read.problems
    assert problem.startswith(said) and problem.endswith(".") and "\n" not in problem
    with pytest.raises(InputError, match=r"^Row 3: "):
        require_corrections(text, TRAINING)
    with pytest.raises(InputError, match="1 more row is wrong"):
        require_corrections(text + "x,,,\n", TRAINING)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"\xff\xfe\x00", "not a CSV file in UTF-8"),
        (b'image_id,action\n"open,remove\n', "not a CSV file in UTF-8"),
        (b"", "lack the column 'image_id'"),
        (b"id,action\n1,remove\n", "lack the column 'image_id'"),
        (b"image_id;action\n1;remove\n", "lack the column 'image_id'"),
        (b"x" * 17_000_000, "larger than 16 MB"),
    ],
    ids=["binary", "open quote", "empty", "wrong column", "semicolons", "huge"],
)
def test_what_is_no_such_file_is_refused(data: bytes, said: str) -> None:
    with pytest.raises(InputError, match=said):
        from_csv(data, TRAINING)


def test_images_are_found_by_id_in_any_order() -> None:
    assert TRAINING.rows([40, 10, 11, 10**9, -1]).tolist() == [3, 1, -1, -1, -1]
    assert [TRAINING.label_of(image_id) for image_id in (30, 31)] == [0, None]
    empty = np.empty(0, np.int64)
    assert TrainingSet(empty, empty, NAMES).rows([1]).tolist() == [-1]


def test_arrays_and_words() -> None:
    ids, labels = as_arrays(MADE)
    assert ids.tolist() == [20, 30, 40] and labels.tolist() == [3, REMOVED, 0]
    assert [array.shape for array in as_arrays(())] == [(0,), (0,)]
    assert summary(MADE) == "1 removed and 2 relabelled" and summary(MADE[:1]) == "1 removed"


def test_the_most_suspicious_are_proposed_with_what_speaks_for_them() -> None:
    shares = np.array([1.0, 0.5, 0.2])
    ids, labels = np.array([40, 30, 20]), np.array([3, 0, 2])
    found = SuspiciousImages(ids, labels, shares, shares / 9, shares, np.array([0, 1, 3]), shares, 20, "exact")
    relabelled = proposed(found, 2, relabel=True)
    assert [(c.image_id, c.label, c.new_label) for c in relabelled] == [(40, 3, 0), (30, 0, 1)]
    assert relabelled[1].evidence == LabelEvidence(0.5 / 9, 0.5, 1) and "rank 2 of 3" in relabelled[1].reason
    assert [c.new_label for c in proposed(found, 9, relabel=False)] == [None] * 3


# Folders

REMOVAL, RELABEL = Correction(7, 7), Correction(23, 3, 5)


def files_of(folder: Path) -> dict[str, np.ndarray]:
    pictures = sorted(folder.rglob("*.png"))
    return {file.relative_to(folder).as_posix(): np.asarray(Image.open(file)) for file in pictures}


def test_folders_hold_every_image_once_with_the_corrections_applied(tmp_path: Path) -> None:
    bundle = FakeBundle()
    assert write_folders(bundle, (REMOVAL, RELABEL), tmp_path / "new" / "out", silent) == 199
    files = files_of(tmp_path / "new" / "out")
    expected = {}
    for image_id, label in enumerate(bundle.image_set.labels):
        part = "train" if image_id < 120 else "validation" if image_id < 160 else "test"
        expected[f"{part}/{label}/{image_id}.png"] = bundle.image_set.pixels[image_id, 0]
    del expected["train/7/7.png"]
    expected["train/5/23.png"] = expected.pop("train/3/23.png")
    assert set(files) == set(expected)
    assert all(np.array_equal(files[name], pixels) for name, pixels in expected.items())
    assert [entry.name for entry in (tmp_path / "new").iterdir()] == ["out"]
    archive = io.BytesIO()
    write_zip(bundle, (REMOVAL, RELABEL), archive)
    with zipfile.ZipFile(archive) as opened:
        assert set(opened.namelist()) == set(expected)
        for name in ("train/5/23.png", "test/0/160.png"):
            assert np.array_equal(np.asarray(Image.open(io.BytesIO(opened.read(name)))), expected[name])


def test_folders_are_there_whole_or_not_at_all(tmp_path: Path) -> None:
    def stop(fraction: float, _message: str) -> None:
        if fraction > 0.4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_folders(FakeBundle(), (REMOVAL,), tmp_path / "out", stop)
    assert not list(tmp_path.iterdir())
    (tmp_path / "out").mkdir()
    with pytest.raises(InputError, match="is there already"):
        write_folders(FakeBundle(), (REMOVAL,), tmp_path / "out", silent)
    with pytest.raises(InputError, match="not on this machine"):
        write_folders(FakeBundle(with_data=False), (REMOVAL,), tmp_path / "other", silent)
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        write_folders(FakeBundle(), (REMOVAL,), tmp_path / "file" / "out", silent)


def test_test_images_that_belong_to_no_split_are_left_out() -> None:
    bundle = FakeBundle()
    bundle.image_set = replace(bundle.image_set, own_test=40)
    bundle.splits = replace(bundle.splits, test=np.arange(170, 175))
    parts = pd.Series([name.split("/")[0] for name, _ in layout(bundle, ())]).value_counts()
    assert parts.to_dict() == {"train": 120, "validation": 40, "test": 5}


def test_validation_images_that_belong_to_no_split_are_left_out_too() -> None:
    bundle = FakeBundle()
    bundle.image_set = replace(bundle.image_set, own_test=40, own_validation=41)
    bundle.splits = replace(bundle.splits, train=np.arange(119))
    parts = pd.Series([name.split("/")[0] for name, _ in layout(bundle, ())]).value_counts()
    assert parts.to_dict() == {"train": 119, "validation": 40, "test": 40}


def test_a_file_is_a_column_for_people_that_reading_passes_over() -> None:
    files = [f"photos/{place}.jpg" for place in range(41)]
    text = to_csv(MADE, NAMES, files)
    assert [row["file"] for row in csv.DictReader(io.StringIO(text))] == [files[made.image_id] for made in MADE]
    assert from_csv(text, TRAINING) == from_csv(to_csv(MADE, NAMES), TRAINING)


def test_every_class_has_a_folder_of_its_own() -> None:
    names = folder_names(("cat", "../x", "CAT", "a/b", "", "..", "日本 1"))
    assert names == ("cat", "_x", "CAT 2", "a_b", "class 4", "class 5", "日本 1")
    assert len({name.lower() for name in names}) == 7 and not any("/" in name for name in names)


# A training


def test_corrected_images_are_other_data_than_the_uncorrected_ones() -> None:
    images = FakeBundle().image_set
    train = np.arange(120)
    ids, labels = as_arrays((REMOVAL, RELABEL))
    corrected, kept = corrected_images(images, train, ids, labels)
    assert kept.tolist() == [i for i in range(120) if i != 7]
    assert np.flatnonzero(corrected.labels != images.labels).tolist() == [23] and corrected.labels[23] == 5
    assert images.labels[23] == 3, "the given labels stay"
    only_removed, _ = corrected_images(images, train, ids[:1], labels[:1])
    assert len({images.fingerprint, corrected.fingerprint, only_removed.fingerprint}) == 3


def test_a_training_learns_from_the_corrected_images_and_is_measured_on_the_others(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from telltale.data import digits

    images, seen = digits.load(), SimpleNamespace()
    splits = Splits.draw_within(images.labels, RECIPE.sizes, RECIPE.seed, images.own_test)
    monkeypatch.setitem(recipes.RECIPES, RECIPE.name, RECIPE)

    def train_weights(recipe: object, image_set: object, ids: np.ndarray, file: Path, progress: object) -> str:
        seen.trained = (image_set, ids, file)
        return "classifier"

    def accuracies(classifier: object, image_set: object, measured: Splits) -> dict[str, float]:
        seen.measured = (classifier, image_set.labels, measured.test)  # type: ignore[attr-defined]
        return {"train": 1.0, "fit": 0.5, "calibration": 0.25, "test": 0.75}

    monkeypatch.setattr(training_module, "train_weights", train_weights)
    monkeypatch.setattr(training_module, "accuracies", accuracies)
    first, second = splits.train[:2].tolist()
    new = (int(images.labels[second]) + 1) % 10
    made = (Correction(first, int(images.labels[first])), Correction(second, int(images.labels[second]), new))
    file, out = tmp_path / "made.csv", tmp_path / "weights.safetensors"
    file.write_text(to_csv(made, images.class_names))
    arguments = ["train", RECIPE.name, "--corrections", str(file)]
    assert main([*arguments, "--out", str(out)]) == 0
    assert "test 75.00%" in capsys.readouterr().err
    corrected, ids, written = seen.trained
    assert written == out and ids.tolist() == splits.train[1:].tolist()
    assert corrected.labels[second] == new and (corrected.labels != images.labels).sum() == 1
    assert np.array_equal(seen.measured[1], images.labels) and np.array_equal(seen.measured[2], splits.test)
    assert main(arguments) == 2 and "--out" in capsys.readouterr().err
    file.write_text(f"image_id,action\n{splits.test[0]},remove\n")
    assert main([*arguments, "--out", str(out)]) == 2
    assert capsys.readouterr().err == f"Row 2: image {splits.test[0]} is not among the training images.\n"


# The command line


def test_a_proposal_is_checked_tried_and_copied(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "made.csv"
    assert main(["corrections", "propose", "digits", "--count", "5", "--out", str(file)]) == 0
    bundle = load_bundle("digits")
    read = require_corrections(file.read_bytes(), TrainingSet.of_bundle(bundle))
    assert len(read) == 5 and all(c.new_label is not None and c.evidence.self_influence is not None for c in read)
    capsys.readouterr()
    assert main(["corrections", "check", "digits", str(file), "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert [row["image_id"] for row in record["corrections"]] == [c.image_id for c in read] and not record["problems"]
    picture = tmp_path / "digit.png"
    picture.write_bytes(png_bytes(to_floats(bundle.require_images().pixels[int(bundle.splits.test[0])])))
    assert main(["corrections", "refit", "digits", str(file), "--image", str(picture), "--json"]) == 0
    effect = json.loads(capsys.readouterr().out)
    assert effect["corrections"] == 5 and effect["removed"] == 0
    assert set(effect["answers"]) == set(corrections_cli.TITLES)
    assert all(sum(values) == pytest.approx(1.0, abs=1e-5) for values in effect["answers"].values())
    moved = len(effect["test"]["to_right"]) - len(effect["test"]["to_wrong"])
    assert effect["test"]["right_after"] - effect["test"]["right_before"] == moved
    assert main(["corrections", "refit", "digits", str(file)]) == 0
    assert "of these correctly" in capsys.readouterr().out


def test_bad_rows_end_with_a_sentence_each_and_status_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "made.csv"
    good = int(load_bundle("digits").splits.train[0])
    file.write_text(f"image_id,action,new_class\n{good},remove,\n{good},remove,\nx,remove,\n")
    assert main(["corrections", "check", "digits", str(file), "--json"]) == 2
    said = capsys.readouterr()
    assert [problem[:7] for problem in json.loads(said.out)["problems"]] == ["Row 3: ", "Row 4: "]
    assert said.err == f"2 of 3 rows of '{file}' are wrong.\n"
    for command in (["refit"], ["folders", "--out", str(tmp_path / "out")]):
        assert main(["corrections", command[0], "digits", str(file), *command[1:]]) == 2
        assert capsys.readouterr().err.startswith(f"Row 3: image {good} is corrected above already. 1 more row is")
    assert not (tmp_path / "out").exists()
    file.write_text("image_id,action\n")
    assert main(["corrections", "refit", "digits", str(file)]) == 2
    assert "corrects nothing" in capsys.readouterr().err
    assert main(["corrections", "check", "digits", str(tmp_path / "none.csv")]) == 2
    assert "cannot be used" in capsys.readouterr().err
