"""What `telltale data check` counts, against sets whose every image is known."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from telltale.base.errors import InputError
from telltale.cli import main
from telltale.data.checking import check
from telltale.data.duplicates import shared_between, warn_of_shared
from telltale.data.sources import list_images, load_image_set
from telltale.data.splits import Splits, SplitSizes


@pytest.fixture
def photographs(tmp_path, monkeypatch) -> Path:
    """Return a set with a leak into test, a copy within train, one image under two labels, and damaged files."""
    monkeypatch.setenv("TELLTALE_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("TELLTALE_DATA", raising=False)
    root = tmp_path / "shop"
    for place, level, size in [
        ("train/hat/1.png", 10, (8, 6)),
        ("train/hat/copy.bmp", 10, (8, 6)),
        ("train/hat/2.png", 20, (5, 5)),
        ("train/shoe/1.png", 30, (9, 9)),
        ("train/shoe/also a hat.png", 20, (5, 5)),
        ("validation/shoe/1.png", 40, (9, 9)),
        ("test/hat/leak.tiff", 10, (8, 6)),
        ("test/sock/1.png", 50, (4, 4)),
    ]:
        (root / place).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", size, level).save(root / place)
    (root / "train" / "hat" / "cut.jpg").write_bytes(b"\xff\xd8\xff")
    (root / "train" / "belt").mkdir()
    return root


def test_everything_is_counted(photographs) -> None:
    found = check(list_images(str(photographs)))
    assert (found.images, found.class_names, found.splits) == (
        8,
        ("hat", "shoe", "sock"),
        ("train", "validation", "test"),
    )
    assert found.counts == {
        "hat": {"train": 3, "validation": 0, "test": 1},
        "shoe": {"train": 2, "validation": 1, "test": 0},
        "sock": {"train": 0, "validation": 0, "test": 1},
    }
    assert found.sizes == {(8, 6): 3, (5, 5): 2, (9, 9): 2, (4, 4): 1} and found.grey == 8
    assert found.across == (
        ("train/hat/1.png (train, hat)", "train/hat/copy.bmp (train, hat)", "test/hat/leak.tiff (test, hat)"),
    )
    assert found.conflicting == (("train/hat/2.png (train, hat)", "train/shoe/also a hat.png (train, shoe)"),)
    assert found.repeated == {"train": 2}
    assert [left.name for left in found.left_out] == ["train/hat/cut.jpg", "belt"]


def test_the_same_pixels_are_the_same_image_in_grey_and_in_colour_and_not_in_another_size(photographs) -> None:
    Image.new("RGB", (8, 6), (10, 10, 10)).save(photographs / "test" / "hat" / "grey as colour.png")
    Image.new("RGB", (8, 6), (10, 10, 11)).save(photographs / "test" / "hat" / "nearly.png")
    Image.new("L", (6, 8), 10).save(photographs / "test" / "hat" / "turned.png")
    [group] = check(list_images(str(photographs))).across
    assert [name.split(" (")[0] for name in group] == [
        "train/hat/1.png",
        "train/hat/copy.bmp",
        "test/hat/grey as colour.png",
        "test/hat/leak.tiff",
    ]


def test_a_loaded_set_knows_its_duplicates(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("TELLTALE_CACHE", str(tmp_path / "cache"))
    for place, level in [("a/1.png", 1), ("a/2.png", 2), ("b/1.png", 1), ("b/2.bmp", 2), ("b/3.png", 1)]:
        (tmp_path / "set" / place).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (3, 3), level).save(tmp_path / "set" / place)
    for _ in range(2):  # the second time from the cache
        assert load_image_set(str(tmp_path / "set")).duplicates == ((0, 2, 4), (1, 3))


def test_images_that_were_drawn_into_several_splits_are_counted() -> None:
    """Images 0 to 9, of which 0, 4 and 8 are the same, 1 and 2, and 5 and 9."""
    same = ((0, 4, 8), (1, 2), (5, 9))
    drawn = [[0, 1, 2, 3], [4, 5], [6, 7], [8]]  # 9 belongs to no split
    splits = Splits(*(np.array(ids, dtype=np.int64) for ids in drawn))
    assert shared_between(same, splits) == {"train": 1, "fit": 1, "test": 1}
    assert shared_between(same[1:], splits) == {}


def test_a_training_whose_test_images_were_learned_says_so(tmp_path, monkeypatch, caplog) -> None:
    monkeypatch.setenv("TELLTALE_CACHE", str(tmp_path / "cache"))
    rng, root = np.random.default_rng(0), tmp_path / "set"
    for number in range(12):
        for split in ("train", "test"):
            place = root / split / "ab"[number % 2] / f"{number}.png"
            place.parent.mkdir(parents=True, exist_ok=True)
            seed = number if number < 3 else rng.integers(100, 2**31)  # three images are in both
            Image.fromarray(np.random.default_rng(seed).integers(0, 256, (6, 6), np.uint8)).save(place)
    image_set = load_image_set(str(root))
    splits = Splits.draw_within(image_set.labels, SplitSizes(2, 2, 12), 0, *image_set.own_held_out)
    warn_of_shared(image_set, splits)
    [said] = [record.getMessage() for record in caplog.records]
    assert "Images of 'set' are in several splits, pixel by pixel: " in said
    assert "3 of test" in said
    caplog.clear()
    warn_of_shared(replace(image_set, duplicates=()), splits)
    assert not caplog.records


def told(capsys, *arguments: str) -> str:
    assert main(["data", "check", *arguments]) == 0
    return capsys.readouterr().out


def test_the_command_prints_it(photographs, capsys) -> None:
    out = told(capsys, str(photographs))
    for words in [
        "8 images of 3 classes, grey, 4 sizes from 4×4 to 9×9.",
        "The same image in several splits: 1.",
        "train/hat/1.png (train, hat) = train/hat/copy.bmp (train, hat) = test/hat/leak.tiff (test, hat)",
        "The same image under several labels: 1.",
        "There before in the same split: 2 in train.",
        "Left out: 2.",
        "train/hat/cut.jpg: The file is not a readable image",
        "belt: a class without an image that can be read",
    ]:
        assert words in out
    sock = next(line for line in out.splitlines() if "sock" in line)
    assert [cell.strip() for cell in sock.replace("│", "|").split("|") if cell.strip()] == ["sock", "0", "0", "1"]


def test_the_command_prints_json(photographs, capsys) -> None:
    found = json.loads(told(capsys, str(photographs), "--json"))
    assert found["counts"]["hat"] == {"train": 3, "validation": 0, "test": 1}
    assert found["across_splits"] == [list(group) for group in check(list_images(str(photographs))).across]
    assert found["left_out"][1] == {"name": "belt", "reason": "a class without an image that can be read"}
    assert {"width": 8, "height": 6, "images": 3} in found["sizes"]


def test_images_without_labels_say_what_they_cannot_give(tmp_path, capsys) -> None:
    (tmp_path / "flat").mkdir()
    Image.new("RGB", (4, 4)).save(tmp_path / "flat" / "1.png")
    out = told(capsys, str(tmp_path / "flat"))
    assert "1 images without labels, in colour, all 4×4." in out and "Without labels there are no classes" in out
    assert "No image is in several splits." in out and "Nothing was left out." in out


def test_long_lists_are_cut_and_say_so(photographs, capsys) -> None:
    for number in range(30):
        (photographs / "train" / "hat" / f"bad {number:02}.png").write_bytes(b"junk")
    out = told(capsys, str(photographs))
    assert "Left out: 32." in out and "and 12 more, which --json names." in out and "bad 18" in out
    assert "bad 29" not in out


def test_nothing_to_read_is_a_sentence(tmp_path, capsys) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "1.png").write_bytes(b"junk")
    with pytest.raises(InputError, match=r"No image of .* can be read"):
        check(list_images(str(tmp_path)))
    assert main(["data", "check", str(tmp_path / "gone")]) == 2
    assert "There is no file or folder" in capsys.readouterr().err


DATA = Path(__file__).parents[3] / "shared" / "data"


@pytest.mark.skipif(not (DATA / "clothing").is_dir(), reason="needs the clothing photographs beside the repository")
def test_every_file_of_the_clothing_photographs_is_listed_once() -> None:
    found = list_images(str(DATA / "clothing"))
    files = {path.relative_to(DATA / "clothing").as_posix() for path in (DATA / "clothing").rglob("*.jpg")}
    listed = list(found.images)
    assert {image.name for image in listed} == files and len(listed) == len(files) == found.count
    assert all(image.name.split("/")[:2] == [image.split, image.label] for image in listed)
    assert len(found.class_folders) == 10
