"""Folders of images: every file once or left out by name, and classes, splits and labels by structure alone."""

from __future__ import annotations

import io
import os
import subprocess
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from telltale.base.errors import InputError
from telltale.data.image_set import ImageSet
from telltale.data.sources import load_image_set


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch) -> None:
    monkeypatch.setenv("TELLTALE_CACHE", str(tmp_path_factory.mktemp("cache")))
    monkeypatch.delenv("TELLTALE_DATA", raising=False)


def pixels(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (4, 5), dtype=np.uint8)


def put(root: Path, *places: str) -> Path:
    """Write a picture of its own at every place."""
    for place in places:
        (root / place).parent.mkdir(parents=True, exist_ok=True)
        buffer = io.BytesIO()
        Image.fromarray(pixels(abs(hash_of(place)))).save(buffer, "PNG")
        (root / place).write_bytes(buffer.getvalue())
    return root


def hash_of(place: str) -> int:
    return sum(ord(letter) * 31**i for i, letter in enumerate(place)) % 2**31


def classes(found: ImageSet) -> dict[str, str]:
    """Return the class of every image by its name, having compared its pixels with what was written."""
    for name, image in zip(found.names, found.pixels, strict=True):
        np.testing.assert_array_equal(image[0], pixels(hash_of(name)))
    return {name: found.class_names[label] for name, label in zip(found.names, found.labels, strict=True)}


def left_out(found: ImageSet) -> dict[str, str]:
    return {left.name: left.reason for left in found.left_out}


@pytest.mark.parametrize(
    "files",
    [
        [f"{c}/{i}.png" for c in ("cat", "dog") for i in range(3)] + ["cat/cat_test_9.png", "dog/dog_test_9.png"],
        [f"{c}/{i}.png" for c in ("cat", "dog") for i in range(3)] + ["cat/photo-train-9.png", "dog/validation.png"],
        [f"{c}/{i}.png" for c in ("bus", "car", "train") for i in range(3)],
        [f"{c}/{i}.png" for c in ("valid", "invalid") for i in range(3)],
        [f"{c}/{i}.png" for c in ("beaker", "flask", "test tube") for i in range(3)],
        [f"{c}/{i}.png" for c in ("a", "train", "test") for i in range(3)],
        [f"{c}/{i}.png" for c in ("train", "test", "val") for i in range(3)],
        ["data/1.png", "metadata/2.png", "default/3.png", "cropped_digits/4.png"],
        ["[a]/1.png", "b*/[1].png", "c?/x[!y].png", "{d}/1.png", "e /a b.png", " f/ .png.png"],
        ["été/1.png", "日本/画像.png", "emoji 🐈/🐈.png", "a'b\"c/1.png", "back\\slash/1.png"],
        ["cat/1.PNG", "cat/2.Png", "dog/3.JPG", "dog/4.jpeg"],
        ["cat/no suffix", "cat/photo.dat", "dog/1.png.bak"],
        ["cat/indoor/1.png", "cat/outdoor/1.png", "cat/1.png", "dog/a/b/c/1.png"],
        ["cat/test/1.png", "cat/train/1.png", "dog/test/1.png", "dog/train/1.png"],
        ["0/1.png", "1/1.png", "10/1.png", "2/1.png"],
    ],
    ids=lambda files: files[0],
)
def test_every_file_is_there_once_in_the_class_of_its_folder(tmp_path, files) -> None:
    put(tmp_path / "set", *files)
    found = load_image_set(str(tmp_path / "set"))
    assert classes(found) == {file: file.split("/")[0] for file in files}
    assert found.class_names == tuple(sorted({file.split("/")[0] for file in files}))
    assert list(found.names) == sorted(files)
    assert (found.left_out, found.own_test, found.own_validation) == ((), 0, 0)


@pytest.mark.parametrize(
    ("train", "validation", "test"),
    [("train", "validation", "test"), ("Training", "val", "TESTING"), ("train", "dev", "eval"), ("train", "valid", "")],
)
def test_folders_of_class_folders_are_splits(tmp_path, train, validation, test) -> None:
    parts = {train: ("cat", "dog", "owl"), validation: ("owl", "cat"), test: ("dog",)}
    files = {split: [f"{split}/{c}/{i}.png" for c in held for i in range(2)] for split, held in parts.items() if split}
    put(tmp_path / "set", *(file for held in files.values() for file in held))
    found = load_image_set(str(tmp_path / "set"))
    assert classes(found) == {file: file.split("/")[1] for held in files.values() for file in held}
    assert found.class_names == ("cat", "dog", "owl"), "a class that a split lacks shifts nothing"
    tests = len(files.get(test, ()))
    assert (found.own_validation, found.own_test) == (4, tests)
    for split, name in (("train", train), ("validation", validation), ("test", test)):
        assert [found.names[i] for i in found.own_splits[split]] == sorted(files.get(name, ()))


