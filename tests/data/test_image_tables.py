"""Parquet tables of images: every row once or left out by name; splits by files, classes by name."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from telltale.base.errors import InputError
from telltale.data.image_set import ImageSet
from telltale.data.sources import load_image_set

IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("TELLTALE_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("TELLTALE_DATA", raising=False)
    return tmp_path / "set"


def png(level: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("L", (3, 2), level).save(buffer, "PNG")
    return buffer.getvalue()


def write(
    file: Path, levels: list[int], labels: list[object], classes: list[str] | None = None, **more: object
) -> None:
    """Write a table of pictures of one grey level each, as the hub stores them."""
    file.parent.mkdir(parents=True, exist_ok=True)
    images = [{"bytes": png(level), "path": None} for level in levels]
    told = pa.table({"image": pa.array(images, IMAGE), "label": labels, **more})
    if classes is not None:
        features = {"image": {"_type": "Image"}, "label": {"names": classes, "_type": "ClassLabel"}}
        told = told.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    pq.write_table(told, file)


def rows(found: ImageSet) -> list[tuple[int, str]]:
    return [(int(x.max()), found.class_names[y]) for x, y in zip(found.pixels, found.labels, strict=True)]


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("train-00000-of-00001.parquet", "test-00000-of-00001.parquet"),
        ("train-00000-of-00001-0a1b.parquet", "test-00000-of-00001-2c3d.parquet"),
        ("data/train.parquet", "data/test.parquet"),
        ("train/0.parquet", "test/0.parquet"),
        ("my_train.PARQUET", "my_test.PARQUET"),
    ],
)
def test_files_that_are_all_named_by_splits_are_splits(folder, train, test) -> None:
    write(folder / test, [5, 6], ["a", "c"])
    write(folder / train, [1, 2, 3], ["b", "a", "b"])
    found = load_image_set(str(folder))
    assert rows(found) == [(1, "b"), (2, "a"), (3, "b"), (5, "a"), (6, "c")]
    assert (found.class_names, found.own_test, found.names) == (("a", "b", "c"), 2, ())


def test_files_of_which_some_are_named_like_splits_are_none(folder) -> None:
    write(folder / "a.parquet", [1], ["a"])
    write(folder / "cat_test_9.parquet", [2], ["b"])
    found = load_image_set(str(folder))
    assert (rows(found), found.own_test) == ([(1, "a"), (2, "b")], 0)


def test_other_splits_and_other_files_are_named(folder) -> None:
    for split, level in (("train", 1), ("extra", 2), ("validation", 3)):
        write(folder / f"{split}-00000-of-00001.parquet", [level], ["a"])
    (folder / "README.md").write_text("about it")
    found = load_image_set(str(folder))
    assert (rows(found), found.own_validation) == ([(1, "a"), (3, "a")], 1)
    assert {left.name for left in found.left_out} == {"README.md", "extra-00000-of-00001.parquet"}


def test_classes_go_by_name_and_never_by_number(folder) -> None:
    write(folder / "train-00000-of-00002.parquet", [1, 2], [0, 1], ["cat", "dog", "owl"])
    write(folder / "train-00001-of-00002.parquet", [3, 4], [0, 1], ["dog", "cat"])
    write(folder / "test-00000-of-00001.parquet", [5, 6], [0, 1], ["owl", "emu"])
    found = load_image_set(str(folder))
    assert rows(found) == [(1, "cat"), (2, "dog"), (3, "dog"), (4, "cat"), (5, "owl"), (6, "emu")]
    assert found.class_names == ("cat", "dog", "owl", "emu")


def test_numbers_without_names_beside_numbers_with_names_are_a_sentence(folder) -> None:
    write(folder / "train.parquet", [1, 2], [0, 1], ["cat", "dog"])
    write(folder / "test.parquet", [3], [0])
    with pytest.raises(InputError, match=r"'test\.parquet' does not"):
        load_image_set(str(folder))


def test_numbers_and_words_for_the_same_classes_are_the_same_classes(folder) -> None:
    write(folder / "train.parquet", [1, 2], [3, 5])
    write(folder / "test.parquet", [4], ["5"])
    assert rows(load_image_set(str(folder))) == [(1, "3"), (2, "5"), (4, "5")]


def test_rows_that_hold_no_image_or_label_are_left_out_by_name(folder) -> None:
    write(folder / "train.parquet", [1, 2, 3, 4, 5], [0, -1, None, 7, 1], ["a", "b"])
    junk = [{"bytes": b"junk", "path": None}, {"bytes": None, "path": "/etc/passwd"}]
    broken = pa.table({"image": pa.array(junk, IMAGE), "label": [0, 1]})
    kept = pq.read_table(folder / "train.parquet")
    pq.write_table(pa.concat_tables([kept, broken.cast(kept.schema)]), folder / "train.parquet")
    found = load_image_set(str(folder))
    assert rows(found) == [(1, "a"), (5, "b")]
    reasons = {left.name: left.reason for left in found.left_out}
    expected = {1: "no label", 2: "no label", 3: "7 is no class", 5: "not a readable image", 6: "holds no image"}
    assert reasons.keys() == {f"train.parquet, row {row}" for row in expected}
    for row, words in expected.items():
        assert words in reasons[f"train.parquet, row {row}"]


def test_a_damaged_table_is_a_sentence(folder) -> None:
    write(folder / "train.parquet", [1], [0])
    (folder / "test.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(InputError, match="no parquet file that can be read"):
        load_image_set(str(folder))


def test_images_in_a_plain_column_of_bytes_are_found(folder) -> None:
    folder.mkdir()
    pq.write_table(pa.table({"photo": [png(9), png(8)], "label": ["x", "y"]}), folder / "a.parquet")
    assert rows(load_image_set(str(folder))) == [(9, "x"), (8, "y")]


def test_many_rows_are_read_in_order(folder) -> None:
    levels = np.random.default_rng(0).integers(0, 256, 150).tolist()
    write(folder / "train.parquet", levels, [0] * 150)
    assert [level for level, _ in rows(load_image_set(str(folder)))] == levels


def test_whole_numbers_beside_missing_ones_are_classes(folder) -> None:
    write(folder / "a.parquet", [10, 20, 30, 40], [1.0, float("nan"), 0.0, 0.5])
    found = load_image_set(str(folder))
    assert rows(found) == [(10, "1"), (30, "0")]
    assert [left.reason for left in found.left_out] == ["no label", "no label: neither a number nor a name"]


def test_class_names_that_are_no_list_are_none(folder) -> None:
    write(folder / "a.parquet", [10, 20], [0, 1], classes=5)  # type: ignore[arg-type]
    assert rows(load_image_set(str(folder))) == [(10, "0"), (20, "1")]
