"""Tables of paths and labels: every row once or left out by name, and no file outside the table's folder opened."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from telltale.base.errors import InputError
from telltale.data.image_set import ImageSet
from telltale.data.sources import lasting_source, load_image_set


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """Return a folder with pictures 0.png to 5.png, each of one grey level of its own, and one beside it."""
    monkeypatch.setenv("TELLTALE_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("TELLTALE_DATA", raising=False)
    (tmp_path / "set").mkdir()
    for number in range(6):
        Image.new("L", (3, 2), 40 * number).save(tmp_path / "set" / f"{number}.png")
    Image.new("L", (3, 2), 255).save(tmp_path / "secret.png")
    return tmp_path / "set"


def table(folder: Path, *lines: str, encoding: str = "utf-8") -> str:
    (folder / "labels.csv").write_text("".join(f"{line}\n" for line in lines), encoding=encoding)
    return str(folder / "labels.csv")


def rows(found: ImageSet) -> list[tuple[str, str]]:
    """Return name and class of every image, the name told by its pixels."""
    names = found.class_names
    return [(f"{image.max() // 40}.png", names[y]) for image, y in zip(found.pixels, found.labels, strict=True)]


def left_out(found: ImageSet) -> dict[str, str]:
    return {left.name: left.reason for left in found.left_out}


def test_rows_are_images_in_their_order(folder) -> None:
    found = load_image_set(table(folder, "path,label", "4.png,dog", "0.png,cat", "./1.png,dog"))
    assert rows(found) == [("4.png", "dog"), ("0.png", "cat"), ("1.png", "dog")]
    assert (found.class_names, found.names, found.own_test) == (("cat", "dog"), ("4.png", "0.png", "1.png"), 0)
    unnamed = "no row of 'labels.csv' that is read names it"
    assert left_out(found) == {f"{number}.png": unnamed for number in (2, 3, 5)}


def test_splits_are_kept_and_classes_go_by_name(folder) -> None:
    lines = ["0.png,b,test", "1.png,a,TRAIN", "2.png,c,val", "3.png,b,train", "4.png,a,extra", "5.png,a,"]
    found = load_image_set(table(folder, "path,label,split", *lines))
    assert rows(found) == [("1.png", "a"), ("3.png", "b"), ("2.png", "c"), ("0.png", "b")]
    assert (found.own_validation, found.own_test) == (1, 1)
    assert {name: list(ids) for name, ids in found.own_splits.items()} == {
        "train": [0, 1],
        "validation": [2],
        "test": [3],
    }
    assert left_out(found)["line 6, 4.png"] == "its split 'extra' is none of train, validation, test"
    assert "its split ''" in left_out(found)["line 7, 5.png"]


def test_class_ten_follows_class_nine_only_where_all_are_numbers(folder) -> None:
    numbers = load_image_set(table(folder, "path,label", "0.png,10", "1.png,9", "2.png,2"))
    assert (numbers.class_names, numbers.labels.tolist()) == (("2", "9", "10"), [2, 1, 0])
    words = load_image_set(table(folder, "path,label", "0.png,10", "1.png,9", "2.png,02"))
    assert (words.class_names, words.labels.tolist()) == (("02", "10", "9"), [1, 2, 0])


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("../secret.png,a", "leads out of the table's folder"),
        ("x/../../secret.png,a", "leads out of the table's folder"),
        ("{outside}/secret.png,a", "leads out of the table's folder"),
        ("link.png,a", "leads out of the table's folder"),
        ("gone.png,a", "there is no such file"),
        (".,a", "there is no such file"),
        ("1.png\0,a", "no path of a file"),
        (f"{'x' * 300}.png,a", "no path of a file"),
        (",a", "no path"),
        ("1.png,", "no label"),
        ("1.png, ", "no label"),
        ("1.png", "it has 1 cells"),
        ("1.png,a,b", "it has 3 cells"),
        ("0.png,cat", "named before, in line 2"),
        ("./x/../0.png,cat", "named before, in line 2"),
        ("broken.png,a", "not a readable image"),
    ],
)
def test_rows_that_name_no_image_are_left_out_by_name(folder, row, words) -> None:
    (folder / "link.png").symlink_to(folder.parent / "secret.png")
    (folder / "x").mkdir()
    (folder / "broken.png").write_bytes(b"junk")
    found = load_image_set(table(folder, "path,label", "0.png,cat", row.format(outside=folder.parent)))
    assert rows(found) == [("0.png", "cat")] and 255 not in found.pixels
    of_rows = [left for left in found.left_out if "that is read names it" not in left.reason]
    assert len(of_rows) == 1
    assert of_rows[0].name.startswith(("line 3", "broken.png")) and words in of_rows[0].reason


def test_a_file_with_two_labels_has_none(folder) -> None:
    found = load_image_set(table(folder, "path,label", "0.png,cat", "1.png,dog", "0.png,dog"))
    assert rows(found) == [("1.png", "dog")]
    assert left_out(found)["line 2, 0.png"] == left_out(found)["line 4, 0.png"]
    assert "several labels: 'cat' and 'dog'" in left_out(found)["line 2, 0.png"]


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        (["file,label", "0.png,a"], "needs columns path and label.*has file, label"),
        (["path", "0.png"], "needs columns path and label"),
        (["path,label,label", "0.png,a,b"], "there twice"),
        ([], "has none"),
        (["path,label", '"0.png,a'], "no CSV"),
        (["path,label", "gone.png,a"], "1 were left out, the first of them"),
    ],
)
def test_tables_that_are_none_are_a_sentence(folder, lines, sentence) -> None:
    with pytest.raises(InputError, match=sentence):
        load_image_set(table(folder, *lines))


def test_as_spreadsheets_write_it(folder) -> None:
    lines = ["Path;Label;age", '"0.png";"a;b";3', '"1.png";"é ""x""";4']
    found = load_image_set(table(folder, *lines, encoding="utf-8-sig"))
    assert rows(found) == [("0.png", "a;b"), ("1.png", 'é "x"')]
    assert left_out(found)["column 'age'"] == "not read"
    with pytest.raises(InputError, match="no UTF-8 text"):
        load_image_set(table(folder, "path,label", "0.png,é", encoding="latin-1"))