def test_what_lies_beside_splits_is_named(tmp_path) -> None:
    put(tmp_path / "set", "train/cat/1.png", "train/dog/1.png", "test/cat/1.png", "extra/dog/7.png", "loose.png")
    put(tmp_path / "set", "train/stray.png", "val/1.png")
    found = load_image_set(str(tmp_path / "set"))
    assert set(classes(found)) == {"train/cat/1.png", "train/dog/1.png", "test/cat/1.png"}
    reasons = left_out(found)
    assert reasons.keys() == {"extra/dog/7.png", "loose.png", "train/stray.png", "val/1.png"}
    assert "a split other than" in reasons["extra/dog/7.png"]
    assert all("no label" in reasons[name] for name in ("loose.png", "train/stray.png", "val/1.png"))


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        (["train/steam/1.png", "train/diesel/1.png", "bus/1.png"], "'train' holds folders of images.*'bus' is no such"),
        (["pets/cat/1.png", "pets/dog/1.png", "loose.png"], "one folder of images, 'pets', .*set/pets'"),
        (["pets/cat/1.png", "pets/dog/1.png"], "one folder of images, 'pets', .*set/pets'"),
        (["train/images/cat/1.png", "train/images/dog/1.png"], "one folder of images, 'train/images'"),
        (["pets/train/cat/1.png", "pets/test/cat/1.png"], "one folder of images, 'pets'"),
        (["test_set/cat/1.png", "training_set/cat/1.png"], "'test_set' and 'training_set' .* splits or classes"),
    ],
)
def test_what_could_mean_two_things_is_a_sentence(tmp_path, files, sentence) -> None:
    put(tmp_path / "set", *files)
    with pytest.raises(InputError, match=sentence):
        load_image_set(str(tmp_path / "set"))


def test_what_cannot_be_taken_is_left_out_by_name(tmp_path, caplog) -> None:
    root = put(tmp_path / "set", "cat/1.png", "dog/1.png", "dog/.hidden.png", ".cache/cat/1.png")
    (root / "cat" / "cut.png").write_bytes((root / "cat" / "1.png").read_bytes()[:60])
    (root / "cat" / "junk.JPG").write_bytes(b"junk")
    (root / "cat" / "empty.png").write_bytes(b"")
    (root / "cat" / "notes.txt").write_text("not a picture")
    (root / "LICENSE").write_text("free")
    (root / "cat" / "large.png").write_bytes(b"\x89PNG" + bytes(10 * 2**20))
    (root / "owl").mkdir()
    (root / "emu").mkdir()
    (root / "emu" / "1.png").write_bytes(b"junk")
    (root / "dog" / "nowhere.png").symlink_to(root / "gone.png")
    os.mkfifo(root / "dog" / "pipe.png")
    found = load_image_set(str(root))
    assert classes(found) == {"cat/1.png": "cat", "dog/1.png": "dog"}
    assert found.class_names == ("cat", "dog")
    reasons = left_out(found)
    expected = {
        "cat/cut.png": "truncated or damaged",
        "cat/junk.JPG": "not a readable image",
        "cat/empty.png": "not a readable image",
        "cat/notes.txt": "not an image",
        "LICENSE": "not an image",
        "cat/large.png": "at most 10 MB",
        "emu/1.png": "not a readable image",
        "emu": "a class without an image",
        "owl": "a class without an image",
        "dog/.hidden.png": "hidden",
        ".cache": "hidden",
        "dog/nowhere.png": "leads nowhere",
        "dog/pipe.png": "no regular file",
    }
    assert reasons.keys() == expected.keys()
    for name, words in expected.items():
        assert words in reasons[name], name
    assert "Left out of" in caplog.text and "telltale data check" in caplog.text
    again = load_image_set(str(root))
    assert (again.names, again.left_out) == (found.names, found.left_out), "the cache forgot something"


def test_nothing_left_is_a_sentence_that_names_the_first(tmp_path) -> None:
    for name in "ab":
        (tmp_path / "set" / name).mkdir(parents=True)
        (tmp_path / "set" / name / "1.png").write_bytes(b"junk")
    with pytest.raises(InputError, match=r"2 were left out, the first of them 'a/1\.png': The file is not a readable"):
        load_image_set(str(tmp_path / "set"))


def test_links_are_followed_once_and_never_in_a_circle(tmp_path) -> None:
    root = put(tmp_path / "set", "cat/1.png", "dog/1.png")
    put(tmp_path / "pool", "owl/2.png")
    (root / "aardvark").symlink_to(root / "cat")
    (root / "cat" / "round").symlink_to(root)
    (root / "cat" / "up").symlink_to(tmp_path)
    (root / "owl").symlink_to(tmp_path / "pool" / "owl")
    (root / "owl again").symlink_to(tmp_path / "pool" / "owl")
    (tmp_path / "pool" / "owl" / "self").symlink_to(tmp_path / "pool" / "owl")
    found = load_image_set(str(root))
    assert dict(zip(found.names, (found.class_names[label] for label in found.labels), strict=True)) == {
        "cat/1.png": "cat",
        "dog/1.png": "dog",
        "owl/2.png": "owl",
    }
    assert left_out(found).keys() == {"aardvark", "cat/round", "cat/up", "owl again", "owl/self"}
    assert {reason for reason in left_out(found).values()} == {"a link to a folder that is read already"}