def test_a_parquet_table_of_paths_is_the_same(folder) -> None:
    columns = {"path": ["1.png", "0.png", None, "../secret.png"], "label": [7, 10, 7, 7], "age": [1, 2, 3, 4]}
    pq.write_table(pa.table(columns), folder / "index.parquet")
    found = load_image_set(str(folder / "index.parquet"))
    assert rows(found) == [("1.png", "7"), ("0.png", "10")]
    assert left_out(found).keys() >= {"row 2, ", "row 3, ../secret.png", "column 'age'"}


def test_a_table_beside_images_is_not_overlooked(folder) -> None:
    csv = table(folder, "path,label", "0.png,a", "1.png,b")
    with pytest.raises(InputError, match=r"name the table itself: '.*/set/labels\.csv'"):
        load_image_set(str(folder))
    assert lasting_source(csv) == str(Path(csv).resolve())


def test_a_changed_image_is_read_anew(folder) -> None:
    csv = table(folder, "path,label", "0.png,a", "1.png,b")
    before = load_image_set(csv)
    assert not load_image_set(csv).pixels.flags.writeable
    Image.new("L", (3, 2), 77).save(folder / "1.png")
    np.testing.assert_array_equal(load_image_set(csv).pixels[1], 77)
    assert load_image_set(csv).fingerprint != before.fingerprint


def test_blanks_after_commas_and_lines_before_the_columns_mean_nothing(folder) -> None:
    found = load_image_set(table(folder, "", "label; path; split", 'cat; "0.png"; train', '"dog"; 1.png; test'))
    assert rows(found) == [("0.png", "cat"), ("1.png", "dog")] and found.own_test == 1


def test_columns_that_are_not_read_may_be_there_twice(folder) -> None:
    assert rows(load_image_set(table(folder, ",,path,label", "0,0,0.png,cat"))) == [("0.png", "cat")]


def test_whole_numbers_beside_missing_ones_are_whole(folder) -> None:
    told = {"path": ["0.png", "1.png", "2.png"], "label": pa.array([10.0, 9.0, None])}
    pq.write_table(pa.table(told), folder / "labels.parquet")
    found = load_image_set(str(folder / "labels.parquet"))
    assert found.class_names == ("9", "10") and rows(found) == [("0.png", "10"), ("1.png", "9")]
    assert left_out(found)["row 2, 2.png"] == "no label"


def test_an_image_that_comes_to_lie_beside_the_others_is_named(folder) -> None:
    source = table(folder, "path,label", *(f"{number}.png,cat" for number in range(6)))
    assert left_out(load_image_set(source)) == {}
    Image.new("L", (3, 2), 9).save(folder / "new.png")
    assert "no row" in left_out(load_image_set(source))["new.png"]


def test_a_folder_that_cannot_be_listed_hides_only_what_no_row_names(folder, monkeypatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", refuse)
    assert rows(load_image_set(table(folder, "path,label", "0.png,cat"))) == [("0.png", "cat")]


def test_the_home_of_nobody_is_no_folder() -> None:
    with pytest.raises(InputError, match="There is no data set or folder"):
        load_image_set("~nobody-of-that-name/photographs")