def test_one_class_written_in_two_ways_is_one_class(tmp_path) -> None:
    composed, decomposed = (unicodedata.normalize(form, "café") for form in ("NFC", "NFD"))
    root = put(tmp_path / "set", f"train/{composed}/1.png", f"test/{decomposed}/1.png", "train/bar/1.png")
    found = load_image_set(str(root))
    assert found.class_names == ("bar", composed)
    assert found.labels.tolist() == [0, 1, 1]


def test_images_without_folders_have_no_labels(tmp_path) -> None:
    root = put(tmp_path / "set", "b.png", "a.png", "train.png")
    found = load_image_set(str(root))
    assert (found.names, found.class_names, found.labelled) == (("a.png", "b.png", "train.png"), (), False)
    assert found.labels.tolist() == [-1, -1, -1]
    again = load_image_set(str(root))
    assert not again.pixels.flags.writeable and again.labels.tolist() == [-1, -1, -1]


def test_images_beside_class_folders_are_named(tmp_path) -> None:
    root = put(tmp_path / "set", "loose.png", "cat/1.png", "dog/1.png")
    found = load_image_set(str(root))
    assert "no label" in left_out(found)["loose.png"] and len(found) == 2


def test_a_folder_that_may_not_be_entered_is_named(tmp_path, monkeypatch) -> None:
    root = put(tmp_path / "set", "cat/1.png", "dog/1.png", "owl/1.png")
    scan = os.scandir

    def refuse(folder: object) -> object:
        if str(folder).endswith("owl"):
            raise PermissionError(13, "Permission denied")
        return scan(folder)

    with monkeypatch.context() as patch:
        patch.setattr(os, "scandir", refuse)
        found = load_image_set(str(root))
    assert left_out(found) == {"owl": "cannot be read: Permission denied"}


def test_a_name_that_is_no_text_can_be_shown(tmp_path) -> None:
    root = put(tmp_path / "set", "cat/1.png", "dog/1.png")
    (root / "cat" / "1.png").rename(root / "cat" / os.fsdecode(b"\xff.png"))
    found = load_image_set(str(root))
    assert found.names == ("cat/\\udcff.png", "dog/1.png")


def test_folders_deeper_than_functions_may_be_are_read(tmp_path) -> None:
    root = put(tmp_path / "set", "cat/1.png", "dog/1.png")
    below = root / "cat"
    for _ in range(600):  # deep enough for two calls a level, and not too deep for pytest to remove
        below = below / "deep"
        below.mkdir()
    (below / "2.png").write_bytes((root / "dog" / "1.png").read_bytes())
    found = load_image_set(str(root))
    assert [found.class_names[label] for label in found.labels] == ["cat", "cat", "dog"] and not found.left_out


def test_folders_whose_names_grow_too_long_are_named(tmp_path) -> None:
    put(tmp_path / "set", "cat/1.png", "dog/1.png")
    below = os.open(tmp_path / "set" / "cat", os.O_RDONLY)
    for _ in range(1200):
        os.mkdir("deep", dir_fd=below)
        inner = os.open("deep", os.O_RDONLY, dir_fd=below)
        os.close(below)
        below = inner
    os.close(below)
    try:
        found = load_image_set(str(tmp_path / "set"))
    finally:  # Python's own way to remove folders calls itself for each: pytest could not clean up
        subprocess.run(["rm", "-rf", str(tmp_path / "set" / "cat" / "deep")], check=True)
    assert classes(found) == {"cat/1.png": "cat", "dog/1.png": "dog"}
    (reason,) = left_out(found).values()
    assert "cannot be read: File name too long" in reason


def test_a_folder_that_may_be_listed_and_not_entered_is_named(tmp_path, monkeypatch) -> None:
    root = put(tmp_path / "set", "cat/1.png", "dog/1.png", "locked/owl/1.png")
    stat = Path.stat

    def refuse(path: Path, **options: bool) -> os.stat_result:
        if path == root / "locked" / "owl":
            raise PermissionError(13, "Permission denied")
        return stat(path, **options)

    monkeypatch.setattr(Path, "stat", refuse)
    found = load_image_set(str(root))
    assert found.class_names == ("cat", "dog") and "cannot be read: Permission" in left_out(found)["locked/owl"]


def test_control_characters_reach_no_terminal(tmp_path) -> None:
    root = put(tmp_path / "set", "c\nd/1.png", "\x1b[31mred/1.png")
    (root / "\x1b[31mred" / "\x1b]0;title\x07.png").write_bytes(b"junk")
    found = load_image_set(str(root))
    assert found.class_names == ("\\x1b[31mred", "c\\nd")
    everything = "".join([*found.class_names, *found.names, *left_out(found)])
    assert len(found) == 2 and everything.isprintable()


def test_a_class_that_is_empty_is_named_also_beside_what_the_cache_holds(tmp_path) -> None:
    root = put(tmp_path / "set", "cat/1.png", "dog/1.png")
    load_image_set(str(root))
    (root / "owl").mkdir()
    assert "without an image" in left_out(load_image_set(str(root)))["owl"]
